//! A certificate and its key, judged before anything is served with them.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use tls::{Identity, Provider};

/// Judges a PEM chain, leaf first, and its PEM key as a service's would be; gives what the operator
/// should hear of them at `unix_seconds`.
///
/// # Errors
/// Why they can't be served; nothing of the key is in it.
pub fn judge(chain: &[u8], key: &[u8], unix_seconds: u64) -> Result<Vec<String>, String> {
    let identity = Identity::from_pem(chain, key, Provider::default());
    let identity = identity.map_err(|error| error.to_string())?;
    let warnings = identity.warnings(unix_seconds);
    Ok(warnings.iter().map(ToString::to_string).collect())
}
