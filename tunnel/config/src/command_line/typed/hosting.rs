//! The options of hosts that are served by name.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::net::IpAddr;
use core::time::Duration;

use super::super::links::Links;
use super::super::options::{self, OptionSpec};
use super::super::{DEFAULT_ACCEPT_PORT, Found, Position, Problem, value};
use super::{Checker, Item};
use crate::hosting::{
    AuthoritySource, HTTP_PORT, HostingSource, KeyKind, NOTICES_PORT, POLL, PRODUCTION, STAGING,
    StoreSource,
};
use crate::types::{Accept, Host, ServiceSource, Source};

/// Longest time between two looks at the store: a day.
const MAX_POLL: u32 = 86_400;
/// Longest text that names something, in bytes: far more than any authority's address has.
const MAX_TEXT: usize = 2048;

/// What means nothing without a store, besides what is [`OF_AUTHORITY`].
static OF_STORE: [&OptionSpec; 9] = [
    &options::SSH_KEY,
    &options::SSH_HOST_KEY,
    &options::PASS,
    &options::PRODUCTION,
    &options::STORE_KEY,
    &options::NO_ACME,
    &options::POLL,
    &options::LEGACY_RELOAD,
    &options::RELOAD_PORT,
];

/// What means nothing where no authority is asked.
static OF_AUTHORITY: [&OptionSpec; 7] = [
    &options::EMAIL,
    &options::AUTHORITY,
    &options::AUTHORITY_CA,
    &options::PROFILE,
    &options::EAB,
    &options::ACCOUNT_SEED,
    &options::KEY_TYPE,
];

