//! What all connections with pre-shared keys of one server or client share.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use rustls::{ProtocolVersion, SupportedCipherSuite, Tls13CipherSuite};
use zeroize::Zeroizing;

use super::common::Shared;
use super::schedule::HASH;
use super::secrets::{MAX_KEYS, Table};
use super::{PreSharedKey, Psk, client, server};
use crate::connection::Side;
use crate::{ConfigError, Connection, Error, Group, Provider, Suite, Version, Versions};

/// A client's groups, where nobody says otherwise.
const CLIENT_GROUPS: [Group; 4] = [
    Group::X25519,
    Group::X25519MlKem768,
    Group::P256,
    Group::P384,
];

/// How connections with pre-shared keys are made. Start from [`PskOptions::default`].
#[derive(Clone, Debug, Default)]
pub struct PskOptions {
    /// Whose cryptography to use.
    pub provider: Provider,
    /// The cipher suites, most wanted first; empty: all. Of those chosen, the ones of TLS 1.3 with
    /// SHA-256 are used (RFC 8446 §4.2.11).
    pub suites: Vec<Suite>,
    /// The key exchange groups, most wanted first; empty: all.
    pub groups: Vec<Group>,
    /// Application protocols, most wanted first (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
}

impl PskOptions {
    fn shared(&self) -> Result<Shared, ConfigError> {
        crate::handshake::check_alpn(&self.alpn)?;
        let mut crypto = self.provider.crypto();
        let versions = Versions {
            min: Version::Tls13,
            max: Version::Tls13,
        };
        crate::suites::narrow(&mut crypto, &self.suites, &self.groups, versions)?;
        let suites: Vec<&'static Tls13CipherSuite> = crypto
            .cipher_suites
            .iter()
            .filter_map(|suite| match suite {
                SupportedCipherSuite::Tls13(suite)
                    if suite.common.hash_provider.output_len() == HASH =>
                {
                    Some(*suite)
                }
                _ => None,
            })
            .collect();
        if suites.is_empty() {
            return Err(ConfigError::Suites);
        }
        let mut groups = crypto.kx_groups;
        groups.retain(|group| group.usable_for_version(ProtocolVersion::TLSv1_3));
        if groups.is_empty() {
            return Err(ConfigError::Groups);
        }
        Ok(Shared {
            suites,
            groups,
            random: crypto.secure_random,
            protocols: self.alpn.clone(),
        })
    }
}

/// Makes server connections for clients with pre-shared keys. Clones share the keys.
#[derive(Clone)]
pub struct PskServer {
    provider: Provider,
    shared: Arc<Shared>,
    table: Arc<Table>,
}

impl PskServer {
    /// Checks the options. Where an identity comes twice, its first key counts.
    ///
    /// # Errors
    ///
    /// What in the options cannot be, or [`ConfigError::PreSharedKey`] for no key or too many.
    pub fn new(keys: Vec<PreSharedKey>, options: &PskOptions) -> Result<PskServer, ConfigError> {
        let reason = match keys.len() {
            0 => Some("there is none"),
            count if count > MAX_KEYS => Some("there are more than 65,536"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(ConfigError::PreSharedKey { reason });
        }
        let shared = options.shared()?;
        let mut dummy = Zeroizing::new([0; HASH]);
        let filled = shared.random.fill(&mut *dummy);
        filled.map_err(|_| ConfigError::Entropy)?;
        let stranger = PreSharedKey::new(b"?", &*dummy)?;
        let hash = shared.suites.first().ok_or(ConfigError::Suites)?;
        let table = Table::new(keys, hash.common.hash_provider, stranger);
        Ok(PskServer {
            provider: options.provider,
            shared: Arc::new(shared),
            table: Arc::new(table),
        })
    }

    /// A connection that waits for a ClientHello.
    #[must_use]
    pub fn accept(&self) -> Connection {
        let psk = server::accept(self.shared.clone(), self.table.clone());
        Connection::new(Side::psk(psk), self.provider)
    }
}

/// Makes client connections with one pre-shared key. Clones share it.
#[derive(Clone)]
pub struct PskClient {
    provider: Provider,
    shared: Arc<Shared>,
    key: PreSharedKey,
}

impl PskClient {
    /// Under which identity the server has the key.
    #[must_use]
    pub fn identity(&self) -> &[u8] {
        self.key.identity()
    }

    /// Checks the options.
    ///
    /// # Errors
    ///
    /// What in the options cannot be.
    pub fn new(key: PreSharedKey, options: &PskOptions) -> Result<PskClient, ConfigError> {
        let mut options = options.clone();
        if options.groups.is_empty() {
            // A share of the first is sent. OpenSSL before 3.5 knows no hybrid group and would ask
            // for another share, which costs a round trip; and who breaks X25519 one day still
            // lacks the key.
            options.groups = Vec::from(CLIENT_GROUPS);
        }
        Ok(PskClient {
            provider: options.provider,
            shared: Arc::new(options.shared()?),
            key,
        })
    }

    /// A connection whose ClientHello waits to be sent. `server_name` goes with it (RFC 6066 §3),
    /// unless it is an IP address, which may not.
    ///
    /// # Errors
    ///
    /// [`Error::Entropy`], [`Error::ServerName`] or [`Error::Internal`].
    pub fn connect(&self, server_name: Option<&str>) -> Result<Connection, Error> {
        let name = server_name.map(sent_name).transpose()?.flatten();
        let psk: Psk = client::connect(self.shared.clone(), self.key.clone(), name)
            .map_err(super::Fault::into_error)?;
        let mut connection = Connection::new(Side::psk(psk), self.provider);
        connection.start()?;
        Ok(connection)
    }
}

/// The name as it is sent: without a final dot; none for an address.
fn sent_name(name: &str) -> Result<Option<String>, Error> {
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    match rustls::pki_types::DnsName::try_from(name) {
        Ok(name) => Ok(Some(name.as_ref().to_string())),
        Err(_) => Err(Error::ServerName),
    }
}

impl fmt::Debug for PskServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PskServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for PskClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PskClient")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
