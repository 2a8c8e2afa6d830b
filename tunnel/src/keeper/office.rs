//! Conversations with the authority: when it wants certificates renewed, and orders for new ones.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use acme::{
    Challenge, ChallengeKind, Directory, Error, Identifier, Issue, Key, NoKey, Order, Response,
    RsaDraw, Stage, Step,
    renewal::{Lifetime, Suggestion},
};
use config::{Zeroizing, hosting::KeyKind};
use net::Instant;
use tls::Identity;

use super::{
    Demand, Fault, HttpError, Keeper, Kept, Request, Severity,
    fresh::{Fresh, certificates},
    renewal,
};
use crate::hosting::{Proof, Token};

/// How long an order may take: the others wait for it.
const LONGEST_ORDER: Duration = Duration::from_secs(600);

/// The pause after a failure that is the authority's: no host would fare better.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest such pause that it can ask for.
const LONGEST_PAUSE: u64 = 86_400;

/// For how long it is remembered what the authority offers, and how long until it is asked again when
/// it has not said.
const DIRECTORY: Duration = Duration::from_secs(86_400);
const NO_DIRECTORY: Duration = Duration::from_secs(600);

/// Seconds by which a new certificate may begin in the future before that is told.
const SKEW: u64 = 300;

/// The authority's place: one matter at a time.
#[derive(Default)]
pub(super) struct Office {
    directory: Option<Directory>,
    /// When that is to be read anew.
    directory_at: Instant,
    /// The request that is out.
    asking: Option<(u64, Question)>,
    order: Option<Ordering>,
    /// A key of RSA on its way: that takes many turns.
    draw: Option<RsaDraw>,
    /// Nobody is let in before.
    pause_until: Instant,
}

/// What a request is about.
enum Question {
    /// What the authority offers.
    Directory,
    /// When the certificate of this host is to be renewed, which the authority calls so.
    Renewal(String, String),
    /// The order for this host, if it is still the one that was begun as this one.
    Order(u64),
}

/// An order under way.
pub(super) struct Ordering {
    /// The number of the last demand when it was begun.
    begun: u64,
    host: String,
    issue: Issue,
    state: State,
    until: Instant,
    /// The certificate's key, PEM.
    key: Zeroizing<String>,
    identifiers: Vec<Identifier>,
    /// The chain in the host's file when it was begun.
    replaced: Vec<String>,
    replaces: bool,
    pub(super) tokens: Vec<Token>,
    pub(super) proofs: Vec<Proof>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Going,
    /// Its proofs are not yet in force.
    Publishing,
    Waiting(Instant),
}

impl Office {
    /// The order under way.
    pub(super) fn order(&self) -> Option<&Ordering> {
        self.order.as_ref()
    }

    /// Whether an order for this host is under way.
    pub(super) fn is_ordering_for(&self, host: &str) -> bool {
        self.order.as_ref().is_some_and(|order| order.host == host)
    }

    /// Whether what the authority says about renewals can be asked for, as far as is known.
    fn answers_questions(&self, now: Instant) -> bool {
        let directory = self.directory.as_ref();
        now >= self.directory_at || directory.is_some_and(|found| found.renewal_info.is_some())
    }
}

impl Keeper {
    /// When there is something to say to the authority; `None`: it has the word, or there is none.
    pub(super) fn office_due(&self) -> Option<Instant> {
        let office = &self.office;
        if self.settings.issuer.is_none() || !self.repository.is_read() || office.asking.is_some() {
            return None;
        }
        let now = self.time.now;
        if let Some(order) = &office.order {
            return Some(match order.state {
                State::Going => now,
                State::Publishing => order.until,
                State::Waiting(until) => until.min(order.until),
            });
        }
        let hosts = self.hosts.iter();
        let due = hosts.filter_map(|(name, kept)| {
            let order = self.order_at(name, kept);
            let question = self.question_at(kept);
            order.into_iter().chain(question).min()
        });
        Some(due.min()?.max(office.pause_until))
    }

