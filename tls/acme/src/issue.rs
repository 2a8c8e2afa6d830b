//! One certificate, from the directory to the chain (RFC 8555 §7).
//!
//! ```text
//! Step::Request ──► the owner ──► answer(Response) ─┐
//!       ▲                                           │
//!       └────────────────── step ◄──────────────────┘
//! ```

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};

use crate::directory::Directory;
use crate::error::{Error, Stage};
use crate::response::{Problem, Response};
use crate::{Binding, Identifier, Key, Payload, Signer, certificate_request, sign};

/// How often a request is signed anew because its nonce was too old.
const NONCES: u32 = 20;

/// How often a state is asked for before it is given up.
const POLLS: u32 = 60;

/// Seconds between two such questions, unless the authority says otherwise; and the longest pause.
const PAUSE: u64 = 1;
const LONGEST_PAUSE: u64 = 60;

/// Most names of a certificate.
const MOST_NAMES: usize = 100;

/// How somebody proves that a name is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// A file on port 80 (RFC 8555 §8.3).
    Http01,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn01,
}

impl ChallengeKind {
    fn word(self) -> &'static str {
        match self {
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// What the owner must have ready before the authority looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The name.
    pub identifier: Identifier,
    /// How it is proven.
    pub kind: ChallengeKind,
    /// The path's last part (HTTP).
    pub token: String,
    /// The file's content; the certificate's extension holds its SHA-256 (TLS).
    pub authorization: String,
    url: String,
    answered: bool,
}

/// What is ordered.
pub struct Order {
    /// The directory's address.
    pub directory: String,
    /// The account's key.
    pub account: Key,
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// What binds the account to another one.
    pub binding: Option<Binding>,
    /// The certificate's key.
    pub key: Key,
    /// The names; the first is the host's.
    pub identifiers: Vec<Identifier>,
    /// What proofs the owner can give, the best first.
    pub proofs: Vec<ChallengeKind>,
    /// The kind of certificate, where the authority has several.
    pub profile: Option<String>,
    /// Which certificate it takes the place of (RFC 9773 §5): its identifier.
    pub replaces: Option<String>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, and hand the answer to [`Issue::answer`].
    Request {
        /// `GET`, `HEAD` or `POST`.
        method: &'static str,
        /// Where to.
        url: String,
        /// Its content, of the type `application/jose+json`; empty for the others.
        body: Vec<u8>,
    },
    /// Have all of these ready, then call [`Issue::published`].
    Publish(Vec<Challenge>),
    /// Call [`Issue::waited`] after so many seconds.
    Wait(u64),
    /// The certificate chain, PEM.
    Done(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Directory,
    Nonce,
    Account,
    Ordering,
    /// Reads what is to be proven, by its place in the list.
    Reading(usize),
    Publishing,
    /// Says that a proof is ready.
    Answering(usize),
    /// Asks what the authority thinks of it.
    Checking(usize),
    Finalizing,
    /// Asks whether the certificate is there.
    Polling,
    Downloading,
    Done,
}

impl State {
    fn stage(self) -> Stage {
        match self {
            State::Directory | State::Nonce => Stage::Directory,
            State::Account => Stage::Account,
            State::Ordering => Stage::Order,
            State::Reading(_) | State::Publishing | State::Answering(_) | State::Checking(_) => {
                Stage::Proof
            }
            State::Finalizing | State::Polling | State::Downloading | State::Done => {
                Stage::Certificate
            }
        }
    }
}

/// The way of one order.
pub struct Issue {
    order: Order,
    state: State,
    /// Where to go on once there is a nonce.
    resume: State,
    nonce: Option<String>,
    directory: Option<Directory>,
    account_url: Option<String>,
    order_url: String,
    finalize_url: String,
    certificate_url: String,
    authorizations: Vec<String>,
    challenges: Vec<Challenge>,
    pauses: VecDeque<u64>,
    nonces: u32,
    polls: u32,
    chain: String,
}

impl Issue {
    /// Begins.
    ///
    /// # Errors
    ///
    /// There are no names, too many, or names that none of the proofs can prove.
    pub fn new(order: Order) -> Result<Issue, Error> {
        let count = order.identifiers.len();
        if !(1..=MOST_NAMES).contains(&count) || order.proofs.is_empty() {
            return Err(Error::Names);
        }
        if order.identifiers.iter().any(Identifier::is_wildcard) {
            return Err(Error::Wildcard);
        }
        Ok(Issue {
            order,
            state: State::Directory,
            resume: State::Account,
            nonce: None,
            directory: None,
            account_url: None,
            order_url: String::new(),
            finalize_url: String::new(),
            certificate_url: String::new(),
            authorizations: Vec::new(),
            challenges: Vec::new(),
            pauses: VecDeque::new(),
            nonces: 0,
            polls: 0,
            chain: String::new(),
        })
    }

