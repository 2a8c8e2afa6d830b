//! `stockade add`: a host's file as it is to be.

use ring::rand::{SecureRandom, SystemRandom};
use stockade_acme::Identifier;
use stockade_acme::renewal::Lifetime;
use stockade_store::host::{Host, Protocols};
use stockade_store::sealed;
use stockade_store::snapshot::{Change, Snapshot};
use zeroize::Zeroizing;

use super::certificate::{self, Given};
use crate::Result;
use crate::cli::{Add, Backend, Bound, Carriage, Protocol};

/// What is asked for, read and judged as far as that goes without the store.
pub(super) struct Wish {
    /// The host's name, as its file is called.
    pub(super) hostname: String,
    name: Identifier,
    /// Further names; `None`: as they are.
    names: Option<Vec<Identifier>>,
    backend: Option<Backend>,
    given: Option<Given>,
    protocols: Option<Protocols>,
    /// What the backend of a new host speaks.
    new_protocols: Protocols,
    renew: Option<bool>,
    carriage: Carriage,
    store_key: Option<Zeroizing<String>>,
}

/// What the store has been like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether there was such a host.
    pub(super) was_there: bool,
    /// Whether keys of other hosts are encrypted, and this one's is not.
    pub(super) is_bare: bool,
}

impl Wish {
    /// What the options ask for; new hosts' backends speak `new_protocols`.
    ///
    /// # Errors
    ///
    /// What is wrong with them or with the files that they name.
    pub(super) fn new(options: &Add, new_protocols: Protocols) -> Result<Wish> {
        let parse = |option: &str, name: &str| {
            Identifier::parse(name).map_err(|error| format!("{option} {name:?}: {error}"))
        };
        let name = parse("--hostname", &options.hostname)?;
        let mut names = Vec::new();
        for text in &options.names {
            let further = parse("--name", text)?;
            if further != name && !names.contains(&further) {
                names.push(further);
            }
        }
        let given = match (&options.cert, &options.private_key) {
            (Some(certificate), Some(key)) => Some(certificate::given(certificate, key)?),
            _ => None,
        };
        let store_key = options.store_key.as_ref();
        let store_key = store_key.map(|key| key.read("--store-key")).transpose()?;
        let renew = match (options.no_renew, options.renew) {
            (true, _) => Some(false),
            (_, true) => Some(true),
            _ => None,
        };
        let wish = Wish {
            hostname: name.to_string(),
            name,
            names: (!options.names.is_empty()).then_some(names),
            backend: options.ip,
            given,
            protocols: protocols(&options.alpn),
            new_protocols,
            renew,
            carriage: options.carriage.clone(),
            store_key,
        };
        Ok(wish)
    }

    /// What is to be said of the certificate that was given.
    pub(super) fn warnings(&self) -> &[String] {
        self.given.as_ref().map_or(&[], |given| &given.warnings)
    }

    /// The host's file in this state of the store.
    ///
    /// # Errors
    ///
    /// It can't be as it is asked for.
    pub(super) fn apply(&self, snapshot: &Snapshot) -> Result<(Change, Found)> {
        let hostname = &self.hostname;
        let file = snapshot
            .files()
            .find(|(name, _)| name.eq_ignore_ascii_case(hostname));
        let mut host = match file {
            Some((_, content)) => Host::parse(content).map_err(|error| {
                format!(
                    "{hostname}: its file in the store can't be read: {error}; `stockade remove --hostname \
                     {hostname}` makes room for another"
                )
            })?,
            None => self.fresh()?,
        };
        if let Some(names) = &self.names {
            host.names = names.iter().map(ToString::to_string).collect();
        }
        if let (Some(backend), Some(_)) = (self.backend, file) {
            (host.backend, host.port) = (backend.address, backend.port);
        }
        if let Some(protocols) = self.protocols {
            host.protocols = protocols;
        }
        if let Some(renew) = self.renew {
            host.renew = renew;
        }
        host.mode = self.carriage.mode.or(host.mode);
        if let Some(Bound(seconds)) = self.carriage.hsts {
            host.hsts = seconds;
        }
        if let Some(Bound(bytes)) = self.carriage.max_body {
            host.max_body = bytes;
        }
        host.check()
            .map_err(|error| format!("{hostname}: so its file can't be: {error}"))?;
        let names = self.all_names(&host)?;
        if let (Some(given), Some(_)) = (&self.given, file) {
            host.replace(given.pair.clone());
        }
        self.check(&host, &names, file.is_some())?;
        let others = Others::of(snapshot, hostname);
        others.check(&names)?;
        if let Some(key) = &self.store_key {
            for pair in &mut host.pairs {
                pair.key = seal(&pair.key, key)?;
            }
        }
        let is_bare = host.pairs.iter().any(|pair| !sealed::is_sealed(&pair.key));
        let found = Found {
            was_there: file.is_some(),
            is_bare: is_bare && others.have_sealed,
        };
        let change = Change {
            name: file.map_or(hostname.as_str(), |(name, _)| name).to_owned(),
            content: Some(host.to_file()),
        };
        Ok((change, found))
    }

