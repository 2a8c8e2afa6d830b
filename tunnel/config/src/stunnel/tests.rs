//! Configurations in, services or errors out.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::*;

mod ciphers;
mod errors;
mod grammar;
mod host_ports;
mod mutations;
mod negotiation;
mod ocsp;
mod options;
mod pack;
mod shapes;

/// Where the tested configuration is.
pub(super) const PATH: &str = "/etc/stunnel/stunnel.conf";

/// Files in memory.
#[derive(Clone, Default)]
pub(super) struct Memory(pub BTreeMap<String, Vec<u8>>);

impl Memory {
    /// The files that tests name, and the configuration.
    pub fn with(configuration: impl AsRef<[u8]>) -> Memory {
        let mut memory = Memory::default();
        for (path, text) in [
            ("/c.pem", "a certificate"),
            ("/k.pem", "a key"),
            ("/ca.pem", "authorities"),
            ("/crl.pem", "a revocation list"),
            ("/ca/0a1b2c3d.0", "first authority"),
            ("/ca/4e5f6071.12", "second authority"),
            ("/ca/4e5f6071.r0", "a list of the second"),
            ("/ca/other.pem", "not looked at"),
            ("/pem/a.pem", "an authority"),
            ("/pem/README", "text"),
            ("/none/README", "text"),
            (
                "/psk",
                "anna:0123456789abcdef0123456789abcdef\r\n\nbert:shiPaetai3ejaiGees3koi3nuoph5ohm:x\n",
            ),
        ] {
            memory.put(path, text);
        }
        memory.put(PATH, configuration);
        memory
    }

    pub fn put(&mut self, path: &str, bytes: impl AsRef<[u8]>) {
        self.0.insert(path.into(), bytes.as_ref().to_vec());
    }
}

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        match self.0.get(path) {
            Some(bytes) => Ok(Zeroizing::new(bytes.clone())),
            None => Err(FileError::new("No such file or directory")),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        let names: Vec<String> = self
            .0
            .keys()
            .filter_map(|path| {
                let directory = directory.trim_end_matches('/');
                path.strip_prefix(directory)?.strip_prefix('/')
            })
            .filter(|name| !name.contains('/'))
            .map(String::from)
            .collect();
        match names.is_empty() {
            true => Err(FileError::new("No such file or directory")),
            false => Ok(names),
        }
    }
}

/// The configuration of a text that is right.
#[track_caller]
pub(super) fn right(text: impl AsRef<[u8]>) -> Configuration {
    let mut memory = Memory::with(&text);
    read(PATH, &mut memory)
        .unwrap_or_else(|errors| panic!("{}\n{errors}", String::from_utf8_lossy(text.as_ref())))
}

/// The errors of a text that is wrong, one a line, without the file's name.
#[track_caller]
pub(super) fn wrong(text: impl AsRef<[u8]>) -> String {
    let mut memory = Memory::with(&text);
    match read(PATH, &mut memory) {
        Ok(configuration) => panic!(
            "{}\n{configuration:#?}",
            String::from_utf8_lossy(text.as_ref())
        ),
        Err(errors) => errors.to_string().replace(&format!("{PATH}:"), ""),
    }
}

/// A client's section with these lines.
pub(super) fn client(lines: &str) -> String {
    format!("[x]\nclient = yes\naccept = 1000\nconnect = example.org:2000\n{lines}\n")
}

/// A server's section with these lines.
pub(super) fn server(lines: &str) -> String {
    format!("[x]\ncert = /c.pem\naccept = 1000\nconnect = 2000\n{lines}\n")
}

/// The only service of a configuration.
#[track_caller]
pub(super) fn only(text: impl AsRef<[u8]>) -> Service {
    let mut services = right(text).services;
    assert_eq!(services.len(), 1);
    services.remove(0)
}