    /// When a certificate is to be ordered for this host.
    fn order_at(&self, name: &str, kept: &Kept) -> Option<Instant> {
        let is_coming = self.fresh.get(name).is_some_and(|fresh| !fresh.is_in_use);
        let wanted = kept.wanted_at().filter(|_| !is_coming)?;
        let left = Duration::from_secs(wanted.saturating_sub(self.time.unix));
        Some((self.time.now + left).max(kept.renewal.not_before()))
    }

    /// When the authority is to be asked when to renew it.
    fn question_at(&self, kept: &Kept) -> Option<Instant> {
        kept.question()?;
        let at = kept.renewal.ask_at();
        let office = &self.office;
        Some(match office.answers_questions(self.time.now) {
            true => at,
            false => at.max(office.directory_at),
        })
    }

    /// The next conversation with the authority.
    pub(super) fn consult(&mut self, fill: &mut dyn FnMut(&mut [u8])) -> Option<(u64, Demand)> {
        self.settings.issuer.as_ref()?;
        if !self.repository.is_read() || self.office.asking.is_some() {
            return None;
        }
        // Each turn goes on with an order, ends one, or begins one for another host.
        for _ in 0..=self.hosts.len().saturating_mul(2).saturating_add(8) {
            let Some(order) = &mut self.office.order else {
                if self.time.now < self.office.pause_until {
                    return None;
                }
                if let Some(demand) = self.question() {
                    return Some(demand);
                }
                let name = self.next_host()?;
                let key = self.key(fill).transpose()?;
                self.begin(&name, key);
                continue;
            };
            if self.time.now >= order.until {
                self.end_order(&Error::TooLong(Stage::Order));
                continue;
            }
            match order.state {
                State::Publishing => return None,
                State::Waiting(until) if self.time.now < until => return None,
                State::Waiting(_) => {
                    order.issue.waited();
                    order.state = State::Going;
                }
                State::Going => {}
            }
            match order.issue.step() {
                Ok(Step::Request { method, url, body }) => {
                    let question = Question::Order(order.begun);
                    return Some(self.ask(question, method, url, body));
                }
                Ok(Step::Publish(challenges)) => {
                    self.publish(&challenges, fill);
                    return None;
                }
                Ok(Step::Wait(seconds)) => {
                    order.state = State::Waiting(self.time.now + Duration::from_secs(seconds));
                }
                Ok(Step::Done(chain)) => self.accept(&chain),
                Err(error) => self.end_order(&error),
            }
        }
        None
    }

    /// What has become of it.
    pub(super) fn answered(
        &mut self,
        number: u64,
        answered: Result<Response, Fault<HttpError>>,
        fill: &mut dyn FnMut(&mut [u8]),
    ) {
        let asking = &mut self.office.asking;
        let Some((_, question)) = asking.take_if(|(known, _)| *known == number) else {
            return;
        };
        let now = self.time.now;
        match question {
            Question::Directory => {
                let found = answered.ok().as_ref().and_then(Directory::of);
                self.office.directory_at = now + found.as_ref().map_or(NO_DIRECTORY, |_| DIRECTORY);
                if found.is_none() {
                    self.office.pause_until = now + PAUSE;
                }
                self.office.directory = found;
            }
            Question::Renewal(host, id) => {
                let kept = self.hosts.get_mut(&host);
                // Another certificate may be in its place by now.
                let Some(kept) = kept.filter(|kept| kept.question() == Some(&id)) else {
                    return;
                };
                let Ok(response) = answered else {
                    kept.renewal.put_off_asking(now + NO_DIRECTORY);
                    self.office.pause_until = now + PAUSE;
                    return;
                };
                let mut chance = [0; 4];
                fill(&mut chance);
                let found = Suggestion::of(&response, self.time.unix);
                let chance = u32::from_le_bytes(chance);
                kept.renewal.suggest(found, chance, self.time);
            }
            Question::Order(begun) => {
                let order = self.office.order.as_mut();
                let Some(order) = order.filter(|order| order.begun == begun) else {
                    return;
                };
                match answered {
                    Ok(response) => {
                        if let Err(error) = order.issue.answer(&response, self.time.unix) {
                            self.end_order(&error);
                        }
                    }
                    Err(fault) => {
                        let why = format!("the authority can't be asked: {fault}");
                        self.fail_order(why, renewal::Fault::Authority, None);
                    }
                }
            }
        }
    }

