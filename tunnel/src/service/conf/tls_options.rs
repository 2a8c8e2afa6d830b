//! Certificates, verification, versions and sessions: a section's options as TLS takes them.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use config::{
    Host,
    stunnel::{self, Connect, File, Service as Section},
};
use tls::{
    ClientAuth, ClientOptions, ClientVerify, ConfigError, Group, Identity, IdentityError,
    NameCheck, PathOptions, PeerName, PemText, PreSharedKey, PskClient, PskOptions, PskServer,
    ServerOptions, StatusQuery, Suite, TicketSecret, Trust, VerifyMode, Version, Versions,
};

use super::Builder;
use crate::{
    limits::MAX_SESSION_CACHE,
    revocation::{Revocation, Stapling},
    service::{Judgement, Tls},
};

/// Backends whose sessions a client keeps, at most.
const CLIENT_SESSIONS: usize = 256;

/// What stunnel says before the reason.
const FAILED: &str = "Failed to initialize TLS context";

impl Builder<'_> {
    pub(super) fn tls(&mut self, section: &Section) -> Option<Tls> {
        let errors = self.errors.len();
        let keys = self.keys(section);
        if section.check_revocation && verifies_path(section) && section.revocation_lists.is_empty()
        {
            let fault = format!("{FAILED}: there is no revocation list: every peer is refused");
            let option = self.revocation_option(section);
            self.wrong(section, option, None, fault);
        }
        let identity = self.identity(section);
        if self.errors.len() > errors {
            return None;
        }
        match (section.client, keys) {
            (true, Some(keys)) => self.key_client(section, keys),
            (true, None) => self.client(section, identity),
            (false, Some(keys)) => {
                let certificates = match identity {
                    Some(identity) => Some(self.server(section, identity)?),
                    None => None,
                };
                self.key_server(section, keys, certificates)
            }
            (false, None) => {
                // Without an identity that has been told before.
                let server = self.server(section, identity?)?;
                Some(Tls::Server(server))
            }
        }
    }

    /// The pre-shared keys of a section: a server's all, a client's one.
    fn keys(&mut self, section: &Section) -> Option<Vec<PreSharedKey>> {
        let psk = section.psk.as_ref()?;
        let wanted = |identity: &str| !section.client || psk.identity.as_deref() == Some(identity);
        let mut keys = Vec::new();
        for (identity, key) in psk.secrets.iter().filter(|(identity, _)| wanted(identity)) {
            match PreSharedKey::new(identity.as_bytes(), key) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    let fault = format!("{FAILED}: {identity:?}: {error}");
                    self.wrong(section, "PSKsecrets", None, fault);
                }
            }
        }
        if section.client {
            keys.truncate(1);
        }
        Some(keys)
    }

    fn key_options(&self, section: &Section) -> PskOptions {
        PskOptions {
            provider: self.ground.provider,
            suites: suites(section),
            groups: groups(section),
            alpn: alpn(section),
        }
    }

    fn key_server(
        &mut self,
        section: &Section,
        keys: Vec<PreSharedKey>,
        certificates: Option<tls::Server>,
    ) -> Option<Tls> {
        match PskServer::new(keys, &self.key_options(section)) {
            Ok(keys) => Some(Tls::KeyServer { keys, certificates }),
            Err(error) => {
                self.config_error(section, &error);
                None
            }
        }
    }

    fn key_client(&mut self, section: &Section, keys: Vec<PreSharedKey>) -> Option<Tls> {
        let server_name = server_name(section);
        let made = keys
            .into_iter()
            .next()
            .ok_or(ConfigError::PreSharedKey {
                reason: "there is none",
            })
            .and_then(|key| PskClient::new(key, &self.key_options(section)));
        let client = match made {
            Ok(client) => client,
            Err(error) => {
                self.config_error(section, &error);
                return None;
            }
        };
        if let Err(error) = client.connect(server_name.as_deref()) {
            let name = server_name.unwrap_or_default();
            let fault = format!("{FAILED}: {name:?}: {error}");
            self.wrong(section, "sni", None, fault);
            return None;
        }
        Some(Tls::KeyClient {
            client,
            server_name,
        })
    }

    fn identity(&mut self, section: &Section) -> Option<Identity> {
        let cert = section.cert.as_ref()?;
        let key = section.key.as_ref().unwrap_or(cert);
        match Identity::from_pem(&cert.bytes, &key.bytes, self.ground.provider) {
            Ok(identity) => {
                for warning in identity.warnings(self.ground.clock.now()) {
                    log::warn!("Service [{}]: {}: {warning}", section.name, cert.path);
                }
                Some(identity)
            }
            Err(error) => {
                let (option, file) = match is_about_key(&error) {
                    true if section.key.is_some() => ("key", key),
                    _ => ("cert", cert),
                };
                let fault = format!("{FAILED}: {}: {error}", file.path);
                let origin = self.origin(section, option, None);
                // The key may be in the certificate's file, and then there is no such option.
                let option = match origin == section.origin {
                    true => "cert",
                    false => option,
                };
                self.wrong(section, option, None, fault);
                None
            }
        }
    }

    /// What to ask about a server's own certificate, if it names a responder.
    pub(super) fn stapling(&self, section: &Section) -> Option<Stapling> {
        let cert = section.cert.as_ref().filter(|_| !section.client)?;
        let authorities = texts(&section.authorities);
        let provider = self.ground.provider;
        let query = StatusQuery::of_chain(provider, &cert.bytes, &authorities)?;
        (!query.urls().is_empty()).then_some(Stapling {
            query,
            timeout: section.ocsp.timeout,
        })
    }

    fn server(&mut self, section: &Section, identity: Identity) -> Option<tls::Server> {
        let mut options = ServerOptions::new(identity, self.ground.clock.clone());
        options.versions = versions(section);
        options.suites = suites(section);
        options.groups = groups(section);
        options.prefer_own_order = section.server_preference;
        options.resumption = section.session_resume;
        options.tickets = section.tickets;
        options.session_cache = session_cache(section);
        options.session_lifetime = section.session_cache_timeout;
        options.session_context = section.name.as_bytes().to_vec();
        options.ticket_secret = section
            .ticket_keys
            .as_ref()
            .map(|keys| TicketSecret::new(&keys.key, &keys.mac));
        options.client_auth = client_auth(section);
        options.alpn = alpn(section);
        match tls::Server::new(options) {
            Ok(server) => Some(server),
            Err(error) => {
                self.config_error(section, &error);
                None
            }
        }
    }

    fn client(&mut self, section: &Section, identity: Option<Identity>) -> Option<Tls> {
        let verified = verifies_path(section);
        let roots = match verified {
            true => texts(&section.authorities),
            false => Vec::new(),
        };
        let mut options = ClientOptions::new(roots, self.ground.clock.clone());
        options.provider = self.ground.provider;
        options.identity = identity;
        options.verify = match verified {
            true => VerifyMode::Path(path_options(section)),
            false => VerifyMode::None,
        };
        options.keep_staples = revocation(section).is_some();
        options.versions = versions(section);
        options.suites = suites(section);
        options.groups = groups(section);
        options.resumption = section.session_resume;
        options.alpn = alpn(section);
        options.session_cache = CLIENT_SESSIONS.min(session_cache(section));
        options.session_lifetime = section.session_cache_timeout;
        let client = match tls::Client::new(options) {
            Ok(client) => client,
            Err(error) => {
                self.config_error(section, &error);
                return None;
            }
        };
        let server_name = server_name(section);
        if let Err(error) = client.connect_to(server_name.as_deref(), "") {
            let name = server_name.unwrap_or_default();
            let fault = format!("{FAILED}: {name:?}: {error}");
            self.wrong(section, "sni", None, fault);
            return None;
        }
        Some(Tls::Client {
            client,
            server_name,
        })
    }

    fn config_error(&mut self, section: &Section, error: &ConfigError) {
        let about = |files: &[File], index: usize, reason: &str| {
            let path = files.get(index).map_or("", |file| &file.path);
            format!("{FAILED}: {path}: {reason}")
        };
        let (option, fault) = match error {
            ConfigError::Root { index, reason } => (
                self.authority_option(section),
                about(&section.authorities, *index, reason),
            ),
            ConfigError::NoRoots => (
                self.authority_option(section),
                format!("{FAILED}: No trusted certificates found"),
            ),
            ConfigError::RevocationList { index, reason } => (
                self.revocation_option(section),
                about(&section.revocation_lists, *index, reason),
            ),
            ConfigError::PeerName { .. } => ("checkHost", format!("{FAILED}: {error}")),
            ConfigError::PreSharedKey { .. } => ("PSKsecrets", format!("{FAILED}: {error}")),
            ConfigError::Suites if section.psk.is_some() => (
                "ciphersuites",
                format!("{FAILED}: {error} (a pre-shared key goes with those that have SHA-256)"),
            ),
            ConfigError::Suites => ("ciphers", format!("{FAILED}: {error}")),
            ConfigError::Groups => ("curves", format!("{FAILED}: {error}")),
            ConfigError::Versions => ("sslVersion", format!("{FAILED}: {error}")),
            _ => ("", format!("{FAILED}: {error}")),
        };
        self.wrong(section, option, None, fault);
    }

    fn authority_option(&self, section: &Section) -> &'static str {
        self.first_of(section, ["CAfile", "CApath"])
    }

    fn revocation_option(&self, section: &Section) -> &'static str {
        self.first_of(section, ["CRLfile", "CRLpath"])
    }

    /// Which of two options a service has.
    fn first_of(&self, section: &Section, [one, other]: [&'static str; 2]) -> &'static str {
        match self.origin(section, one, None) == section.origin {
            true => other,
            false => one,
        }
    }
}

fn is_about_key(error: &IdentityError) -> bool {
    matches!(
        error,
        IdentityError::NoKey { .. }
            | IdentityError::SeveralKeys { .. }
            | IdentityError::EncryptedKey
            | IdentityError::Key
            | IdentityError::Mismatch
            | IdentityError::Pem {
                text: PemText::Key,
                ..
            }
    )
}

/// Whether the peer's certificate is judged at all, and not only asked for.
pub(super) fn verifies_path(section: &Section) -> bool {
    section.verify.request && (section.verify.chain || section.verify.peer)
}

/// How it is found out whether peers' certificates are revoked. As in stunnel, only where a chain is
/// verified; a client then heeds what servers staple, whether anybody else is asked or not.
pub(super) fn revocation(section: &Section) -> Option<Revocation> {
    let judged = section.verify.request && section.verify.chain;
    let wanted = judged && (section.client || section.ocsp.asks());
    wanted.then(|| Revocation::new(&section.ocsp))
}

fn client_auth(section: &Section) -> ClientAuth {
    let verify = match verifies_path(section) {
        true => ClientVerify::Path {
            roots: texts(&section.authorities),
            options: path_options(section),
        },
        false => ClientVerify::Any,
    };
    match section.verify {
        stunnel::Verify { request: false, .. } => ClientAuth::Off,
        _ if !section.redirect.is_empty() => ClientAuth::Note(verify),
        stunnel::Verify { require: true, .. } => ClientAuth::Require(verify),
        _ => ClientAuth::Request(verify),
    }
}

/// How the peer's certificate is judged.
pub(super) fn judgement(section: &Section) -> Option<Judgement> {
    verifies_path(section).then(|| Judgement {
        names: names(section),
        chain: section.verify.chain,
        peer: section.verify.peer,
    })
}

/// Whom the peer's certificate may be for.
fn names(section: &Section) -> Vec<PeerName> {
    let hosts = section.check_host.iter().cloned().map(PeerName::Host);
    let mailboxes = section.check_email.iter().cloned().map(PeerName::Email);
    let addresses = section.check_ip.iter().copied().map(PeerName::Address);
    hosts.chain(mailboxes).chain(addresses).collect()
}

fn path_options(section: &Section) -> PathOptions {
    let names = names(section);
    PathOptions {
        trust: match (section.verify.chain, section.verify.peer) {
            (true, true) => Trust::ChainAndPeer,
            (false, true) => Trust::Peer,
            _ => Trust::Chain,
        },
        names: match names.is_empty() {
            true => NameCheck::Nobody,
            false => NameCheck::AnyOf(names),
        },
        revocation_lists: texts(&section.revocation_lists),
    }
}

fn texts(files: &[File]) -> Vec<Vec<u8>> {
    files.iter().map(|file| file.bytes.to_vec()).collect()
}

fn versions(section: &Section) -> Versions {
    let version = |version| match version {
        stunnel::Version::Tls12 => Version::Tls12,
        stunnel::Version::Tls13 => Version::Tls13,
    };
    let (min, max) = section.versions;
    Versions {
        min: version(min),
        max: version(max),
    }
}

/// The protocols inside TLS (RFC 7301), as they stand in the file. A PostgreSQL client that begins
/// with TLS insists on the name of its own (PostgreSQL documentation, "SSL Session Encryption").
fn alpn(section: &Section) -> Vec<Vec<u8>> {
    let protocol = section.protocol.as_ref().map(|spoken| spoken.protocol);
    match section.alpn.as_slice() {
        [] if !section.client && protocol == Some(stunnel::Protocol::Pgsql) => {
            Vec::from([b"postgresql".to_vec()])
        }
        named => named.to_vec(),
    }
}

/// The name to send (RFC 6066 §3): stunnel's default is the host of the first `connect`.
fn server_name(section: &Section) -> Option<String> {
    match (&section.sni, section.connect.first()) {
        (Some(name), _) if name.is_empty() => None,
        (Some(name), _) => Some(name.clone()),
        (None, Some(Connect::Tcp { host, .. })) => Some(match host {
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        }),
        (None, _) => None,
    }
}

/// Sessions kept: 0 is stunnel's word for as many as there are.
pub(super) fn session_cache(section: &Section) -> usize {
    match section.session_cache_size {
        0 => MAX_SESSION_CACHE,
        size => size.min(MAX_SESSION_CACHE),
    }
}

fn suites(section: &Section) -> Vec<Suite> {
    use stunnel::Suite as S;
    let suite = |suite: &S| match suite {
        S::Aes128GcmSha256 => Suite::Aes128GcmSha256,
        S::Aes256GcmSha384 => Suite::Aes256GcmSha384,
        S::Chacha20Poly1305Sha256 => Suite::Chacha20Poly1305Sha256,
        S::EcdheEcdsaAes128GcmSha256 => Suite::EcdheEcdsaAes128GcmSha256,
        S::EcdheEcdsaAes256GcmSha384 => Suite::EcdheEcdsaAes256GcmSha384,
        S::EcdheEcdsaChacha20Poly1305Sha256 => Suite::EcdheEcdsaChacha20Poly1305,
        S::EcdheRsaAes128GcmSha256 => Suite::EcdheRsaAes128GcmSha256,
        S::EcdheRsaAes256GcmSha384 => Suite::EcdheRsaAes256GcmSha384,
        S::EcdheRsaChacha20Poly1305Sha256 => Suite::EcdheRsaChacha20Poly1305,
    };
    section.suites.iter().map(suite).collect()
}

fn groups(section: &Section) -> Vec<Group> {
    use stunnel::Group as G;
    let group = |group: &G| match group {
        G::X25519 => Group::X25519,
        G::P256 => Group::P256,
        G::P384 => Group::P384,
        G::X25519MlKem768 => Group::X25519MlKem768,
    };
    section.groups.iter().map(group).collect()
}
