//! How the kernel command line and the files travel to the image.

use stockade_config::stunnel::Recording;
use stockade_config::{Zeroizing, archive, command_line};

use crate::Error;

/// What QEMU is given besides the machine: the two halves of the image's configuration.
#[derive(Clone)]
pub struct Boot {
    /// The part of the command line that may stand in QEMU's own, where `ps` shows it.
    pub append: String,
    /// The boot archive, which only QEMU and the image see.
    pub archive: Option<Zeroizing<Vec<u8>>>,
}

impl Boot {
    /// Divides a configuration: the command line goes into the archive whole when it may
    /// hold a private key or has more than `limit` bytes, and stands in QEMU's otherwise.
    /// `conf` is a stunnel configuration with its files, which the line calls by
    /// [`conf::word`](crate::conf::word).
    ///
    /// # Errors
    ///
    /// A file's name is one that the archive does not take, or there are too many.
    pub fn divide(
        line: &str,
        files: &[(String, Zeroizing<Vec<u8>>)],
        conf: Option<&Recording>,
        limit: usize,
    ) -> Result<Boot, Error> {
        let hidden = command_line::holds_secret(line) || line.len() > limit;
        if !hidden && files.is_empty() && conf.is_none() {
            return Ok(Boot {
                append: line.to_owned(),
                archive: None,
            });
        }
        let mut builder = archive::Builder::new();
        if hidden {
            builder.command_line(line).map_err(Error::Archive)?;
        }
        for (name, bytes) in files {
            builder.file(name, bytes).map_err(Error::Archive)?;
        }
        if let Some(recording) = conf {
            recording.pack(&mut builder, "").map_err(Error::Archive)?;
        }
        Ok(Boot {
            append: if hidden {
                String::new()
            } else {
                line.to_owned()
            },
            archive: Some(builder.finish()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second_half(boot: &Boot) -> Option<String> {
        let archive = archive::Archive::open(boot.archive.as_ref()?).unwrap();
        archive
            .command_line()
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
    }

    #[test]
    fn an_open_short_line_stays_where_it_is() {
        let boot = Boot::divide("--accept=443 --key=file:key.pem", &[], None, 4_000).unwrap();
        assert_eq!(boot.append, "--accept=443 --key=file:key.pem");
        assert!(boot.archive.is_none());
    }

    #[test]
    fn a_key_moves_the_line_into_the_archive() {
        for line in [
            "--key=base64:c2VjcmV0",
            "--key base64:c2VjcmV0",
            "--log=info --key=base64:c2VjcmV0 --accept=1",
        ] {
            let boot = Boot::divide(line, &[], None, 4_000).unwrap();
            assert_eq!(boot.append, "");
            assert_eq!(second_half(&boot).as_deref(), Some(line));
        }
    }

    #[test]
    fn a_long_line_moves_into_the_archive() {
        let line = format!("--connect={}:80", "a".repeat(4_000));
        let boot = Boot::divide(&line, &[], None, 4_000).unwrap();
        assert_eq!(boot.append, "");
        assert_eq!(second_half(&boot), Some(line.clone()));
        assert_eq!(
            Boot::divide(&line, &[], None, 131_000).unwrap().append,
            line
        );
    }

    #[test]
    fn files_travel_in_the_archive_beside_an_open_line() {
        let files = [("key.pem".to_owned(), Zeroizing::new(b"secret".to_vec()))];
        let boot = Boot::divide("--key=file:key.pem", &files, None, 4_000).unwrap();
        assert_eq!(boot.append, "--key=file:key.pem");
        let archive = archive::Archive::open(boot.archive.as_ref().unwrap()).unwrap();
        assert_eq!(archive.file("key.pem"), Some(&b"secret"[..]));
        assert_eq!(archive.command_line(), None);
    }
}
