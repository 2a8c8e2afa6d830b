//! One host of the store: what is served for it, and when its certificate is to be renewed.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use acme::renewal::Lifetime;
use config::{Connect, Zeroizing};
use store::host::{Host, Pair, Protocols};
use tls::{Identity, Provider};

use crate::hosting::Site;

/// Longest name of a host, bytes (RFC 1035 §2.3.4, without the root's dot).
const MAX_NAME: usize = 253;

/// A host, and how it is doing.
#[derive(Default)]
pub(super) struct Kept {
    /// What is served; `None`: nothing yet.
    pub(super) file: Option<File>,
    /// Why that is not what its file says.
    pub(super) fault: Option<String>,
}

/// A file of the store, understood.
pub(super) struct File {
    pub(super) site: Site,
    /// Of its certificate; `None` where it can't be read.
    pub(super) lifetime: Option<Lifetime>,
}

impl Kept {
    /// Takes what its file says now, or keeps what it has.
    pub(super) fn update(&mut self, read: Result<File, String>) {
        let file = match read {
            Ok(file) => file,
            Err(fault) => return self.fault = Some(fault),
        };
        self.fault = None;
        self.file = Some(file);
    }
}

impl File {
    /// Understands the file of the host with this name.
    ///
    /// # Errors
    ///
    /// Why it can't be served. Nothing of the file is in it: there is a key in there.
    pub(super) fn read(name: &str, host: &Host, provider: Provider) -> Result<File, String> {
        let mut names = vec![host_name(name)?];
        for further in &host.names {
            let further = host_name(further)?;
            if !names.contains(&further) {
                names.push(further);
            }
        }
        let pair = host.pairs.first().ok_or("it has no certificate")?;
        let (chain, key) = (text_of(&pair.chain), opened(pair)?);
        Identity::from_pem(chain.as_bytes(), key.as_bytes(), provider)
            .map_err(|error| error.to_string())?;
        Ok(File {
            lifetime: Lifetime::of(&chain),
            site: Site {
                names,
                chain: chain.into(),
                key: Arc::new(key),
                backend: Connect {
                    host: Some(config::Host::Address(host.backend)),
                    port: host.port,
                },
                alpn: protocols(host.protocols),
            },
        })
    }
}

/// The certificates as one text.
pub(super) fn text_of(chain: &[String]) -> String {
    let mut text = String::new();
    for certificate in chain {
        text.push_str(certificate.trim_end());
        text.push('\n');
    }
    text
}

fn opened(pair: &Pair) -> Result<Zeroizing<String>, String> {
    Ok(Zeroizing::new(pair.key.clone()))
}

/// A name as clients ask for it.
fn host_name(name: &str) -> Result<String, String> {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*:".contains(&byte);
    let is_name = !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.bytes().all(is_of_name);
    match is_name {
        true => Ok(name.trim_end_matches('.').to_ascii_lowercase()),
        false => Err(format!("{name:?} is no host's name")),
    }
}

/// A byte relay can't turn one version of HTTP into another: where the backend is said to speak both,
/// the one is chosen that every client speaks.
fn protocols(protocols: Protocols) -> Vec<Vec<u8>> {
    match (protocols.http1, protocols.http2) {
        (true, _) => vec![b"http/1.1".to_vec()],
        (false, true) => vec![b"h2".to_vec()],
        (false, false) => Vec::new(),
    }
}
