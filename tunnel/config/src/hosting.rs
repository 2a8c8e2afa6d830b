//! Hosts that are served by name: where their certificates and backends come from, and who issues
//! new certificates.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::types::Accept;

/// Where notices come that the store has changed, unless the options say otherwise: contruno's port.
pub const NOTICES_PORT: u16 = 9418;

/// Where HTTP is answered in the clear, unless the options say otherwise (RFC 9110 §4.2.1).
pub const HTTP_PORT: u16 = 80;

/// How often the store is looked at, unless the options say otherwise.
pub const POLL: Duration = Duration::from_secs(300);

/// Let's Encrypt for trial: its certificates are trusted by nobody.
pub const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// Let's Encrypt.
pub const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Hosts that are served by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosting {
    /// Hosts of the boot archive.
    pub files: Vec<HostFile>,
    /// The host for clients that ask for none or for one that is not known; without one, they are
    /// refused.
    pub default_host: Option<String>,
    /// Where HTTP is answered in the clear: authorities' challenges, and redirects to https.
    pub http: Option<Accept>,
    /// The repository with further hosts.
    pub store: Option<Store>,
}

/// A host's file in the boot archive: PEM (a chain and its key), or JSON as the store has it.
#[derive(Clone, PartialEq, Eq)]
pub struct HostFile {
    /// The host's name, which is the file's, without `.pem` or `.json`.
    pub name: String,
    /// Its content; there is a private key in it.
    pub text: Zeroizing<Vec<u8>>,
}

/// A Git repository with a file for each host, reached over SSH.
#[derive(Clone, PartialEq, Eq)]
pub struct Store {
    /// `git@HOST:PATH#BRANCH` (`--remote`), not yet read.
    pub remote: String,
    /// The key to log in with (`--ssh-key`), not yet read.
    pub ssh_key: Zeroizing<String>,
    /// The other machine's key (`--ssh-host-key`), not yet read; without one, none is trusted, and an
    /// error tells the one there is.
    pub ssh_host_key: Option<String>,
    /// What those know who may say that the store has changed (`--pass`); without one, nobody may.
    pub pass: Option<Zeroizing<Vec<u8>>>,
    /// Where they say it.
    pub notices: Accept,
    /// Whether the bare password will do (`--legacy-reload`).
    pub legacy_reload: bool,
    /// How often the store is looked at.
    pub poll: Duration,
    /// With what private keys are encrypted in the store (`--store-key`); without one, they are in
    /// the clear.
    pub encryption: Option<Zeroizing<Vec<u8>>>,
    /// Who issues certificates; nobody: those of the store are served as they are.
    pub authority: Option<Authority>,
}

/// An authority that issues certificates by ACME (RFC 8555).
#[derive(Clone, PartialEq, Eq)]
pub struct Authority {
    /// The address of its directory.
    pub directory: String,
    /// PEM certificates that its own is trusted by; `None`: the usual public ones.
    pub roots: Option<Vec<u8>>,
    /// Where it may write to.
    pub email: Option<String>,
    /// The kind of certificate, where it has several (`--profile`).
    pub profile: Option<String>,
    /// What binds our account to another one: its name, and its key in base64url (RFC 8555 §7.3.4).
    pub binding: Option<(String, Zeroizing<String>)>,
    /// From what the account's key grows; `None`: from the key for the store.
    pub account_seed: Option<Zeroizing<Vec<u8>>>,
    /// The kind of the certificates' keys.
    pub key: KeyKind,
}

/// A kind of private keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// The curve P-256.
    #[default]
    P256,
    /// RSA of so many bits: 2,048, 3,072 or 4,096.
    Rsa(u16),
}

impl fmt::Debug for HostFile {
    /// Shows no byte of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.text.len())
    }
}

impl fmt::Debug for Store {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("remote", &self.remote)
            .field("ssh_host_key", &self.ssh_host_key)
            .field("has_pass", &self.pass.is_some())
            .field("notices", &self.notices)
            .field("legacy_reload", &self.legacy_reload)
            .field("poll", &self.poll)
            .field("encrypts", &self.encryption.is_some())
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Authority {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("directory", &self.directory)
            .field("email", &self.email)
            .field("profile", &self.profile)
            .field("is_bound", &self.binding.is_some())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
