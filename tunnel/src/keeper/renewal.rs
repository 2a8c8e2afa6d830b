//! When a host's certificate is tried to be renewed: what its authority says of it, what has failed.

use alloc::string::String;
use core::time::Duration;

use acme::renewal::{Lifetime, Suggestion, pause_after};
use net::Instant;

use super::Time;

/// How long until an authority is asked again that has not said when to renew (RFC 9773 §4.3.3).
const ASK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// The shortest pause after a failure, whatever the certificate's lifetime.
const SHORTEST_PAUSE: u64 = 60;

/// The longest pause that an authority can ask for: 30 days.
const LONGEST_PAUSE: u64 = 30 * 86_400;

/// Failures that are not the host's own count up to this: after an outage of hours it is not left
/// alone for a day.
const MOST_OUTAGES: u32 = 3;

/// What is known of a certificate's renewal.
#[derive(Default)]
pub(super) struct Renewal {
    failures: u32,
    not_before: Instant,
    /// Whether the authority itself has asked for that pause.
    is_asked: bool,
    tried: Option<Instant>,
    trouble: Option<String>,
    /// When the authority wants it renewed, and the moment that was chosen.
    suggestion: Option<(Suggestion, u64)>,
    ask_at: Instant,
    is_replacing_refused: bool,
    /// Whether the proof that is usually the best was not believed last time.
    is_proof_refused: bool,
}

/// Whose failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This host's alone.
    Host,
    /// The authority's, or the way's to it: no other host would fare better.
    Authority,
}

impl Renewal {
    /// The moment that the authority wants, if it says one.
    pub(super) fn suggested(&self) -> Option<u64> {
        self.suggestion.as_ref().map(|(_, moment)| *moment)
    }

    /// Whether the authority knows the certificate, so that a new one can be said to replace it
    /// (RFC 9773 §5).
    pub(super) fn is_replaceable(&self) -> bool {
        self.suggestion.is_some() && !self.is_replacing_refused
    }

    /// Why the last try has failed.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// When it was last tried.
    pub(super) fn tried(&self) -> Option<Instant> {
        self.tried
    }

    /// Before when it is not tried again.
    pub(super) fn not_before(&self) -> Instant {
        self.not_before
    }

    /// When the authority is to be asked.
    pub(super) fn ask_at(&self) -> Instant {
        self.ask_at
    }

    /// Whether another proof than the usual one is to be tried first.
    pub(super) fn is_proof_refused(&self) -> bool {
        self.is_proof_refused
    }

    /// A try begins.
    pub(super) fn begin(&mut self, time: Time) {
        self.tried = Some(time.now);
    }

    /// A try has brought a certificate that will do for a while.
    pub(super) fn succeed(&mut self) {
        self.failures = 0;
        self.not_before = Instant::ZERO;
        self.trouble = None;
    }

    /// Another certificate of ours is in the place of the one that it was about.
    pub(super) fn turn_to_next(&mut self) {
        self.suggestion = None;
        self.ask_at = Instant::ZERO;
        self.is_replacing_refused = false;
    }

    /// A try has failed; the authority may have asked for a pause of so many seconds.
    pub(super) fn fail(
        &mut self,
        why: String,
        fault: Fault,
        asked: Option<u64>,
        lifetime: Option<&Lifetime>,
        time: Time,
    ) {
        match fault {
            Fault::Host => self.failures = self.failures.saturating_add(1),
            Fault::Authority if self.failures < MOST_OUTAGES => self.failures += 1,
            Fault::Authority => {}
        }
        // A certificate that lives for minutes can't wait for a day.
        let lifetime = lifetime.filter(|lifetime| !lifetime.is_self_issued);
        let most = lifetime.map_or(u64::MAX, |lifetime| {
            let whole = lifetime.not_after.saturating_sub(lifetime.not_before);
            (whole / 10).max(SHORTEST_PAUSE)
        });
        let asked = asked.map(|seconds| seconds.min(LONGEST_PAUSE));
        let own = pause_after(self.failures, None).min(most);
        let pause = own.max(asked.unwrap_or_default());
        self.is_asked = asked.is_some_and(|asked| asked >= own);
        self.not_before = time.now + Duration::from_secs(pause);
        self.trouble = Some(why);
    }

    /// The order said which certificate it replaces, and was refused: the next one won't.
    pub(super) fn refuse_replacing(&mut self) {
        self.is_replacing_refused = true;
    }

    /// The authority did not believe a proof: next time another one comes first.
    pub(super) fn refuse_proof(&mut self) {
        self.is_proof_refused = !self.is_proof_refused;
    }

    /// Somebody has done something about it: it may be tried sooner, unless the authority has asked for
    /// the pause.
    pub(super) fn hurry(&mut self) {
        if let Some(tried) = self.tried.filter(|_| !self.is_asked) {
            let soonest = tried + Duration::from_secs(SHORTEST_PAUSE);
            self.not_before = self.not_before.min(soonest);
        }
    }

    /// The authority was asked when to renew; `chance` is unpredictable.
    pub(super) fn suggest(&mut self, found: Option<Suggestion>, chance: u32, time: Time) {
        let Some(found) = found else {
            self.ask_at = time.now + ASK_AGAIN;
            return;
        };
        let pause = found.ask_again.saturating_sub(time.unix);
        self.ask_at = time.now + Duration::from_secs(pause);
        let window = |known: &Suggestion| (known.start, known.end);
        let is_known = |(known, _): &(Suggestion, u64)| window(known) == window(&found);
        if !self.suggestion.as_ref().is_some_and(is_known) {
            let moment = found.renewal(chance);
            self.suggestion = Some((found, moment));
        }
    }

    /// Nobody can be asked now: not before this.
    pub(super) fn put_off_asking(&mut self, until: Instant) {
        self.ask_at = self.ask_at.max(until);
    }
}
