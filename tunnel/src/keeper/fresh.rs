//! Certificates that are not yet in the store.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use acme::renewal::Lifetime;
use config::Zeroizing;
use store::host::{Host, Pair};

use super::host::{identifiers, is_for_others};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate that an authority has just given.
pub(super) struct Fresh {
    /// The chain, PEM, one text for each certificate.
    pub(super) chain: Vec<String>,
    /// The key, PEM.
    pub(super) key: Zeroizing<String>,
    pub(super) lifetime: Lifetime,
    /// The chain that was in the file when it was ordered.
    pub(super) replaced: Vec<String>,
    /// Whether it is served before it is in the store, which takes its time.
    pub(super) is_in_use: bool,
}

impl Fresh {
    /// Whether it is to stand in this file.
    ///
    /// # Errors
    ///
    /// Why not: the file has changed since it was ordered.
    pub(super) fn is_wanted(&self, name: &str, host: &Host, unix: u64) -> Result<(), &'static str> {
        let names = identifiers(name, host).unwrap_or_default();
        if !host.renew {
            return Err("nobody is to renew it any more");
        }
        if names.is_empty() || is_for_others(&self.lifetime, &names) {
            return Err("its names have changed meanwhile");
        }
        let theirs = host.pairs.first().map(|pair| &pair.chain);
        if theirs == Some(&self.replaced) || theirs == Some(&self.chain) {
            return Ok(());
        }
        let theirs = theirs.and_then(|chain| Lifetime::of(&chain.concat()));
        let will_do = theirs.is_some_and(|theirs| {
            !theirs.is_self_issued && theirs.not_after > unix && !is_for_others(&theirs, &names)
        });
        match will_do {
            true => Err("somebody else has given it another one meanwhile"),
            false => Ok(()),
        }
    }

    /// Whether it stands in this file.
    pub(super) fn is_in(&self, host: &Host) -> bool {
        let chain = host.pairs.first().map(|pair| &pair.chain);
        chain == Some(&self.chain)
    }

    /// It as a file has it, with its key in this form.
    pub(super) fn pair(&self, key: String) -> Pair {
        Pair {
            chain: self.chain.clone(),
            key,
        }
    }
}

/// The certificates of a text, one by one.
pub(super) fn certificates(text: &str) -> Vec<String> {
    let mut chain = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN)
        && let Some((word, further)) = begun.split_once(END)
    {
        chain.push(format!("{BEGIN}{word}{END}\n"));
        rest = further;
    }
    chain
}

/// What a commit says: whose certificates are new.
pub(super) fn message(names: &[String]) -> String {
    /// Most names of a first line.
    const MOST: usize = 3;
    match names {
        [one] => format!("Renew {one}"),
        names if names.len() <= MOST => format!("Renew {}", names.join(", ")),
        names => format!("Renew {} hosts\n\n{}", names.len(), names.join("\n")),
    }
    .to_string()
}
