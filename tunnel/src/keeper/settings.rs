//! What a keeper has to know: the store's place and keys, the authority, what is served besides.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{fmt::Display, time::Duration};

use acme::{Binding, ChallengeKind, Key, Purpose};
use base64ct::{Base64UrlUnpadded, Encoding};
use config::{
    Config, Zeroizing,
    hosting::{Authority, Hosting, KeyKind},
    requests::Requests,
};
use store::{
    git::Limits,
    remote::Remote,
    sealed::{LEAST_SECRET, SealError},
    ssh::{HostKey, LoginKey},
    visit::Access,
};
use tls::Provider;

use crate::{
    hosting::{Sites, of_files},
    service,
};

/// The store is not looked at more often than this, whatever the options say.
const SHORTEST_POLL: Duration = Duration::from_secs(1);

/// What a [`Keeper`](super::Keeper) has to know, read and checked.
pub struct Settings {
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) poll: Duration,
    pub(super) provider: Provider,
    /// What holds of hosts that say nothing of it.
    pub(super) requests: Requests,
    /// What is served whatever is in the store.
    pub(super) sites: Sites,
    pub(super) issuer: Option<Issuer>,
    /// With what private keys are encrypted in the store.
    pub(super) encryption: Option<Zeroizing<Vec<u8>>>,
}

/// An authority, and who we are there.
pub(super) struct Issuer {
    pub(super) directory: String,
    pub(super) roots: Option<Vec<u8>>,
    pub(super) account: Key,
    pub(super) email: Option<String>,
    pub(super) profile: Option<String>,
    binding: Option<(String, Zeroizing<Vec<u8>>)>,
    /// What proofs can be given, the best first.
    pub(super) proofs: Vec<ChallengeKind>,
    /// The kind of the certificates' keys.
    pub(super) key: KeyKind,
}

impl Settings {
    /// Reads what the options say of the store and the authority.
    ///
    /// # Errors
    ///
    /// A line for each option that can't be used; it names the option, and no secret.
    pub fn read(hosting: &Hosting, config: &Config) -> Result<Settings, Vec<String>> {
        let mut errors = Vec::new();
        let Some(store) = &hosting.store else {
            return Err(vec![
                "--remote: without it there is no store to keep".into(),
            ]);
        };
        let remote = told("--remote", Remote::parse(&store.remote), &mut errors);
        let key = told("--ssh-key", LoginKey::parse(&store.ssh_key), &mut errors);
        let host_key = store.ssh_host_key.as_deref().map(HostKey::parse);
        let host_key = told("--ssh-host-key", host_key.transpose(), &mut errors);
        let issuer = store.authority.as_ref().map(|authority| {
            let proofs = match hosting.http {
                Some(_) => vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
                None => vec![ChallengeKind::TlsAlpn01],
            };
            let seed = key.as_ref().map(|key| key.seed().as_slice());
            Issuer::read(authority, seed, proofs, &mut errors)
        });
        let secret = store.encryption.clone();
        if secret
            .as_ref()
            .is_some_and(|secret| secret.len() < LEAST_SECRET)
        {
            errors.push(format!("--store-key: {}", SealError::Short));
        }
        let sites = of_files(hosting, config).unwrap_or_else(|told| {
            errors.extend(told);
            Sites::default()
        });
        match (remote, key, host_key, errors.is_empty()) {
            (Some(remote), Some(key), Some(host_key), true) => Ok(Settings {
                access: Access {
                    remote,
                    key,
                    host_key,
                },
                limits: Limits::default(),
                poll: store.poll.max(SHORTEST_POLL),
                provider: service::provider(config.crypto),
                requests: config.requests,
                sites,
                issuer: issuer.flatten(),
                encryption: secret,
            }),
            _ => Err(errors),
        }
    }
}

impl Issuer {
    fn read(
        authority: &Authority,
        login_seed: Option<&[u8]>,
        proofs: Vec<ChallengeKind>,
        errors: &mut Vec<String>,
    ) -> Option<Issuer> {
        let directory = authority.directory.as_str();
        let is_url = directory
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
        let directory = is_url.then_some(directory);
        let directory = directory.ok_or("the address of a directory begins with https://");
        let directory = told("--authority", directory, errors);
        let binding = authority.binding.as_ref().map(|(name, secret)| {
            let secret = secret.trim().trim_end_matches('=');
            let secret = Base64UrlUnpadded::decode_vec(secret);
            let secret = secret.map_err(|_| "the key behind the colon is not base64url");
            secret.map(|secret| (name.clone(), Zeroizing::new(secret)))
        });
        let binding = told("--eab", binding.transpose(), errors);
        let email = authority.email.as_deref().map(|email| {
            let is_one = email.contains('@') && email.bytes().all(|byte| byte.is_ascii_graphic());
            let email = is_one.then(|| email.to_string());
            email.ok_or("this is no address for e-mail, such as admin@example.org")
        });
        let email = told("--email", email.transpose(), errors);
        let seed = authority.account_seed.as_deref().map(Vec::as_slice);
        // Without a key for the store there is an error already.
        let seed = seed.or(login_seed)?;
        let account = Key::from_seed(seed, Purpose::Account);
        let account = told("--account-seed", account, errors);
        Some(Issuer {
            directory: directory?.into(),
            roots: authority.roots.clone(),
            account: account?,
            email: email?,
            profile: authority.profile.clone(),
            binding: binding?,
            key: authority.key,
            proofs,
        })
    }

    /// What binds the account to another one, for one order.
    pub(super) fn binding(&self) -> Option<Binding> {
        let (name, secret) = self.binding.as_ref()?;
        Some(Binding {
            name: name.clone(),
            secret: secret.clone(),
        })
    }
}

/// The value, or a line that names the option.
fn told<T, E: Display>(option: &str, read: Result<T, E>, errors: &mut Vec<String>) -> Option<T> {
    read.map_err(|error| errors.push(format!("{option}: {error}")))
        .ok()
}
