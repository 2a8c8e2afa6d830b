//! What nobody but its owner is to see, given as it is or in a file.

use std::fs;
use std::io::Read;
use std::str::FromStr;

use zeroize::Zeroizing;

/// Most bytes of a file with a secret.
const MOST: u64 = 64 * 1024;

/// A secret's text, or `file:` and the file that it is in. It displays nothing of the text.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.file() {
            Some(name) => write!(f, "file:{name}"),
            None => f.write_str("(a text)"),
        }
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Secret, String> {
        match text {
            "" => Err("expected a text, or file:NAME".to_owned()),
            "file:" => Err("expected a file's name behind file:".to_owned()),
            text => Ok(Secret(Zeroizing::new(text.to_owned()))),
        }
    }
}

impl Secret {
    /// The text: of a file all but the end of its last line.
    ///
    /// # Errors
    ///
    /// The file can't be read, or is empty; `option` is what it was named by.
    pub(super) fn read(&self, option: &str) -> Result<Zeroizing<String>, String> {
        let Some(name) = self.file() else {
            return Ok(self.0.clone());
        };
        let failed = |reason: &str| format!("{option}: {name}: {reason}");
        let file = fs::File::open(name).map_err(|error| failed(&error.to_string()))?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MOST + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| failed(&error.to_string()))?;
        if bytes.len() as u64 > MOST {
            return Err(failed("this is too long for a secret"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is no UTF-8 text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match text.is_empty() {
            true => Err(failed("it is empty")),
            false => Ok(Zeroizing::new(text.to_owned())),
        }
    }

    fn file(&self) -> Option<&str> {
        self.0.strip_prefix("file:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let secret: Secret = text.parse()?;
        secret.read("--pass").map(|text| text.to_string())
    }

    #[test]
    fn a_secret_is_a_text_or_in_a_file() {
        let path = std::env::temp_dir().join(format!("stockade-secret-{}", std::process::id()));
        let named = format!("file:{}", path.display());
        assert_eq!(read("open sesame").as_deref(), Ok("open sesame"));
        for (contents, expected) in [("a b\r\n", "a b"), ("a\n\n", "a\n"), (" a", " a")] {
            fs::write(&path, contents).unwrap();
            assert_eq!(read(&named).as_deref(), Ok(expected));
        }
        for contents in [&b""[..], b"\n", b"\xff", &[b'a'; 65 * 1024]] {
            fs::write(&path, contents).unwrap();
            let error = read(&named).unwrap_err();
            assert!(error.starts_with("--pass: "), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(read(&named).unwrap_err().contains("No such file"));
        assert!(read("").is_err() && read("file:").is_err());
    }

    #[test]
    fn a_secret_is_not_displayed() {
        let secret: Secret = "open sesame".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "(a text)");
    }
}