impl<'a> Checker<'_, 'a> {
    /// The option that asks for hosts by name, if there is one, and where it stands.
    pub(super) fn asks_for_hosts(&self) -> Option<(&'static OptionSpec, Position)> {
        [&options::REMOTE, &options::HOSTS]
            .into_iter()
            .find_map(|option| Some((option, self.raw.one(option)?.position)))
    }

    /// Reports the options that mean something with hosts by name alone.
    pub(super) fn without_hosts(&mut self) {
        self.without_store();
        for option in [&options::HTTP, &options::DEFAULT_HOST] {
            self.refuse(option, Problem::NeedsHosts);
        }
    }

    fn without_store(&mut self) {
        let other = &options::REMOTE;
        for option in OF_STORE.into_iter().chain(OF_AUTHORITY) {
            self.refuse(option, Problem::Needs { other });
        }
    }

    /// Reports the option, if it is given.
    pub(super) fn refuse(&mut self, option: &OptionSpec, problem: Problem) {
        if let Some(given) = self.raw.one(option) {
            self.report(option, Some(given.position), problem);
        }
    }

    /// Everything that is served by name.
    pub(super) fn hosting(
        &mut self,
        asking: (&'static OptionSpec, Position),
        accept: Option<Accept>,
        links: Option<&Links>,
    ) -> Option<ServiceSource> {
        let (asking, position) = asking;
        let other = asking.name;
        for option in [&options::CERT, &options::KEY, &options::CONF] {
            self.refuse(option, Problem::Beside { other, position });
        }
        let folder = self.one(&options::HOSTS, value::folder);
        let is_folder_bad = folder.is_bad();
        let folder = folder.good().map(|(folder, _)| folder.clone());
        let default_host = self.one(&options::DEFAULT_HOST, |text| {
            value::host(text).ok_or_else(|| value::malformed(&options::DEFAULT_HOST, text))
        });
        let default_host = default_host.good().map(|(host, _)| host.to_string());
        let accept = accept.unwrap_or(Accept {
            host: None,
            port: DEFAULT_ACCEPT_PORT,
        });
        let http = self.http(accept.host, links);
        let store = if self.raw.one(&options::REMOTE).is_some() {
            Some(self.store(accept.host)?)
        } else {
            self.without_store();
            None
        };
        let notices = store.as_ref().filter(|store| store.pass.is_some());
        let notices = notices.map(|store| store.notices);
        self.apart((&options::HTTP, http?), (&options::ACCEPT, Some(accept)));
        self.apart(
            (&options::RELOAD_PORT, notices),
            (&options::ACCEPT, Some(accept)),
        );
        self.apart((&options::RELOAD_PORT, notices), (&options::HTTP, http?));
        if is_folder_bad {
            return None;
        }
        Some(ServiceSource::Hosting(Box::new(HostingSource {
            folder,
            default_host,
            http: http?,
            store,
        })))
    }

    /// Where HTTP is answered, if anywhere; `None` when that is wrong, which is reported.
    fn http(&mut self, host: Option<IpAddr>, links: Option<&Links>) -> Option<Option<Accept>> {
        let is_off = |given: &super::super::raw::Given<'_>| given.value == Some("none");
        if self.raw.one(&options::HTTP).is_some_and(is_off) {
            return Some(None);
        }
        let port = HTTP_PORT;
        match self.listener(&options::HTTP, links) {
            Item::Absent => Some(Some(Accept { host, port })),
            Item::Good(accept, _) => Some(Some(accept)),
            Item::Bad => None,
        }
    }

    /// Reports two listeners that are one.
    fn apart(
        &mut self,
        (option, one): (&'static OptionSpec, Option<Accept>),
        (other, another): (&'static OptionSpec, Option<Accept>),
    ) {
        let (Some(one), Some(another)) = (one, another) else {
            return;
        };
        let apart =
            matches!((one.host, another.host), (Some(one), Some(another)) if one != another);
        if apart || one.port != another.port {
            return;
        }
        let port = one.port;
        // The one that was given is the one to be changed.
        let (option, other) = match self.raw.one(option) {
            None if self.raw.one(other).is_some() => (other, option),
            _ => (option, other),
        };
        let position = self.raw.one(option).map(|given| given.position);
        let other = other.name;
        self.report(option, position, Problem::SamePort { other, port });
    }

    fn store(&mut self, host: Option<IpAddr>) -> Option<StoreSource> {
        let remote = self.text(&options::REMOTE);
        if let Some(Some(remote)) = &remote
            && is_loopback(remote)
        {
            self.refuse(&options::REMOTE, Problem::LoopbackPeer);
        }
        let ssh_key = self.one(&options::SSH_KEY, ssh_key);
        if let Item::Absent = ssh_key {
            let given = self.raw.one(&options::REMOTE);
            let partner = given.map(|given| (given.option.name, given.position));
            let expected = &options::SSH_KEY;
            self.report(expected, None, Problem::Missing { expected, partner });
        }
        let ssh_host_key = self.secret(&options::SSH_HOST_KEY);
        let pass = self.secret(&options::PASS);
        let encryption = self.secret(&options::STORE_KEY);
        let legacy_reload = self.one(&options::LEGACY_RELOAD, |_| Ok(()));
        let port = self.one(&options::RELOAD_PORT, value::port_number);
        if self.raw.one(&options::PASS).is_none() {
            let other = &options::PASS;
            self.refuse(&options::LEGACY_RELOAD, Problem::Needs { other });
            self.refuse(&options::RELOAD_PORT, Problem::Needs { other });
        }
        let poll = self.one(&options::POLL, |text| {
            let found = || Found::new(text);
            let most = MAX_POLL;
            let seconds = value::number(text).filter(|seconds| (1..=most).contains(seconds));
            seconds.ok_or_else(|| Problem::Seconds {
                most,
                found: found(),
            })
        });
        let authority = self.authority();
        let is_bad = port.is_bad() || poll.is_bad();
        let port = port.good().map_or(NOTICES_PORT, |(port, _)| *port);
        let poll = poll.good().map(|(poll, _)| (*poll).into());
        let ssh_key = ssh_key.good().map(|(key, _)| key.clone());
        Some(StoreSource {
            remote: remote?.filter(|_| !is_bad)?,
            ssh_key: ssh_key?,
            ssh_host_key: ssh_host_key?,
            pass: pass?,
            notices: Accept { host, port },
            legacy_reload: legacy_reload.good().is_some(),
            poll: poll.map_or(POLL, Duration::from_secs),
            encryption: encryption?,
            authority: authority?,
        })
    }

    /// Who issues certificates, if anybody; `None` when that is wrong, which is reported.
    fn authority(&mut self) -> Option<Option<AuthoritySource>> {
        let production = self.one(&options::PRODUCTION, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(value::malformed(&options::PRODUCTION, text)),
        });
        let is_production = production.good().is_some_and(|(production, _)| *production);
        let directory = self.one(&options::AUTHORITY, directory);
        let email = self.one(&options::EMAIL, email);
        let profile = self.text(&options::PROFILE);
        let roots = self.one(&options::AUTHORITY_CA, |text| {
            value::source(&options::AUTHORITY_CA, text, Some("CERTIFICATE-----"))
        });
        let binding = self.one(&options::EAB, |text| {
            let source = value::secret(&options::EAB, text)?;
            match &source {
                Source::Inline(bytes) if crate::hosting::binding(bytes).is_none() => {
                    Err(Problem::Malformed {
                        expected: &options::EAB,
                        found: Found::Hidden(text.len()),
                    })
                }
                _ => Ok(source),
            }
        });
        let account_seed = self.secret(&options::ACCOUNT_SEED);
        let key = self.one(&options::KEY_TYPE, key_kind);

        if let Some(off) = self.raw.one(&options::NO_ACME) {
            let (other, position) = (off.option.name, off.position);
            for option in OF_AUTHORITY {
                self.refuse(option, Problem::Against { other, position });
            }
            if is_production {
                let problem = Problem::Against { other, position };
                self.refuse(&options::PRODUCTION, problem);
            }
            return Some(None);
        }
        if let (true, Some(given)) = (is_production, self.raw.one(&options::AUTHORITY)) {
            let (other, position) = (given.option.name, given.position);
            self.refuse(&options::PRODUCTION, Problem::Against { other, position });
        }
        let is_bad = production.is_bad()
            || directory.is_bad()
            || email.is_bad()
            || roots.is_bad()
            || binding.is_bad()
            || key.is_bad();
        let usual = if is_production { PRODUCTION } else { STAGING };
        let directory = directory.good().map(|(url, _)| url.clone());
        let authority = AuthoritySource {
            directory: directory.unwrap_or_else(|| usual.into()),
            roots: roots.good().map(|(roots, _)| roots.clone()),
            email: email.good().map(|(email, _)| email.clone()),
            profile: profile?,
            binding: binding.good().map(|(binding, _)| binding.clone()),
            account_seed: account_seed?,
            key: key.good().map_or(KeyKind::default(), |(kind, _)| *kind),
        };
        Some((!is_bad).then_some(authority)).filter(Option::is_some)
    }

    /// A secret, if it is given; `None` when it is wrong, which is reported.
    fn secret(&mut self, option: &'static OptionSpec) -> Option<Option<Source>> {
        match self.one(option, |text| value::secret(option, text)) {
            Item::Absent => Some(None),
            Item::Bad => None,
            Item::Good(source, _) => Some(Some(source)),
        }
    }

    /// One word, if it is given; `None` when it is wrong, which is reported.
    fn text(&mut self, option: &'static OptionSpec) -> Option<Option<String>> {
        let read = |text: &'a str| match text.is_empty() || !is_text(text) {
            true => Err(value::malformed(option, text)),
            false => Ok(String::from(text)),
        };
        match self.one(option, read) {
            Item::Absent => Some(None),
            Item::Bad => None,
            Item::Good(text, _) => Some(Some(text)),
        }
    }
}

