//! `stockade keygen`, `add`, `remove` and `list`, and the program under the name contruno.add: the
//! hosts of a certificate store, looked after by a person or a script.
//!
//! ```text
//! options ──► wish ──► store ──► Git's conversations ──► ssh(1), git(1) or our own SSH
//!                        │
//!                        └──► notify ──► the running image
//! ```
//!
//! What a host's file is to be is made anew from the store as it is, for each attempt to push it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use stockade_store::host::Protocols;
use stockade_store::notice::{Outcome, Pass};
use stockade_store::snapshot::Change;

use crate::cli::{self, Audience};
use crate::{Result, notify, stunnel};

mod add;
mod certificate;
mod keygen;
mod list;
mod place;
mod secret;
mod store;
mod wire;

use add::{Found, Wish};
pub(crate) use keygen::keygen;
pub use place::Place;
pub use secret::Secret;
use store::{Changed, Store};

/// The file name under which this program is contruno's.
const CONTRUNO: &str = "contruno.add";

/// The status when the store is changed, and the image could not be told or could not read it.
const NOT_TOLD: u8 = 5;

/// What most backends speak in the clear.
const HTTP1: Protocols = Protocols {
    http2: false,
    http1: true,
};

/// Whether a program that is called by this path is to be contruno's.
pub(crate) fn is_contruno(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(CONTRUNO))
}

/// Does what contruno.add would do with these words.
pub(crate) fn as_contruno(words: &[OsString]) -> ExitCode {
    let more = env::var(stunnel::OPTIONS_VARIABLE).unwrap_or_default();
    let more = more.split_whitespace().map(OsString::from);
    let all = [OsString::from(CONTRUNO)].into_iter();
    let options = match cli::Contruno::try_parse_from(all.chain(words.iter().cloned()).chain(more))
    {
        Ok(options) => options,
        Err(answer) => return crate::tell(&answer),
    };
    if options.cert.is_some() && options.private_key.is_none() {
        crate::warn("error: --cert FILE goes with --private-key FILE");
        return ExitCode::from(crate::USAGE);
    }
    if options.private_key.is_some() && options.cert.is_none() {
        crate::warn("note: without a certificate the key is not used: the image draws its own");
    }
    put(&options.into(), Protocols::ALL).unwrap_or_else(|error| {
        crate::warn(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}

/// Adds a host, or changes it.
pub(crate) fn add(options: &cli::Add) -> Result<ExitCode> {
    put(options, HTTP1)
}

fn put(options: &cli::Add, new_protocols: Protocols) -> Result<ExitCode> {
    let pass = pass(&options.audience)?;
    let wish = Wish::new(options, new_protocols)?;
    let store = Store::new(&options.repository)?;
    for warning in wish.warnings() {
        crate::warn(&format!("warning: {}: {warning}", wish.hostname));
    }
    let place = &options.repository.remote;
    crate::warn(&format!("Changing {place} ..."));
    let host = &wish.hostname;
    let mut found = Found::default();
    let mut change = |snapshot: &_| {
        let (change, state) = wish.apply(snapshot)?;
        found = state;
        let verb = if found.was_there { "Change" } else { "Add" };
        Ok((change, format!("{verb} {host}")))
    };
    let changed = store.change(&mut change)?;
    let verb = if found.was_there { "changed" } else { "added" };
    tell_change(host, verb, place, &changed);
    if found.is_bare {
        crate::warn(&format!(
            "warning: {host}: its key is in the clear, and others' are encrypted: --store-key encrypts it"
        ));
    }
    tell_image(&options.audience, pass.as_ref())
}

/// Removes a host.
pub(crate) fn remove(options: &cli::Remove) -> Result<ExitCode> {
    let pass = pass(&options.audience)?;
    let store = Store::new(&options.repository)?;
    let place = &options.repository.remote;
    let wanted = &options.hostname;
    crate::warn(&format!("Changing {place} ..."));
    let mut change = |snapshot: &stockade_store::snapshot::Snapshot| {
        let mut names = snapshot.files().map(|(name, _)| name);
        let Some(name) = names.find(|name| name.eq_ignore_ascii_case(wanted)) else {
            let text =
                format!("{place} has no host {wanted}: `stockade list` tells which there are");
            return Err(text.into());
        };
        let message = format!("Remove {name}");
        let (name, content) = (name.to_owned(), None);
        Ok((Change { name, content }, message))
    };
    let changed = store.change(&mut change)?;
    tell_change(wanted, "removed", place, &changed);
    tell_image(&options.audience, pass.as_ref())
}

/// Tells which hosts there are.
pub(crate) fn list(options: &cli::List) -> Result<ExitCode> {
    let store = Store::new(&options.repository)?;
    let snapshot = store.fetch()?;
    let now = certificate::now();
    match options.json {
        true => crate::say(&format!("{:#}", list::list(&snapshot, now))),
        false => crate::say(list::table(&snapshot, now).trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn tell_change(host: &str, verb: &str, place: &Place, changed: &Changed) {
    match changed {
        Changed::Nothing => crate::say(&format!("{host}: all is so already in {place}")),
        Changed::To { commit, is_first } => {
            let branch = place.branch();
            let made = if *is_first { ", which is new," } else { "" };
            crate::say(&format!(
                "{host}: {verb}; the branch {branch}{made} is at {commit}"
            ));
        }
    }
}

fn pass(audience: &Audience) -> Result<Option<Pass>> {
    let Some(pass) = &audience.pass else {
        return Ok(None);
    };
    let text = pass.read("--pass")?;
    let pass = Pass::new(text.as_bytes()).map_err(|error| format!("--pass: {error}"))?;
    Ok(Some(pass))
}

/// Tells the image, if one was named, that the store has changed. Whatever comes of it, it has.
fn tell_image(audience: &Audience, pass: Option<&Pass>) -> Result<ExitCode> {
    let (Some(target), Some(pass)) = (&audience.target, pass) else {
        return Ok(ExitCode::SUCCESS);
    };
    if audience.legacy {
        return Ok(match notify::notify_bare(target, pass) {
            Ok(()) => {
                crate::say(&format!("{target}: sent; nothing is answered"));
                ExitCode::SUCCESS
            }
            Err(error) => not_told(&format!("{target}: {error}")),
        });
    }
    let waits = || crate::warn(&format!("{target} reads its store ..."));
    let told = match notify::notify(target, pass, waits) {
        Ok(told) => told,
        Err(error) => return Ok(not_told(&format!("{target}: {error}"))),
    };
    let lines = notify::described(&told);
    if let Outcome::Failed(_) = told.outcome {
        return Ok(not_told(&format!("{target}: {}", lines.join("\n"))));
    }
    for line in lines {
        crate::say(&format!("{target}: {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn not_told(text: &str) -> ExitCode {
    crate::warn(&format!("error: {text}"));
    crate::warn(
        "The store is changed, and the image finds that out when it looks by itself, within minutes; \
         `stockade reload --target` tells it again.",
    );
    ExitCode::from(NOT_TOLD)
}
