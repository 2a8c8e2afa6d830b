//! Where a proxy's socket is, when nobody says.

use std::env;
use std::path::PathBuf;

use crate::{Error, Remote};

/// Letters of a host's name in the file's: a socket's path has at most 107 bytes (unix(7)).
const MAX_HOST: usize = 30;

/// A path for a proxy's socket as xapi would choose it, `stunnel-proxy-HOST-PORT-UUID.sock`, in the
/// folder for temporary files (`TMPDIR`, else `/tmp`). Nobody can foresee it.
///
/// # Errors
///
/// The system gives no entropy.
///
/// ```
/// let path = stockade::socket_path(&stockade::Remote::new("example.org", 443))?;
/// let name = path.file_name().unwrap().to_str().unwrap();
/// assert!(name.starts_with("stunnel-proxy-example.org-443-"));
/// # Ok::<(), stockade::Error>(())
/// ```
pub fn socket_path(remote: &Remote) -> Result<PathBuf, Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::SocketNotCreated(format!("no entropy for its name: {error}")))?;
    let plain = |letter: char| match letter.is_ascii_alphanumeric() || ".-".contains(letter) {
        true => letter,
        false => '_',
    };
    let host: String = remote.host.chars().map(plain).take(MAX_HOST).collect();
    let port = remote.port;
    let random = u128::from_le_bytes(random);
    Ok(env::temp_dir().join(format!("stunnel-proxy-{host}-{port}-{random:032x}.sock")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_short_and_never_the_same() {
        let remote = Remote::new(format!("../{}", "x".repeat(300)), 65_535);
        let paths = [(), ()].map(|()| socket_path(&remote).unwrap());
        assert_ne!(paths[0], paths[1]);
        let name = paths[0].file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with("stunnel-proxy-.._xxx") && name.len() < 100,
            "{name}"
        );
        assert_eq!(paths[0].parent(), Some(&*env::temp_dir()));
    }
}
