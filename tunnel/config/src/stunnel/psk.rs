//! The file of `PSKsecrets`: `IDENTITY:KEY` lines.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::values::hexadecimal;

/// Most keys in a file.
const MAX_SECRETS: usize = 4096;
/// Longest identity in bytes with the zero byte that ends it (OpenSSL's `PSK_MAX_IDENTITY_LEN`).
const MAX_IDENTITY: usize = 256;
/// Shortest and longest key in bytes (the longest is OpenSSL 3's `PSK_MAX_PSK_LEN`).
const KEY: core::ops::RangeInclusive<usize> = 16..=512;

/// Identities and their keys.
type Secrets = Vec<(String, Zeroizing<Vec<u8>>)>;

/// The identities and their keys, in the file's order.
///
/// # Errors
///
/// The first line that is wrong, in stunnel's words.
pub(super) fn read(bytes: &[u8]) -> Result<Secrets, String> {
    let mut secrets = Vec::new();
    for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1u32..) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let fault = |text: String| format!("PSKsecrets line {number}: {text}");
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (Some(identity), Some(key)) = (halves.next(), halves.next()) else {
            return Err(fault("Not in identity:key format".into()));
        };
        if identity.len() >= MAX_IDENTITY {
            return Err(fault(format!(
                "Identity longer than {MAX_IDENTITY} characters"
            )));
        }
        let Ok(identity) = core::str::from_utf8(identity) else {
            return Err(fault("Identity is not UTF-8 text".into()));
        };
        let key = hexadecimal(key).unwrap_or_else(|| Zeroizing::new(key.to_vec()));
        if key.len() > *KEY.end() {
            return Err(fault(format!("Key longer than {} bytes", KEY.end())));
        }
        if key.len() < *KEY.start() {
            return Err(fault(format!("Key shorter than {} bytes", KEY.start())));
        }
        if secrets.len() >= MAX_SECRETS {
            return Err(fault(format!("more than {MAX_SECRETS} keys")));
        }
        secrets.push((String::from(identity), key));
    }
    if secrets.is_empty() {
        return Err("no key in it".into());
    }
    Ok(secrets)
}
