//! Peers wait here until it is known whether their certificates are revoked.

use alloc::vec::Vec;
use core::time::Duration;

use net::Instant;
use tls::{CertificateStatus, Refusal, StatusQuery, Verdict};

use super::{
    Server,
    active::{Active, Stage},
    entrance::pair,
    inquiries::{Inquiry, Manner},
};
use crate::{
    journal::{Channel, Id},
    revocation::{Outcome, Revocation},
    session::{Mode, SessionError},
};

/// What a connection waits for.
#[derive(Default)]
pub(super) struct Judgement {
    /// Inquiries, and what each is about.
    pending: Vec<(u64, StatusQuery)>,
    /// Why the peer is refused.
    refusal: Option<Refusal>,
}

impl Server {
    /// Finds out whether a peer's certificates are revoked, as far as that is known at once, and
    /// asks for the rest.
    pub(super) fn judge_peer(&mut self, index: usize, active: &mut Active, now: Instant) {
        let mut judgement = Judgement::default();
        if let Err(refusal) = self.judge_certificates(index, active, &mut judgement, now) {
            judgement.refusal = Some(refusal);
        }
        active.judgement = Some(judgement);
    }

    fn judge_certificates(
        &mut self,
        index: usize,
        active: &mut Active,
        judgement: &mut Judgement,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Stage::Session(session) = &mut active.stage else {
            return Ok(());
        };
        let service = self.services.get(active.service);
        let revocation = service.and_then(|service| service.revocation.clone());
        let staple = session.connection_mut().take_staple();
        let verdict = session.connection().client_verdict();
        let (Some(service), Some(revocation)) = (service, revocation) else {
            return Ok(());
        };
        // Who is refused already need not be asked about.
        if !verdict.is_none_or(Verdict::is_good) || !(revocation.asks() || staple.is_some()) {
            return Ok(());
        }
        let unix = self.clock.now();
        let queries = session.connection().status_queries(unix)?;
        let mut asking = Vec::new();
        for query in queries {
            let mut lines = self.journal.connection(&service.channel, active.id);
            let staple = staple.as_ref().filter(|_| query.depth() == 0);
            let known = staple.and_then(|staple| {
                let answer = query.judge(staple, None, revocation.included(), unix);
                lines.ocsp_received(true);
                lines.ocsp_answered(&answer);
                let outcome = outcome(&answer.ok()?);
                (outcome != Outcome::Unknown).then_some(outcome)
            });
            let known = known.or_else(|| {
                let inquiries = &self.inquiries;
                let may = !revocation.nonce() && revocation.asks();
                let found = may.then(|| inquiries.known(&query, revocation.included(), unix));
                let outcome = found.flatten()?;
                lines.ocsp_known(outcome == Outcome::Revoked);
                Some(outcome)
            });
            match known {
                Some(Outcome::Revoked) => return Err(query.revoked()),
                Some(_) => continue,
                None => {}
            }
            let candidates = revocation.candidates(&query);
            match candidates.is_empty() {
                true if revocation.asks() => lines.ocsp_nobody(),
                true => {}
                false => asking.push((query, candidates)),
            }
        }
        let channel = service.channel.clone();
        let manner = Manner {
            nonce: revocation.nonce(),
            included: revocation.included(),
            timeout: revocation.timeout(),
            staple: false,
            quiet: false,
        };
        for (query, candidates) in asking {
            let number = self.inquire(&query, candidates, manner, (&channel, active.id), now);
            match number {
                Some(number) => {
                    self.inquiries.wait(number, index);
                    judgement.pending.push((number, query));
                }
                None => self.unknown(&revocation, &query, (&channel, active.id))?,
            }
        }
        if let Stage::Session(session) = &mut active.stage {
            // Every inquiry ends by itself; this is for those that do not.
            session.judging(now + manner.timeout * 32 + Duration::from_secs(60));
        }
        Ok(())
    }

    /// Nobody says whether a certificate is revoked.
    fn unknown(
        &mut self,
        revocation: &Revocation,
        query: &StatusQuery,
        (channel, id): (&Channel, Id),
    ) -> Result<(), Refusal> {
        let mut lines = self.journal.connection(channel, id);
        lines.ocsp_undecided(revocation.require());
        match revocation.require() {
            true => Err(query.unknown()),
            false => Ok(()),
        }
    }

    /// Lets a connection go on whose peer was judged, or ends it. Nothing happens as long as
    /// something is still to be known.
    pub(super) fn settle(&mut self, active: &mut Active, now: Instant) -> Option<SessionError> {
        let judgement = active.judgement.as_mut()?;
        let refusal = judgement.refusal.take();
        if refusal.is_none() && !judgement.pending.is_empty() {
            return None;
        }
        active.judgement = None;
        let Stage::Session(session) = &mut active.stage else {
            return None;
        };
        let Some(refusal) = refusal else {
            session.judged(now);
            return None;
        };
        let service = self.services.get(active.service)?;
        if service.redirect.is_some() && session.mode() == Mode::Server {
            let mut lines = self.journal.connection(&service.channel, active.id);
            lines.ocsp_refused(&refusal);
            active.unverified = Some(Verdict::Refused {
                reason: alloc::format!("{refusal}"),
                refusal: None,
            });
            session.judged(now);
            return None;
        }
        let (mut accepted, mut dialled) = pair(&mut self.stack, active.accepted, active.dialled);
        Some(session.refuse_peer([accepted.as_mut(), dialled.as_mut()], refusal))
    }

    /// Tells a connection what it has waited for, if it still does.
    pub(super) fn tell_waiting(&mut self, index: usize, inquiry: &Inquiry, outcome: Outcome) {
        let slot = self.sessions.get_mut(index);
        let Some(mut active) = slot.and_then(|slot| slot.active.take()) else {
            return;
        };
        let service = self.services.get(active.service);
        let service = service.map(|service| (service.channel.clone(), service.revocation.clone()));
        if let (Some(judgement), Some((channel, Some(revocation)))) =
            (&mut active.judgement, service)
        {
            let mut pending = judgement.pending.iter();
            let place = pending.position(|(number, _)| *number == inquiry.number);
            if let Some((_, query)) = place.map(|place| judgement.pending.remove(place)) {
                let of = (&channel, active.id);
                if active.id != inquiry.id && outcome != Outcome::Unknown {
                    let mut lines = self.journal.connection(&channel, active.id);
                    lines.ocsp_known(outcome == Outcome::Revoked);
                }
                let verdict = match outcome {
                    Outcome::Good => Ok(()),
                    Outcome::Revoked => Err(query.revoked()),
                    Outcome::Unknown => self.unknown(&revocation, &query, of),
                };
                if let Err(refusal) = verdict {
                    judgement.refusal.get_or_insert(refusal);
                }
            }
        }
        if let Some(slot) = self.sessions.get_mut(index) {
            slot.active = Some(active);
        }
    }
}

/// What an answer means for a peer.
pub(super) fn outcome(status: &CertificateStatus) -> Outcome {
    match status.state {
        tls::Status::Good => Outcome::Good,
        tls::Status::Revoked { .. } => Outcome::Revoked,
        tls::Status::Unknown => Outcome::Unknown,
    }
}