    /// A host that was not there.
    fn fresh(&self) -> Result<Host> {
        let hostname = &self.hostname;
        let backend = self.backend.ok_or_else(|| {
            format!(
                "{hostname} is a new host: --ip ADDRESS[:PORT] is to say where its plaintext goes"
            )
        })?;
        let pair = match &self.given {
            Some(given) => given.pair.clone(),
            None if self.renew == Some(false) => {
                return Err(format!(
                    "{hostname}: with --no-renew nobody gets a certificate: give one with --cert and \
                     --private-key"
                )
                .into());
            }
            None => {
                let further = self.names.iter().flatten().cloned();
                let names: Vec<Identifier> =
                    [self.name.clone()].into_iter().chain(further).collect();
                certificate::placeholder(&names)?
            }
        };
        let mut host = Host::new(pair, backend.address, backend.port);
        host.protocols = self.new_protocols;
        Ok(host)
    }

    /// The host's names, its own first.
    fn all_names(&self, host: &Host) -> Result<Vec<Identifier>> {
        let mut names = vec![self.name.clone()];
        for name in &host.names {
            let further = Identifier::parse(name);
            names.push(further.map_err(|error| format!("{}: {name:?}: {error}", self.hostname))?);
        }
        Ok(names)
    }

    fn check(&self, host: &Host, names: &[Identifier], was_there: bool) -> Result<()> {
        let hostname = &self.hostname;
        if host.renew
            && let Some(name) = names.iter().find(|name| name.is_wildcard())
        {
            return Err(format!(
                "{name}: no authority gives such a certificate without proof in the DNS, which the image \
                 does not give: use --no-renew with --cert and --private-key"
            )
            .into());
        }
        let lifetime = match &self.given {
            Some(given) => Some(given.lifetime.clone()),
            // What is to be replaced by an authority need not be for the new names.
            None if host.renew || !was_there => None,
            None => host
                .pairs
                .first()
                .and_then(|pair| Lifetime::of(&pair.chain.concat())),
        };
        let Some(lifetime) = lifetime else {
            return Ok(());
        };
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !lifetime.covers(name))
            .map(ToString::to_string)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let of = lifetime.names.iter().map(ToString::to_string);
        let of: Vec<String> = of.collect();
        let of = match of.is_empty() {
            true => "no name at all".to_owned(),
            false => of.join(", "),
        };
        Err(format!(
            "{hostname}: the certificate is not for {}, but for {of} (its subjectAltName counts)",
            missing.join(", ")
        )
        .into())
    }
}

/// What other hosts there are.
struct Others {
    /// Each name with the host that has it.
    names: Vec<(String, String)>,
    have_sealed: bool,
}

impl Others {
    fn of(snapshot: &Snapshot, hostname: &str) -> Others {
        let mut others = Others {
            names: Vec::new(),
            have_sealed: false,
        };
        for (name, content) in snapshot.files() {
            if name.eq_ignore_ascii_case(hostname) {
                continue;
            }
            // One that can't be read has no names; `list` tells of it.
            let Ok(host) = Host::parse(content) else {
                continue;
            };
            let mut pairs = host.pairs.iter();
            others.have_sealed |= pairs.any(|pair| sealed::is_sealed(&pair.key));
            let all = [name.to_owned()].into_iter().chain(host.names);
            let all = all.map(|each| (each.to_ascii_lowercase(), name.to_owned()));
            others.names.extend(all);
        }
        others
    }

    fn check(&self, names: &[Identifier]) -> Result<()> {
        for name in names {
            let name = name.to_string();
            if let Some((_, host)) = self.names.iter().find(|(known, _)| *known == name) {
                return Err(format!("{name}: the host {host} has this name already").into());
            }
        }
        Ok(())
    }
}

fn protocols(list: &[Protocol]) -> Option<Protocols> {
    (!list.is_empty()).then(|| Protocols {
        http2: list.contains(&Protocol::Http2),
        http1: list.contains(&Protocol::Http1),
    })
}

fn seal(key: &str, secret: &str) -> Result<String> {
    let mut has_failed = false;
    let sealed = sealed::seal(key, secret.as_bytes(), |bytes| {
        has_failed |= SystemRandom::new().fill(bytes).is_err();
    });
    match has_failed {
        true => Err("this system gives no random bytes".into()),
        false => Ok(sealed.map_err(|error| format!("--store-key: {error}"))?),
    }
}

#[cfg(test)]
mod tests;
