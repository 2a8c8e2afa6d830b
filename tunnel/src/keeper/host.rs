//! One host of the store: what is served for it, and when its certificate is to be renewed.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use acme::{Identifier, renewal::Lifetime};
use config::Zeroizing;
use store::{host::Host, sealed};
use tls::Identity;

use super::{Settings, renewal::Renewal};
use crate::hosting::{Site, host_name};

/// A host, and how it is doing.
#[derive(Default)]
pub(super) struct Kept {
    /// What is served; `None`: nothing yet.
    pub(super) file: Option<File>,
    /// Why that is not what its file says.
    pub(super) fault: Option<String>,
    /// Its certificate's next one.
    pub(super) renewal: Renewal,
}

/// A file of the store, understood.
pub(super) struct File {
    pub(super) site: Site,
    /// Its certificates as the file has them.
    pub(super) chain: Vec<String>,
    /// Of its certificate; `None` where it can't be read.
    pub(super) lifetime: Option<Lifetime>,
    /// Whether it is to be renewed.
    pub(super) renew: bool,
    /// The names as an authority takes them, or why it takes none of it.
    pub(super) identifiers: Result<Vec<Identifier>, String>,
}

impl Kept {
    /// Takes what its file says now, or keeps what it has. A certificate that `is_ours` leaves it
    /// remembered what has failed.
    pub(super) fn update(&mut self, read: Result<File, String>, is_ours: bool) {
        let file = match read {
            Ok(file) => file,
            Err(fault) => return self.fault = Some(fault),
        };
        self.fault = None;
        let old = self.file.as_ref();
        if old.is_none_or(|old| old.site.chain != file.site.chain) {
            match is_ours {
                true => self.renewal.turn_to_next(),
                false => self.renewal = Renewal::default(),
            }
        }
        self.file = Some(file);
    }

    /// When its certificate is to be renewed if nothing has failed, seconds since 1970, UTC; `None`:
    /// never.
    pub(super) fn wanted_at(&self) -> Option<u64> {
        let file = self.file.as_ref().filter(|file| file.renew)?;
        let names = file.identifiers.as_ref().ok()?;
        let Some(lifetime) = &file.lifetime else {
            return Some(0);
        };
        match lifetime.is_self_issued || is_for_others(lifetime, names) {
            true => Some(0),
            false => Some(self.renewal.suggested().unwrap_or(lifetime.renewal())),
        }
    }

    /// What its certificate is called when its authority is asked when to renew it.
    pub(super) fn question(&self) -> Option<&str> {
        let file = self.file.as_ref().filter(|file| file.renew)?;
        let lifetime = file.lifetime.as_ref()?;
        let is_asked = !lifetime.is_self_issued && file.identifiers.is_ok();
        lifetime.id.as_deref().filter(|_| is_asked)
    }

    /// Why it is not renewed though it should be.
    pub(super) fn obstacle(&self) -> Option<&str> {
        let file = self.file.as_ref().filter(|file| file.renew)?;
        file.identifiers.as_ref().err().map(String::as_str)
    }

    pub(super) fn lifetime(&self) -> Option<&Lifetime> {
        self.file.as_ref()?.lifetime.as_ref()
    }
}

impl File {
    /// Understands the file of the host with this name; `secret` is what its key may be encrypted
    /// with.
    ///
    /// # Errors
    ///
    /// Why it can't be served. Nothing of the file is in it: there is a key in there.
    pub(super) fn read(
        name: &str,
        host: &Host,
        secret: Option<&[u8]>,
        settings: &Settings,
    ) -> Result<File, String> {
        let own = host_name(name).ok_or_else(|| format!("{name:?} is no host's name"))?;
        let pair = host.pairs.first().ok_or("it has no certificate")?;
        let key = sealed::open(&pair.key, secret).map_err(|error| error.to_string())?;
        let mut site =
            Site::of_store(&own, host, &settings.requests).ok_or("it has no certificate")?;
        site.key = Arc::new(key);
        let mut names = Vec::new();
        for name in core::mem::take(&mut site.names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        site.names = names;
        Identity::from_pem(
            site.chain.as_bytes(),
            site.key.as_bytes(),
            settings.provider,
        )
        .map_err(|error| error.to_string())?;
        Ok(File {
            chain: pair.chain.clone(),
            lifetime: Lifetime::of(&site.chain),
            renew: host.renew,
            identifiers: identifiers(&own, host),
            site,
        })
    }
}

/// Whether a certificate names others, and not all of these. One without alternative names at all
/// names nobody, and its owner knows why.
pub(super) fn is_for_others(lifetime: &Lifetime, names: &[Identifier]) -> bool {
    !lifetime.names.is_empty() && !names.iter().all(|name| lifetime.covers(name))
}

/// A host's names as an authority takes them.
///
/// # Errors
///
/// Which of them it does not take, and why.
pub(super) fn identifiers(name: &str, host: &Host) -> Result<Vec<Identifier>, String> {
    let mut identifiers = Vec::new();
    for name in core::iter::once(name).chain(host.names.iter().map(String::as_str)) {
        let identifier = Identifier::parse(name).map_err(|error| format!("{name}: {error}"))?;
        if identifier.is_wildcard() {
            return Err(format!("{name}: {}", acme::Error::Wildcard));
        }
        if !identifiers.contains(&identifier) {
            identifiers.push(identifier);
        }
    }
    Ok(identifiers)
}

/// The key's text, when `secret` says that it is to be encrypted.
///
/// # Errors
///
/// Why it can't be.
pub(super) fn sealed(
    key: &Zeroizing<String>,
    secret: Option<&[u8]>,
    fill: &mut dyn FnMut(&mut [u8]),
) -> Result<String, String> {
    match secret {
        None => Ok(String::clone(key)),
        Some(secret) => sealed::seal(key, secret, fill).map_err(|error| error.to_string()),
    }
}
