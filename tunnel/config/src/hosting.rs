//! Hosts that are served by name: where their certificates and backends come from, and who issues
//! new certificates.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use zeroize::Zeroizing;

use crate::types::{Accept, Source};

/// How the text of a key to log in with begins.
pub(crate) const SEED: &str = "ed25519:";

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
    /// PEM certificates that its own is trusted by; `None`: the public ones of authorities that offer ACME.
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

/// [`Hosting`] as the command line says it: its texts may be in the boot archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostingSource {
    /// The folder of the boot archive whose files are hosts, without a slash at its end (`--hosts`).
    pub folder: Option<String>,
    /// See [`Hosting::default_host`].
    pub default_host: Option<String>,
    /// See [`Hosting::http`].
    pub http: Option<Accept>,
    /// See [`Hosting::store`].
    pub store: Option<StoreSource>,
}

/// [`Store`] as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSource {
    /// See [`Store::remote`].
    pub remote: String,
    /// See [`Store::ssh_key`].
    pub ssh_key: Source,
    /// See [`Store::ssh_host_key`].
    pub ssh_host_key: Option<Source>,
    /// See [`Store::pass`].
    pub pass: Option<Source>,
    /// See [`Store::notices`].
    pub notices: Accept,
    /// See [`Store::legacy_reload`].
    pub legacy_reload: bool,
    /// See [`Store::poll`].
    pub poll: Duration,
    /// See [`Store::encryption`].
    pub encryption: Option<Source>,
    /// See [`Store::authority`].
    pub authority: Option<AuthoritySource>,
}

/// [`Authority`] as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritySource {
    /// See [`Authority::directory`].
    pub directory: String,
    /// See [`Authority::roots`].
    pub roots: Option<Source>,
    /// See [`Authority::email`].
    pub email: Option<String>,
    /// See [`Authority::profile`].
    pub profile: Option<String>,
    /// See [`Authority::binding`].
    pub binding: Option<Source>,
    /// See [`Authority::account_seed`].
    pub account_seed: Option<Source>,
    /// See [`Authority::key`].
    pub key: KeyKind,
}

/// Reads `ID:KEY`, of which the key has no colon: it is in base64url (RFC 4648 §5).
pub(crate) fn binding(text: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let text = core::str::from_utf8(text).ok()?.trim();
    let (id, key) = text.rsplit_once(':')?;
    let is_symbol = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let symbols = key.trim_end_matches('=');
    let is_key = !symbols.is_empty() && symbols.bytes().all(is_symbol);
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    (is_key && is_id).then(|| (id.into(), Zeroizing::new(symbols.into())))
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