    /// The account's address at the authority, once it is known.
    pub fn account_url(&self) -> Option<&str> {
        self.account_url.as_deref()
    }

    /// What the authority offers, once it is known.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// What comes next; the same until it is done.
    ///
    /// # Errors
    ///
    /// A request for the certificate can't be made.
    pub fn step(&mut self) -> Result<Step, Error> {
        if let Some(seconds) = self.pauses.front() {
            return Ok(Step::Wait(*seconds));
        }
        let get = |method, url: &str| Step::Request {
            method,
            url: url.into(),
            body: Vec::new(),
        };
        match self.state {
            State::Directory => return Ok(get("GET", &self.order.directory)),
            State::Publishing => return Ok(Step::Publish(self.challenges.clone())),
            State::Done => return Ok(Step::Done(self.chain.clone())),
            _ => {}
        }
        let Some(nonce) = self.nonce.clone() else {
            if self.state != State::Nonce {
                self.resume = self.state;
                self.state = State::Nonce;
            }
            let url = self
                .directory
                .as_ref()
                .map(|found| found.new_nonce.as_str());
            return Ok(get("HEAD", url.unwrap_or_default()));
        };
        if self.state == State::Nonce {
            self.state = self.resume;
        }
        let (url, payload) = self.post()?;
        let payload = payload.as_ref().map_or(Payload::Nothing, Payload::Json);
        let key = &self.order.account;
        let signer = match &self.account_url {
            Some(url) => Signer::Account { key, url },
            None => Signer::Key(key),
        };
        let body = sign(signer, &url, &nonce, payload);
        let method = "POST";
        Ok(Step::Request { method, url, body })
    }

    /// The next signed request: where to, and what.
    fn post(&self) -> Result<(String, Option<Value>), Error> {
        let directory = self.directory.as_ref();
        let service = |of: fn(&Directory) -> &String| {
            directory.map(|found| of(found).clone()).unwrap_or_default()
        };
        let challenge = |index: usize| self.challenges.get(index);
        Ok(match self.state {
            State::Account => (service(|found| &found.new_account), Some(self.account())),
            State::Ordering => (service(|found| &found.new_order), Some(self.ordered())),
            State::Reading(index) | State::Checking(index) => {
                let url = self.authorizations.get(index);
                (url.cloned().unwrap_or_default(), None)
            }
            State::Answering(index) => {
                let url = challenge(index).map(|challenge| challenge.url.clone());
                (url.unwrap_or_default(), Some(json!({})))
            }
            State::Finalizing => {
                let request = certificate_request(&self.order.key, &self.order.identifiers);
                let request = request.map_err(|_| Error::Names)?;
                let word = Base64UrlUnpadded::encode_string(&request);
                (self.finalize_url.clone(), Some(json!({"csr": word})))
            }
            State::Downloading => (self.certificate_url.clone(), None),
            _ => (self.order_url.clone(), None),
        })
    }

    fn account(&self) -> Value {
        let mut account = json!({"termsOfServiceAgreed": true});
        let mut insert = |name: &str, value: Value| {
            if let Some(members) = account.as_object_mut() {
                members.insert(name.into(), value);
            }
        };
        if let Some(email) = &self.order.email {
            insert("contact", json!([alloc::format!("mailto:{email}")]));
        }
        if let (Some(binding), Some(directory)) = (&self.order.binding, &self.directory) {
            let bound = binding.to_json(&self.order.account, &directory.new_account);
            insert("externalAccountBinding", bound);
        }
        account
    }

    fn ordered(&self) -> Value {
        let names = self.order.identifiers.iter().map(Identifier::to_json);
        let mut order = json!({"identifiers": names.collect::<Vec<Value>>()});
        let more = [
            ("profile", &self.order.profile),
            ("replaces", &self.order.replaces),
        ];
        for (name, value) in more {
            if let (Some(value), Some(members)) = (value, order.as_object_mut()) {
                members.insert(name.into(), json!(value));
            }
        }
        order
    }

