//! Answers about the services' own certificates, which are sent along with them (RFC 6066 §8):
//! fetched when the image starts, and again when half of their time is over.

use alloc::vec::Vec;
use core::time::Duration;

use net::Instant;
use tls::{CertificateStatus, Status, StatusQuery};

use super::{Server, inquiries::Manner};
use crate::{
    journal::{Channel, Id},
    revocation::{Candidate, Stapling},
};

/// After a failure, when to ask again.
const RETRY: Duration = Duration::from_secs(60 * 60);

/// Answers that name no end of their time are kept for so long.
const ENDLESS: Duration = Duration::from_secs(60 * 60);

/// Answers with little time left are not fetched more often than this.
const SHORTEST: Duration = Duration::from_secs(60);

/// Longest time that a timer is set for, whatever an answer says.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The answers about all services' certificates.
#[derive(Default)]
pub(super) struct Staples(Vec<Staple>);

/// The answer about one certificate.
struct Staple {
    stapling: Stapling,
    channel: Channel,
    /// What is sent, what it says, and when its time is over.
    response: Option<(Vec<u8>, Status, Instant)>,
    /// When to ask.
    due: Instant,
    asking: bool,
    /// The last question was in vain, and that was told.
    failing: bool,
}

impl Staples {
    /// When something has to be done.
    pub(super) fn due(&self) -> Option<Instant> {
        let wakes = self.0.iter().flat_map(|staple| {
            let end = staple.response.as_ref().map(|(.., end)| *end);
            [(!staple.asking).then_some(staple.due), end]
        });
        wakes.flatten().min()
    }
}

impl Server {
    /// When something has to be done about them: nothing can be without an address.
    pub(super) fn staples_due(&self) -> Option<Instant> {
        let addresses = self.stack.addresses();
        let has_address = addresses.ipv4.is_some() || addresses.ipv6.is_some();
        self.staples.due().filter(|_| has_address)
    }

    /// Follows the services in force: what is known of a certificate that stays is sent on.
    pub(super) fn gather_staples(&mut self, now: Instant) {
        let mut before = core::mem::take(&mut self.staples.0);
        let mut staples: Vec<Staple> = Vec::new();
        for service in self.services.in_force() {
            let Some(stapling) = &service.stapling else {
                continue;
            };
            let is = |staple: &Staple| staple.stapling.query.is_same(&stapling.query);
            if staples.iter().any(is) {
                continue;
            }
            staples.push(match before.iter().position(is) {
                Some(place) => before.swap_remove(place),
                None => Staple {
                    stapling: stapling.clone(),
                    channel: service.channel.clone(),
                    response: None,
                    due: now,
                    asking: false,
                    failing: false,
                },
            });
        }
        for staple in &staples {
            self.services.staple(staple);
        }
        self.staples.0 = staples;
    }

    /// Asks what is due, and takes back what is over.
    pub(super) fn renew_staples(&mut self, now: Instant) {
        let addresses = self.stack.addresses();
        if addresses.ipv4.is_none() && addresses.ipv6.is_none() {
            return;
        }
        let mut staples = core::mem::take(&mut self.staples.0);
        for staple in &mut staples {
            if matches!(staple.response, Some((.., end)) if end <= now) {
                staple.response = None;
                self.services.staple(staple);
                self.journal.service(&staple.channel).staple(None);
            }
            if staple.asking || staple.due > now {
                continue;
            }
            let query = &staple.stapling.query;
            let urls = query.urls().iter();
            let candidates = urls.map(|url| Candidate::named(url)).collect();
            let manner = Manner {
                nonce: false,
                included: true,
                timeout: staple.stapling.timeout,
                staple: true,
                quiet: staple.failing,
            };
            let of = (&staple.channel, Id::TUNNEL);
            staple.asking = self.inquire(query, candidates, manner, of, now).is_some();
            staple.due = now + RETRY;
        }
        self.staples.0 = staples;
    }

    /// An inquiry about a service's own certificate has ended, in vain without an answer.
    pub(super) fn stapled(
        &mut self,
        query: &StatusQuery,
        said: Option<(CertificateStatus, Vec<u8>)>,
        now: Instant,
    ) {
        let mut staples = core::mem::take(&mut self.staples.0);
        let is = |staple: &&mut Staple| staple.stapling.query.is_same(query);
        if let Some(staple) = staples.iter_mut().find(is) {
            staple.asking = false;
            match said {
                Some((status, response)) => {
                    let lasts = lifetime(&status, self.clock.now());
                    let before = staple.response.as_ref().map(|(_, state, _)| *state);
                    staple.due = now + (lasts / 2).max(SHORTEST);
                    staple.response = Some((response, status.state, now + lasts));
                    if before != Some(status.state) || staple.failing {
                        let mut lines = self.journal.service(&staple.channel);
                        lines.staple(Some(status.state));
                    }
                    staple.failing = false;
                    self.services.staple(staple);
                }
                None => {
                    if staple.response.is_none() && !staple.failing {
                        self.journal.service(&staple.channel).staple(None);
                    }
                    staple.failing = true;
                    staple.due = now + RETRY;
                }
            }
        }
        self.staples.0 = staples;
    }
}

impl super::services::Services {
    /// Has an answer sent by all services that show its certificate.
    fn staple(&mut self, staple: &Staple) {
        let response = staple.response.as_ref();
        for service in self.all_mut() {
            let own = service.stapling.as_ref();
            if own.is_some_and(|own| own.query.is_same(&staple.stapling.query)) {
                let response = response.map(|(response, ..)| response.as_slice());
                service.tls.set_staple(response);
            }
        }
    }
}

/// How long an answer is sent.
fn lifetime(status: &CertificateStatus, unix_seconds: u64) -> Duration {
    let lasts = status.next_update.map(|next| {
        let left = next.saturating_sub(unix_seconds);
        Duration::from_secs(left)
    });
    lasts.unwrap_or(ENDLESS).min(LONGEST)
}
