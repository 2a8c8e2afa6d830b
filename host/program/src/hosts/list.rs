//! `stockade list`: the hosts of a store, and how their certificates stand.

use std::fmt::Write;

use serde_json::{Value, json};
use stockade_acme::Identifier;
use stockade_acme::renewal::Lifetime;
use stockade_store::host::{Host, HostError, Mode, Protocols};
use stockade_store::snapshot::Snapshot;

/// The table's columns.
const COLUMNS: [&str; 4] = ["HOST", "BACKEND", "CERTIFICATE", "FURTHER NAMES"];

/// A host, as its file says.
struct Row<'a> {
    name: &'a str,
    host: Result<Host, HostError>,
}

/// How a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It keeps a place until there is a real one.
    Placeholder,
    Valid,
    NotYet,
    Expired,
    /// It can't be read.
    Unreadable,
}

impl Standing {
    fn of(lifetime: Option<&Lifetime>, now: u64) -> Standing {
        match lifetime {
            None => Standing::Unreadable,
            Some(lifetime) if lifetime.not_after < now && lifetime.is_self_issued => {
                Standing::Placeholder
            }
            Some(lifetime) if lifetime.not_after < now => Standing::Expired,
            Some(lifetime) if lifetime.not_before > now => Standing::NotYet,
            Some(_) => Standing::Valid,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Standing::Placeholder => "placeholder",
            Standing::Valid => "valid",
            Standing::NotYet => "not yet valid",
            Standing::Expired => "expired",
            Standing::Unreadable => "unreadable",
        }
    }
}

/// The table, as a person reads it.
pub(super) fn table(snapshot: &Snapshot, now: u64) -> String {
    let rows: Vec<[String; 4]> = rows(snapshot).map(|row| row.cells(now)).collect();
    if rows.is_empty() {
        return "There is no host yet.\n".to_owned();
    }
    let heads = COLUMNS.map(str::to_owned);
    let lines: Vec<&[String; 4]> = [&heads].into_iter().chain(&rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 4] = std::array::from_fn(|column| width(column).unwrap_or_default());
    let mut text = String::new();
    for line in lines {
        let mut written = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(written, "{cell:width$}  ");
        }
        text += written.trim_end();
        text.push('\n');
    }
    text
}

/// The same for programs: a list of objects.
pub(super) fn list(snapshot: &Snapshot, now: u64) -> Value {
    rows(snapshot).map(|row| row.object(now)).collect()
}

fn rows(snapshot: &Snapshot) -> impl Iterator<Item = Row<'_>> {
    snapshot.files().map(|(name, content)| Row {
        name,
        host: Host::parse(content),
    })
}

impl Row<'_> {
    fn cells(&self, now: u64) -> [String; 4] {
        let name = plain(self.name);
        let host = match &self.host {
            Ok(host) => host,
            Err(error) => return [name, "-".into(), format!("problem: {error}"), String::new()],
        };
        let lifetime = lifetime(host);
        let until = lifetime.as_ref().map_or(0, |lifetime| lifetime.not_after);
        let standing = match Standing::of(lifetime.as_ref(), now) {
            Standing::Valid => format!("until {}", date(until)),
            Standing::Expired => format!("expired on {}", date(until)),
            Standing::Placeholder => "placeholder: none yet".to_owned(),
            Standing::NotYet => {
                let from = lifetime.as_ref().map_or(0, |lifetime| lifetime.not_before);
                format!("not before {}", date(from))
            }
            Standing::Unreadable => "problem: it is no certificate".to_owned(),
        };
        let mut notes = vec![standing];
        let missing = missing(self.name, host, lifetime.as_ref());
        if !missing.is_empty() {
            notes.push(format!("not for {}", missing.join(", ")));
        }
        if !host.renew {
            notes.push("not renewed".to_owned());
        }
        let names: Vec<String> = host.names.iter().map(|name| plain(name)).collect();
        [name, backend(host), notes.join("; "), names.join(", ")]
    }

    fn object(&self, now: u64) -> Value {
        let host = match &self.host {
            Ok(host) => host,
            Err(error) => return json!({"host": self.name, "problem": error.to_string()}),
        };
        let lifetime = lifetime(host);
        let seconds = lifetime
            .as_ref()
            .map(|lifetime| (lifetime.not_before, lifetime.not_after));
        let mut alpn = vec![];
        let Protocols { http2, http1 } = host.protocols;
        alpn.extend(http2.then_some("h2"));
        alpn.extend(http1.then_some("http/1.1"));
        json!({
            "host": self.name,
            "names": host.names,
            "backend": {"address": host.backend, "port": host.port},
            "alpn": alpn,
            "renew": host.renew,
            "mode": host.mode.map(Mode::name),
            "hsts": host.hsts,
            "max_body": host.max_body,
            "certificate": {
                "standing": Standing::of(lifetime.as_ref(), now).word(),
                "not_before": seconds.map(|seconds| seconds.0),
                "not_after": seconds.map(|seconds| seconds.1),
                "not_for": missing(self.name, host, lifetime.as_ref()),
            },
        })
    }
}

fn lifetime(host: &Host) -> Option<Lifetime> {
    let pair = host.pairs.first()?;
    Lifetime::of(&pair.chain.concat())
}

/// The host's names that its certificate is not for; of a placeholder that says nothing.
fn missing(name: &str, host: &Host, lifetime: Option<&Lifetime>) -> Vec<String> {
    let Some(lifetime) = lifetime.filter(|lifetime| !lifetime.is_self_issued) else {
        return Vec::new();
    };
    let all = [name]
        .into_iter()
        .chain(host.names.iter().map(String::as_str));
    let is_covered = |name: &str| Identifier::parse(name).is_ok_and(|name| lifetime.covers(&name));
    all.filter(|name| !is_covered(name)).map(plain).collect()
}

fn backend(host: &Host) -> String {
    std::net::SocketAddr::new(host.backend, host.port).to_string()
}

/// `2027-02-20 08:00 UTC`.
fn date(unix_seconds: u64) -> String {
    let time = i64::try_from(unix_seconds).ok();
    let time = time.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    match time {
        Some(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        None => "no date at all".to_owned(),
    }
}

/// Text of the store without what a terminal would take for its own.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|letter| match letter.is_control() {
            true => letter.escape_default().collect::<Vec<char>>(),
            false => vec![letter],
        })
        .collect()
}

#[cfg(test)]
mod tests;