    /// Everything that was asked to be published is.
    pub fn published(&mut self) {
        if self.state == State::Publishing {
            self.state = State::Answering(0);
            self.skip_answered();
        }
    }

    /// The seconds that were asked for have passed.
    pub fn waited(&mut self) {
        self.pauses.pop_front();
    }

    /// Takes the answer to the last request in; `unix_seconds` is now, since 1970, UTC.
    ///
    /// # Errors
    ///
    /// The order has failed. What the authority said is in it, and when to come again.
    pub fn answer(&mut self, response: &Response, unix_seconds: u64) -> Result<(), Error> {
        // Each nonce counts once.
        if !matches!(self.state, State::Directory) {
            self.nonce = response.header("replay-nonce").map(String::from);
        }
        if !response.is_success() {
            return self.refused(response.problem(unix_seconds));
        }
        self.nonces = 0;
        let unexpected = Error::Unexpected(self.state.stage());
        let json = match self.state {
            State::Nonce | State::Downloading => Value::Null,
            _ => response.json().ok_or(unexpected.clone())?,
        };
        let pause = response.retry_after(unix_seconds).unwrap_or(PAUSE);
        let pause = pause.clamp(PAUSE, LONGEST_PAUSE);
        match self.state {
            State::Directory => {
                let directory = Directory::parse(&json).ok_or(unexpected)?;
                self.check(&directory)?;
                self.directory = Some(directory);
                self.state = State::Account;
            }
            State::Nonce => {
                if self.nonce.is_none() {
                    return Err(unexpected);
                }
                self.state = self.resume;
            }
            State::Account => {
                let url = response.header("location").ok_or(unexpected)?;
                self.account_url = Some(url.into());
                self.state = State::Ordering;
            }
            State::Ordering => {
                self.order_url = response
                    .header("location")
                    .ok_or(unexpected.clone())?
                    .into();
                self.take_order(&json).ok_or(unexpected)?;
            }
            State::Reading(index) => self.read(index, &json)?,
            State::Answering(index) => {
                self.polls = 0;
                self.state = State::Checking(index);
                self.pauses.push_back(PAUSE);
            }
            State::Checking(index) => self.judge(index, &json, pause)?,
            State::Finalizing | State::Polling => self.poll(&json, pause)?,
            State::Downloading => {
                let chain = String::from_utf8(response.body.clone()).ok();
                let is_pem = |text: &String| text.contains("-----BEGIN CERTIFICATE-----");
                self.chain = chain.filter(is_pem).ok_or(unexpected)?;
                self.state = State::Done;
            }
            State::Publishing | State::Done => return Err(unexpected),
        }
        Ok(())
    }

    /// What to do where the authority says no.
    fn refused(&mut self, problem: Problem) -> Result<(), Error> {
        if problem.kind == "badNonce" && self.nonces < NONCES {
            self.nonces += 1;
            return Ok(());
        }
        if problem.kind == "alreadyReplaced" && self.order.replaces.take().is_some() {
            return Ok(());
        }
        if problem.kind == "orderNotReady" && self.state == State::Finalizing {
            // It believes every name, and has not yet drawn the conclusion.
            return self.again(Stage::Certificate, PAUSE);
        }
        let stage = self.state.stage();
        Err(Error::Refused { stage, problem })
    }

    fn check(&self, directory: &Directory) -> Result<(), Error> {
        if directory.needs_binding && self.order.binding.is_none() {
            return Err(Error::NeedsBinding);
        }
        match &self.order.profile {
            Some(profile) if !directory.profiles.contains_key(profile) => {
                let offered = directory.profiles.keys().cloned().collect();
                Err(Error::Profile { offered })
            }
            _ => Ok(()),
        }
    }

    fn take_order(&mut self, json: &Value) -> Option<()> {
        self.finalize_url = json.get("finalize")?.as_str()?.into();
        let urls = json.get("authorizations")?.as_array()?.iter();
        let urls = urls.map(|url| url.as_str().map(String::from));
        let urls: Vec<String> = urls.collect::<Option<_>>()?;
        if urls.len() > MOST_NAMES {
            return None;
        }
        self.state = match urls.is_empty() {
            true => State::Finalizing,
            false => State::Reading(0),
        };
        self.authorizations = urls;
        Some(())
    }