    /// The proofs of the order under way are in force, or can't be.
    pub(super) fn published(&mut self, errors: &[String]) {
        let order = self.office.order.as_mut();
        let Some(order) = order.filter(|order| order.state == State::Publishing) else {
            return;
        };
        match errors.first() {
            None => {
                order.state = State::Going;
                order.issue.published();
            }
            Some(error) => {
                let why = format!("its proof can't be served: {error}");
                self.fail_order(why, renewal::Fault::Host, None);
            }
        }
    }

    /// Gives up the order under way if its host is gone or wants something else by now.
    pub(super) fn check_order(&mut self) {
        let Some(order) = &self.office.order else {
            return;
        };
        let file = self
            .hosts
            .get(&order.host)
            .and_then(|kept| kept.file.as_ref());
        let is_wanted = file
            .is_some_and(|file| file.renew && file.identifiers.as_ref() == Ok(&order.identifiers));
        if !is_wanted {
            let line = format!(
                "{}: its order is given up, as its file has changed",
                order.host
            );
            self.remarks.say(Severity::Notice, line);
            self.close_order();
        }
    }

    fn ask(
        &mut self,
        question: Question,
        method: &'static str,
        url: String,
        body: Vec<u8>,
    ) -> (u64, Demand) {
        self.number += 1;
        self.office.asking = Some((self.number, question));
        let request = Request { method, url, body };
        (self.number, Demand::Request(request))
    }

    /// Asks when a certificate is to be renewed, or what the authority offers, if it is time to.
    fn question(&mut self) -> Option<(u64, Demand)> {
        let now = self.time.now;
        let due = self.hosts.iter().filter_map(|(name, kept)| {
            let at = self.question_at(kept).filter(|at| *at <= now)?;
            Some((at, name, kept.question()?))
        });
        let (_, name, id) = due.min_by_key(|(at, ..)| *at)?;
        if now >= self.office.directory_at {
            let url = self.settings.issuer.as_ref()?.directory.clone();
            return Some(self.ask(Question::Directory, "GET", url, Vec::new()));
        }
        let url = self.office.directory.as_ref()?.renewal_question(id)?;
        let question = Question::Renewal(name.clone(), id.into());
        Some(self.ask(question, "GET", url, Vec::new()))
    }

    /// Of the hosts whose certificates are due, the one that has waited longest since it was tried.
    fn next_host(&self) -> Option<String> {
        let hosts = self.hosts.iter();
        let due = hosts.filter(|(name, kept)| {
            let at = self.order_at(name, kept);
            at.is_some_and(|at| at <= self.time.now)
        });
        let (name, _) = due.min_by_key(|(_, kept)| kept.renewal.tried())?;
        Some(name.clone())
    }

    /// The next certificate's key; `None`: it is still being drawn.
    fn key(&mut self, fill: &mut dyn FnMut(&mut [u8])) -> Result<Option<Key>, NoKey> {
        let kind = self.settings.issuer.as_ref().map(|issuer| issuer.key);
        let Some(KeyKind::Rsa(bits)) = kind else {
            return Key::draw(fill).map(Some);
        };
        let mut draw = match self.office.draw.take() {
            Some(draw) => draw,
            None => RsaDraw::new(bits)?,
        };
        let key = draw.step(fill)?;
        if key.is_none() {
            self.office.draw = Some(draw);
        }
        Ok(key)
    }

