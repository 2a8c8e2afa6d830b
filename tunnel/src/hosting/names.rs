//! Hosts' names.

use alloc::string::{String, ToString};
use core::net::IpAddr;

/// Most bytes of a name, and of each of its labels (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host's name as it is compared: in lower case, without the dot that it may end with. `None`: it
/// is neither a name (RFC 1123 §2.1; underscores are let through), nor one below any label
/// (`*.example.org`), nor an address.
pub fn host_name(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let mut bytes = label.bytes();
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.len() <= MAX_NAME
        && labels.split('.').all(is_label)
        && !labels.rsplit('.').next().is_some_and(is_number);
    is_name.then(|| name.to_ascii_lowercase())
}