/// Whether the machine that `ssh://USER@HOST:PORT/PATH`, `USER@HOST:PATH` or `https://HOST:PORT/PATH`
/// names is the image itself.
fn is_loopback(text: &str) -> bool {
    let place = text.split_once("://").map_or(text, |(_, rest)| rest);
    let place = place.split(['/', '#']).next().unwrap_or_default();
    let place = place.rsplit('@').next().unwrap_or_default();
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    };
    let address = host.parse().ok().map(Host::Address);
    address
        .or_else(|| value::host(host))
        .is_some_and(|host| value::is_loopback(&host))
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A key to log in with. Those of awa are seeds for RSA, without a mark or with `rsa:`.
fn ssh_key(text: &str) -> Result<Source, Problem> {
    let source = value::secret(&options::SSH_KEY, text)?;
    let is_named = text.starts_with("file:") || text.starts_with("base64:");
    match is_named || text.starts_with(crate::hosting::SEED) {
        true => Ok(source),
        false => Err(Problem::ForeignKey),
    }
}

/// The address of a directory: nobody else is to see or change what is asked (RFC 8555 §6.1).
fn directory(text: &str) -> Result<String, Problem> {
    match text.strip_prefix("https://") {
        Some(_) if is_loopback(text) => Err(Problem::LoopbackPeer),
        Some(rest) if is_text(text) && !rest.is_empty() && !rest.starts_with('/') => {
            Ok(text.into())
        }
        Some(_) => Err(value::malformed(&options::AUTHORITY, text)),
        None => Err(Problem::NotHttps {
            found: Found::new(text),
        }),
    }
}

/// An address of mail, with or without `mailto:` before it.
fn email(text: &str) -> Result<String, Problem> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    match address.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && is_text(address) => {
            Ok(address.into())
        }
        _ => Err(value::malformed(&options::EMAIL, text)),
    }
}

fn key_kind(text: &str) -> Result<KeyKind, Problem> {
    match text {
        "p256" => Ok(KeyKind::P256),
        "rsa2048" => Ok(KeyKind::Rsa(2048)),
        "rsa3072" => Ok(KeyKind::Rsa(3072)),
        "rsa4096" => Ok(KeyKind::Rsa(4096)),
        _ => Err(value::malformed(&options::KEY_TYPE, text)),
    }
}