    /// Begins an order.
    fn begin(&mut self, name: &str, key: Result<Key, NoKey>) {
        let (Some(issuer), Some(kept)) = (&self.settings.issuer, self.hosts.get_mut(name)) else {
            return;
        };
        kept.renewal.begin(self.time);
        let Some(file) = &kept.file else {
            return;
        };
        let identifiers = file.identifiers.clone().unwrap_or_default();
        let id = file.lifetime.as_ref().and_then(|life| life.id.clone());
        let replaces = id.filter(|_| kept.renewal.is_replaceable());
        let mut proofs = issuer.proofs.clone();
        if kept.renewal.is_proof_refused() {
            proofs.reverse();
        }
        let (replaced, begun) = (file.chain.clone(), self.number);
        let key = key.and_then(|key| Ok((key.to_pem()?, key)));
        let (text, key) = match key {
            Ok(key) => key,
            Err(error) => {
                return self.fail(name, error.to_string(), renewal::Fault::Host, None);
            }
        };
        let order = Order {
            directory: issuer.directory.clone(),
            account: issuer.account.clone(),
            email: issuer.email.clone(),
            binding: issuer.binding(),
            key,
            identifiers: identifiers.clone(),
            proofs,
            profile: issuer.profile.clone(),
            replaces: replaces.clone(),
        };
        match Issue::new(order) {
            Ok(issue) => {
                self.office.order = Some(Ordering {
                    begun,
                    host: name.into(),
                    issue,
                    state: State::Going,
                    until: self.time.now + LONGEST_ORDER,
                    key: text,
                    identifiers,
                    replaced,
                    replaces: replaces.is_some(),
                    tokens: Vec::new(),
                    proofs: Vec::new(),
                });
                let line = format!("{name}: a new certificate is being ordered");
                self.remarks.say(Severity::Info, line);
            }
            Err(error) => self.fail(name, error.to_string(), renewal::Fault::Host, None),
        }
    }

    /// Has proofs served.
    fn publish(&mut self, challenges: &[Challenge], fill: &mut dyn FnMut(&mut [u8])) {
        let Some(order) = &mut self.office.order else {
            return;
        };
        for challenge in challenges {
            match challenge.kind {
                ChallengeKind::Http01 => order.tokens.push(Token {
                    token: challenge.token.clone(),
                    authorization: challenge.authorization.clone(),
                }),
                ChallengeKind::TlsAlpn01 => {
                    let identifier = &challenge.identifier;
                    let made = Key::draw(&mut *fill).ok().and_then(|key| {
                        acme::proof(identifier, &challenge.authorization, &key, self.time.unix).ok()
                    });
                    let Some((certificate, key)) = made else {
                        let why = format!("the proof of {identifier} can't be made");
                        return self.fail_order(why, renewal::Fault::Host, None);
                    };
                    order.proofs.push(Proof {
                        name: identifier.server_name(),
                        certificate: certificate.into(),
                        key: Arc::new(key),
                    });
                }
            }
        }
        order.state = State::Publishing;
        self.is_changed = true;
    }

    /// Takes a certificate from the authority, and what it is worth.
    fn accept(&mut self, text: &str) {
        let provider = self.settings.provider;
        let Some(order) = &self.office.order else {
            return;
        };
        let key = order.key.as_bytes();
        let judged = Identity::from_pem(text.as_bytes(), key, provider);
        let judged = judged.map_err(|error| error.to_string()).and_then(|_| {
            let lifetime = Lifetime::of(text).ok_or("it can't be read")?;
            let mut names = order.identifiers.iter();
            match names.find(|name| !lifetime.covers(name)) {
                Some(name) => Err(format!("it is not for {name}")),
                None => Ok(lifetime),
            }
        });
        let lifetime = match judged {
            Ok(lifetime) => lifetime,
            Err(error) => {
                let why = format!("the authority's certificate can't be used: {error}");
                return self.fail_order(why, renewal::Fault::Host, None);
            }
        };
        if let Some(directory) = order.issue.directory() {
            self.office.directory = Some(directory.clone());
            self.office.directory_at = self.time.now + DIRECTORY;
        }
        let name = order.host.clone();
        let fresh = Fresh {
            chain: certificates(text),
            key: order.key.clone(),
            lifetime: lifetime.clone(),
            replaced: order.replaced.clone(),
            is_in_use: false,
        };
        self.close_order();
        self.judge_clock(&name, &lifetime);
        self.fresh.insert(name, fresh);
        match self.repository.is_well() {
            true => self.repository.write_now(self.time.now),
            false => self.use_fresh(),
        }
    }