    /// Takes what is to be proven, and how it can be.
    fn read(&mut self, index: usize, json: &Value) -> Result<(), Error> {
        let unexpected = Error::Unexpected(Stage::Proof);
        let status = json.get("status").and_then(Value::as_str);
        let name = json
            .get("identifier")
            .and_then(|found| found.get("value")?.as_str());
        let identifier = name.and_then(|name| Identifier::parse(name).ok());
        let identifier = identifier.ok_or(unexpected.clone())?;
        if !self.order.identifiers.contains(&identifier) {
            return Err(unexpected);
        }
        let challenge = match status {
            Some("valid") => Challenge {
                identifier,
                kind: ChallengeKind::Http01,
                token: String::new(),
                authorization: String::new(),
                url: String::new(),
                answered: true,
            },
            Some("pending") => self.challenge(&identifier, json)?,
            _ => return Err(failed(&identifier, json)),
        };
        self.challenges.push(challenge);
        self.state = match index + 1 < self.authorizations.len() {
            true => State::Reading(index + 1),
            false if self.challenges.iter().all(|one| one.answered) => State::Finalizing,
            false => State::Publishing,
        };
        Ok(())
    }

    /// The best of the proofs that both can do.
    fn challenge(&self, identifier: &Identifier, json: &Value) -> Result<Challenge, Error> {
        let offered = json.get("challenges").and_then(Value::as_array);
        let offered = || offered.into_iter().flatten();
        let of_kind = |kind: ChallengeKind| {
            let found = offered().find(|one| one.get("type") == Some(&json!(kind.word())))?;
            let text = |name: &str| found.get(name)?.as_str();
            // RFC 8555 §8.1: base64url alone; it becomes a path.
            let token = text("token").filter(|token| is_token(token))?;
            Some(Challenge {
                identifier: identifier.clone(),
                kind,
                token: token.into(),
                authorization: self.order.account.authorization(token),
                url: text("url")?.into(),
                answered: false,
            })
        };
        let found = self.order.proofs.iter().find_map(|kind| of_kind(*kind));
        found.ok_or_else(|| Error::NoProof(identifier.clone()))
    }

    /// Whether the authority believes it.
    fn judge(&mut self, index: usize, json: &Value, pause: u64) -> Result<(), Error> {
        match json.get("status").and_then(Value::as_str) {
            Some("valid") => {
                self.state = State::Answering(index + 1);
                self.skip_answered();
                Ok(())
            }
            Some("pending" | "processing") => self.again(Stage::Proof, pause),
            _ => Err(match self.challenges.get(index) {
                Some(challenge) => failed(&challenge.identifier, json),
                None => Error::Unexpected(Stage::Proof),
            }),
        }
    }

    /// Goes on to the next proof that is to be given, or to the certificate.
    fn skip_answered(&mut self) {
        while let State::Answering(index) = self.state {
            match self.challenges.get(index) {
                None => self.state = State::Finalizing,
                Some(challenge) if challenge.answered => self.state = State::Answering(index + 1),
                Some(_) => return,
            }
        }
        self.polls = 0;
    }

    /// Whether the certificate is there.
    fn poll(&mut self, json: &Value, pause: u64) -> Result<(), Error> {
        match json.get("status").and_then(Value::as_str) {
            Some("valid") => {
                let url = json.get("certificate").and_then(Value::as_str);
                let url = url.ok_or(Error::Unexpected(Stage::Certificate))?;
                self.certificate_url = url.into();
                self.state = State::Downloading;
                Ok(())
            }
            Some("processing") | Some("ready") | Some("pending") => {
                self.state = State::Polling;
                self.again(Stage::Certificate, pause)
            }
            _ => {
                let error = json.get("error").cloned().unwrap_or_default();
                Err(Error::Refused {
                    stage: Stage::Certificate,
                    problem: Problem::of(0, &error),
                })
            }
        }
    }

    fn again(&mut self, stage: Stage, pause: u64) -> Result<(), Error> {
        self.polls += 1;
        if self.polls > POLLS {
            return Err(Error::TooLong(stage));
        }
        self.pauses.push_back(pause);
        Ok(())
    }
}

/// Why a name was not proven: what the authority says of its challenges.
fn failed(identifier: &Identifier, json: &Value) -> Error {
    let challenges = json.get("challenges").and_then(Value::as_array);
    let mut errors = challenges.into_iter().flatten();
    let error = errors.find_map(|challenge| challenge.get("error"));
    Error::NotProven {
        identifier: identifier.clone(),
        problem: Problem::of(0, error.unwrap_or(&Value::Null)),
    }
}

fn is_token(token: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=256).contains(&token.len()) && token.bytes().all(is_of_token)
}

#[cfg(test)]
mod tests;
