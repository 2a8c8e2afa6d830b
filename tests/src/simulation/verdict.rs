//! What must be true when all connections are over.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use stockade_net::{Instant, StreamError};

use super::host::FIRST_BACKEND;
use super::link::Counters;
use super::party::{End, Party};
use super::plan::Ending;
use super::profile::Profile;

/// Compares what every party read with what its peer wrote; says what is wrong.
///
/// The bytes themselves were judged as they came (see [`Judge`](super::content::Judge)): what was
/// read is a prefix of what was written. Left to check is that nobody took a prefix for the whole.
pub fn check(parties: &[Party], profile: &Profile, backend_was_late: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let pairs = Pairs::find(parties, &mut wrong);
    for party in parties {
        if party.was_told_complete() {
            told_complete(party, pairs.peer(party), &mut wrong);
        }
    }
    if !backend_was_late {
        behaving_pairs(parties, &pairs, profile, &mut wrong);
    }
    wrong
}

/// Who talked to whom.
struct Pairs<'a> {
    parties: HashMap<u32, &'a Party>,
    peers: HashMap<u32, u32>,
}

impl<'a> Pairs<'a> {
    /// Each side names itself in what it writes; what both sides say must agree.
    fn find(parties: &'a [Party], wrong: &mut Vec<String>) -> Pairs<'a> {
        let mut pairs = Pairs {
            parties: parties.iter().map(|party| (party.number, party)).collect(),
            peers: HashMap::new(),
        };
        for party in parties {
            let Some(peer) = party.peer() else { continue };
            for (one, other) in [(party.number, peer), (peer, party.number)] {
                let before = pairs.peers.insert(one, other);
                if before.is_some_and(|before| before != other) {
                    wrong.push(format!("party {one} has two peers: {before:?} and {other}"));
                }
            }
        }
        pairs
    }

    fn peer(&self, party: &Party) -> Option<&'a Party> {
        self.parties.get(self.peers.get(&party.number)?).copied()
    }
}

/// A reader was told that its peer's direction is complete: then it is.
fn told_complete(reader: &Party, writer: Option<&Party>, wrong: &mut Vec<String>) {
    let (_, read) = reader.counts();
    let Some(writer) = writer else {
        if read > 0 {
            wrong.push(format!("{} read from nobody known", describe(reader)));
        }
        return;
    };
    let (written, _) = writer.counts();
    if written != read {
        wrong.push(format!(
            "{} was told that its input is complete, but {} wrote more",
            describe(reader),
            describe(writer)
        ));
    }
    // A client that leaves its close_notify out after the backend has ended is taken at its FIN.
    let lenient = matches!(writer.plan.ending, Ending::FinAlone(_)) && reader.has_ended();
    if !writer.has_ended() && !lenient {
        wrong.push(format!(
            "{} was told that its input is complete, but {} never ended its output",
            describe(reader),
            describe(writer)
        ));
    }
}

/// Connections on which nobody misbehaves end in order, as far as the link lets them.
fn behaving_pairs(
    parties: &[Party],
    pairs: &Pairs<'_>,
    profile: &Profile,
    wrong: &mut Vec<String>,
) {
    let is_client = |party: &&Party| party.number < FIRST_BACKEND;
    let has_failed = |party: &Party| !party.end.as_ref().is_some_and(End::is_orderly);
    let mut failed = Vec::new();
    let mut count = 0;
    let mut strangers = Vec::new();
    for client in parties.iter().filter(is_client) {
        match pairs.peer(client) {
            Some(backend) if client.plan.ends_with(&backend.plan) => {
                count += 1;
                if has_failed(client) || has_failed(backend) {
                    failed.push(format!("  {} with {}", describe(client), describe(backend)));
                }
            }
            Some(_) => {}
            None if client.plan.behaves() && has_failed(client) => {
                strangers.push(format!("  {} with nobody", describe(client)));
            }
            None => {}
        }
    }
    // A failed client of which no backend knows may be the peer of a backend that misbehaved, or
    // waited, before a header could tell.
    let backends = parties.iter().filter(|party| !is_client(party));
    let excuses = backends
        .filter(|backend| pairs.peer(backend).is_none())
        .filter(|backend| {
            !backend.plan.behaves() || backend.plan.ending == Ending::FinishAfterPeer
        });
    let excused = excuses.count().min(strangers.len());
    count += strangers.len();
    failed.extend(strangers.drain(excused..));
    if failed.len() * 100 > count * (100 - profile.reliable) {
        wrong.push(format!(
            "{} of {count} connections without misbehaviour failed:",
            failed.len()
        ));
        wrong.append(&mut failed);
    }
}

fn describe(party: &Party) -> String {
    let (written, read) = party.counts();
    format!(
        "party {} (wrote {written}, read {read}, {:?}, {:?})",
        party.number, party.end, party.plan
    )
}

/// What happened in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Connections that clients began.
    pub clients: usize,
    /// Connections that reached the backend.
    pub backends: usize,
    /// How many clients and backends saw which end.
    pub ends: BTreeMap<&'static str, usize>,
    /// Plaintext bytes that were read at both ends.
    pub bytes: u64,
    /// What the link did, towards the server and towards the host.
    pub link: [Counters; 2],
    /// When the last connection was over.
    pub ended: Instant,
    /// Times that the server was polled.
    pub polls: u64,
    /// See [`Trace::digest`](super::trace::Trace::digest).
    pub digest: u64,
}

impl Report {
    pub(super) fn new(
        parties: &[Party],
        link: [Counters; 2],
        ended: Instant,
        polls: u64,
        digest: u64,
    ) -> Report {
        let mut ends = BTreeMap::new();
        for party in parties {
            let word = match party.end {
                None => "open",
                Some(End::Orderly) => "orderly",
                Some(End::Lost(StreamError::Refused)) => "refused",
                Some(End::Lost(StreamError::Reset)) => "reset",
                Some(End::Lost(StreamError::TimedOut)) => "timed out",
                Some(End::Lost(_)) => "unreachable",
                Some(End::Truncated) => "truncated",
                Some(End::Tls(_)) => "TLS error",
                Some(End::Own) => "own",
                Some(End::CutOff) => "cut off",
            };
            *ends.entry(word).or_default() += 1;
        }
        let clients = parties
            .iter()
            .filter(|party| party.number < FIRST_BACKEND)
            .count();
        Report {
            clients,
            backends: parties.len() - clients,
            ends,
            bytes: parties.iter().map(|party| party.counts().1 as u64).sum(),
            link,
            ended,
            polls,
            digest,
        }
    }

    /// Parties that saw this end.
    pub fn count(&self, end: &str) -> usize {
        self.ends.get(end).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [to_server, to_host] = &self.link;
        write!(
            f,
            "{} clients, {} backends, {} kB read, {:?}; {} + {} frames ({} lost), {} polls, {:.0} s",
            self.clients,
            self.backends,
            self.bytes / 1000,
            self.ends,
            to_server.sent,
            to_host.sent,
            to_server.lost + to_host.lost,
            self.polls,
            self.ended.as_micros() as f64 / 1e6,
        )
    }
}