    /// A new certificate tells whether this machine's clock is right.
    fn judge_clock(&mut self, name: &str, lifetime: &Lifetime) {
        let Some(kept) = self.hosts.get_mut(name) else {
            return;
        };
        let unix = self.time.unix;
        if lifetime.renewal() > unix {
            kept.renewal.succeed();
            if lifetime.not_before > unix.saturating_add(SKEW) {
                let line = format!(
                    "{name}: its new certificate is not valid yet by this machine's clock: is that \
                     right?"
                );
                self.remarks.say(Severity::Warning, line);
            }
            return;
        }
        // Ordering another one at once would go on for ever.
        let why = String::from(
            "the new certificate is due for renewal already by this machine's clock: is that right?",
        );
        let line = format!("{name}: {why}");
        self.remarks.say(Severity::Error, line);
        let fault = renewal::Fault::Host;
        kept.renewal
            .fail(why, fault, None, Some(lifetime), self.time);
    }

    /// The order under way has failed.
    fn end_order(&mut self, error: &Error) {
        let Some(order) = &self.office.order else {
            return;
        };
        let (refused, fault) = match error {
            Error::Refused { stage, problem } => {
                let is_early = matches!(stage, Stage::Directory | Stage::Account);
                let fault = match is_early || problem.status >= 500 {
                    true => renewal::Fault::Authority,
                    false => renewal::Fault::Host,
                };
                let is_limit = problem.kind == "rateLimited";
                (*stage == Stage::Order && !is_limit, fault)
            }
            Error::Unexpected(Stage::Directory | Stage::Account) | Error::TooLong(_) => {
                (false, renewal::Fault::Authority)
            }
            _ => (false, renewal::Fault::Host),
        };
        let is_replacing_refused = refused && order.replaces && fault == renewal::Fault::Host;
        if let Some(kept) = self.hosts.get_mut(&order.host) {
            if is_replacing_refused {
                kept.renewal.refuse_replacing();
            }
            if matches!(error, Error::NotProven { .. }) {
                kept.renewal.refuse_proof();
            }
        }
        self.fail_order(error.to_string(), fault, error.retry_after());
    }

    fn fail_order(&mut self, why: String, fault: renewal::Fault, asked: Option<u64>) {
        let Some(order) = &self.office.order else {
            return;
        };
        let name = order.host.clone();
        self.close_order();
        if fault == renewal::Fault::Authority {
            let asked = Duration::from_secs(asked.unwrap_or_default().min(LONGEST_PAUSE));
            self.office.pause_until = self.time.now + PAUSE.max(asked);
        }
        self.fail(&name, why, fault, asked);
    }

    /// There is no new certificate for this host.
    fn fail(&mut self, name: &str, why: String, fault: renewal::Fault, asked: Option<u64>) {
        let Some(kept) = self.hosts.get_mut(name) else {
            return;
        };
        let lifetime = kept.lifetime().cloned();
        kept.renewal
            .fail(why.clone(), fault, asked, lifetime.as_ref(), self.time);
        let pause = kept.renewal.not_before();
        let pause = pause.saturating_duration_since(self.time.now).as_secs();
        let line =
            format!("{name}: no new certificate, and the next try in {pause} seconds: {why}");
        self.remarks.say(Severity::Warning, line);
    }

    fn close_order(&mut self) {
        if let Some(order) = self.office.order.take() {
            self.is_changed |= !order.tokens.is_empty() || !order.proofs.is_empty();
        }
    }
}
