//! Notices that the store has changed: from those who bring them to whoever reads the store, and the
//! outcome back.

use alloc::{
    collections::{BTreeMap, VecDeque},
    string::String,
};
use core::{net::IpAddr, time::Duration};

use net::Instant;
use store::notice::{NONCE, Nonces, Outcome, Refusal, Trouble};

use super::{
    Server,
    active::{Active, Stage},
};
use crate::{keeper::Reloaded, session::SessionError};

/// Most notices that wait at once, for their outcome or to be passed on.
const MOST_WAITING: usize = 32;

/// Most wrong passes from one network within [`PAUSE`] of the one before; then all that comes from
/// there is refused as long.
const MOST_WRONG: u8 = 5;

/// How long a wrong pass is remembered.
const PAUSE: Duration = Duration::from_secs(60);

/// Most networks of which wrong passes are remembered.
const MOST_NETWORKS: usize = 256;

/// The notices that have come.
#[derive(Default)]
pub(super) struct Noticing {
    nonces: Option<Nonces>,
    /// The number of the last notice.
    last: u64,
    /// Those that were not yet passed on.
    fresh: VecDeque<u64>,
    /// Those whose tellers wait, with the places of their connections.
    waiting: BTreeMap<u64, usize>,
    guesses: Guesses,
}

impl Noticing {
    /// Begins to draw nonces.
    pub(super) fn seed(&mut self, key: [u8; 64]) {
        self.nonces = Some(Nonces::new(key));
    }

    /// A nonce for a connection from this address, and whether nothing is believed that comes from
    /// there: for a while after wrong passes, or because there are no nonces.
    pub(super) fn begin(&mut self, client: IpAddr, now: Instant) -> ([u8; NONCE], bool) {
        match &mut self.nonces {
            Some(nonces) => (nonces.draw(), self.guesses.is_barred(client, now)),
            None => ([0; NONCE], true),
        }
    }

    /// A notice has come over the connection at this place, where its teller `waits` or does not. Its
    /// number; `None`: there are too many.
    pub(super) fn take(&mut self, place: usize, waits: bool) -> Option<u64> {
        if self.fresh.len() >= MOST_WAITING || self.waiting.len() >= MOST_WAITING {
            return None;
        }
        self.last += 1;
        self.fresh.push_back(self.last);
        if waits {
            self.waiting.insert(self.last, place);
        }
        Some(self.last)
    }

    /// A connection has ended.
    pub(super) fn forget(
        &mut self,
        active: &Active,
        result: &Result<(), SessionError>,
        now: Instant,
    ) {
        if *result == Err(SessionError::Notice(Refusal::Pass)) {
            self.guesses.add(active.client.ip(), now);
        }
        if let Stage::Answering(answering) = &active.stage
            && let Some(number) = answering.notice()
        {
            self.waiting.remove(&number);
        }
    }
}

impl Server {
    /// The number of a notice that has come and was not yet passed on: the store is to be read, and
    /// [`conclude_notice`](Self::conclude_notice) is to follow.
    pub fn notice(&mut self) -> Option<u64> {
        self.noticing.fresh.pop_front()
    }

    /// Tells the bearer of a notice what has come of it, if it still waits.
    pub fn conclude_notice(&mut self, number: u64, reloaded: &Reloaded, now: Instant) {
        let Some(place) = self.noticing.waiting.remove(&number) else {
            return;
        };
        let unix = self.clock.now();
        if let Some(active) = self
            .sessions
            .get_mut(place)
            .and_then(|slot| slot.active.as_mut())
            && let Stage::Answering(answering) = &mut active.stage
            && answering.notice() == Some(number)
        {
            answering.conclude(&outcome(reloaded), unix);
            self.run(place, now);
        }
    }
}

fn outcome(reloaded: &Reloaded) -> Outcome {
    match reloaded {
        Reloaded::Failed(why) => Outcome::Failed(why.clone()),
        Reloaded::Done { hosts, troubles } => Outcome::Done {
            hosts: u32::try_from(*hosts).unwrap_or(u32::MAX),
            troubles: troubles
                .iter()
                .map(|(host, why)| Trouble {
                    host: String::clone(host),
                    why: String::clone(why),
                })
                .collect(),
            more: 0,
        },
    }
}

/// Wrong passes by the network that they came from: an IPv4 address, or the first half of an IPv6
/// address, which is what one subscriber has (RFC 6177 §2).
#[derive(Default)]
struct Guesses(BTreeMap<IpAddr, (u8, Instant)>);

impl Guesses {
    fn is_barred(&self, client: IpAddr, now: Instant) -> bool {
        let known = self.0.get(&network(client));
        known.is_some_and(|(count, until)| *count >= MOST_WRONG && now < *until)
    }

    fn add(&mut self, client: IpAddr, now: Instant) {
        self.0.retain(|_, (_, until)| now < *until);
        let network = network(client);
        if self.0.len() >= MOST_NETWORKS && !self.0.contains_key(&network) {
            let first = self.0.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(first) = first.map(|(network, _)| *network) {
                self.0.remove(&first);
            }
        }
        let (count, until) = self.0.entry(network).or_insert((0, now));
        *count = count.saturating_add(1);
        *until = now + PAUSE;
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn wrong_passes_bar_a_network_for_a_while() {
        let mut guesses = Guesses::default();
        let near = "2001:db8::1".parse().unwrap();
        for count in 0..MOST_WRONG {
            assert!(!guesses.is_barred(near, at(count.into())), "{count}");
            guesses.add(near, at(count.into()));
        }
        assert!(guesses.is_barred(near, at(5)));
        assert!(guesses.is_barred("2001:db8::ffff:1".parse().unwrap(), at(5)));
        assert!(!guesses.is_barred("2001:db8:0:1::1".parse().unwrap(), at(5)));
        assert!(!guesses.is_barred("10.0.0.1".parse().unwrap(), at(5)));
        assert!(!guesses.is_barred(near, at(65)));
    }

    #[test]
    fn few_networks_are_remembered() {
        let mut guesses = Guesses::default();
        for number in 0..1000_u32 {
            let seconds = u64::from(number) / 100;
            guesses.add(IpAddr::V4(number.into()), at(seconds));
        }
        assert_eq!(guesses.0.len(), MOST_NETWORKS);
        guesses.add("10.0.0.1".parse().unwrap(), at(1000));
        assert_eq!(guesses.0.len(), 1);
    }

    #[test]
    fn notices_that_wait_have_a_bound() {
        let mut noticing = Noticing::default();
        let (_, barred) = noticing.begin("10.0.0.1".parse().unwrap(), at(0));
        assert!(barred, "without nonces nothing may be believed");
        noticing.seed([1; 64]);
        let (_, barred) = noticing.begin("10.0.0.1".parse().unwrap(), at(0));
        assert!(!barred);
        for place in 0..MOST_WAITING {
            assert!(noticing.take(place, true).is_some());
        }
        assert_eq!(noticing.take(99, true), None);
        noticing.fresh.clear();
        assert_eq!(noticing.take(99, false), None);
        noticing.waiting.clear();
        assert_eq!(noticing.take(99, false), Some(33));
        assert!(noticing.waiting.is_empty());
    }
}
