//! What a keeper has to know: the store's place and keys, the authority, what is served besides.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::{fmt::Display, time::Duration};

use base64ct::{Base64UrlUnpadded, Encoding};
use config::{
    Config, Zeroizing,
    hosting::{Authority, Hosting},
};
use store::{
    git::Limits,
    remote::Remote,
    ssh::{HostKey, LoginKey},
    visit::Access,
};
use tls::Provider;

use crate::{
    hosting::{Notices, Sites},
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
    /// What is served whatever is in the store.
    pub(super) sites: Sites,
    pub(super) issuer: Option<Issuer>,
}

/// An authority.
pub(super) struct Issuer {
    pub(super) roots: Option<Vec<u8>>,
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
        let issuer = store
            .authority
            .as_ref()
            .map(|authority| Issuer::read(authority, &mut errors));
        let notices = Notices::of_store(store);
        let notices = notices.map_err(|error| errors.push(error.into()));
        let sites = Sites {
            default_host: hosting.default_host.clone(),
            https: Some(config.accept),
            http: hosting.http,
            notices: notices.ok().flatten(),
            ..Sites::default()
        };
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
                sites,
                issuer: issuer.flatten(),
            }),
            _ => Err(errors),
        }
    }
}

impl Issuer {
    fn read(authority: &Authority, errors: &mut Vec<String>) -> Option<Issuer> {
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
        directory.and(binding).and(email)?;
        Some(Issuer {
            roots: authority.roots.clone(),
        })
    }
}

/// The value, or a line that names the option.
fn told<T, E: Display>(option: &str, read: Result<T, E>, errors: &mut Vec<String>) -> Option<T> {
    read.map_err(|error| errors.push(format!("{option}: {error}")))
        .ok()
}
