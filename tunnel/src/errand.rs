//! One conversation with another machine that is begun here: with the store over SSH, or with an
//! authority over HTTPS.
//!
//! Nothing here dials or has deadlines: whoever owns an errand has both, and its stream.

use alloc::{boxed::Box, string::String};
use core::net::IpAddr;

use config::{
    Host,
    url::{Scheme, Url},
};
use store::{
    git::Limits,
    visit::{Access, Outcome, VisitError},
};

use crate::{
    keeper::{Demand, Fault, HttpError, Reply},
    relay::{Scratch, Stream},
};

mod https;
#[cfg(test)]
mod tests;
mod visit;

use https::Https;
use visit::Call;

/// What a [`Demand`] is made into: a conversation, and with whom.
pub struct Errand {
    host: Host,
    port: u16,
    talk: Talk,
    /// Its stream was ended.
    is_over: bool,
}

enum Talk {
    Visit(Box<Call>),
    Https(Box<Https>),
}

/// What errands are made with.
pub struct Means<'a> {
    /// The way into the store.
    pub access: &'a Access,
    /// How much of it is taken.
    pub limits: &'a Limits,
    /// Who is believed to be an authority; nobody is asked without.
    pub client: Option<&'a tls::Client>,
}

/// Why an errand came to nothing before there was a conversation, or in its midst.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// Nobody could be reached: why, in words.
    Unreachable(String),
    /// It took too long.
    TimedOut,
}

impl Errand {
    /// An errand for this demand.
    ///
    /// # Errors
    /// The reply, when it can't even begin.
    pub fn new(demand: &Demand, means: &Means<'_>) -> Result<Self, Reply> {
        let Means { access, limits, .. } = means;
        let visit = match demand {
            Demand::Fetch(known) => store::visit::Visit::fetch(access, *known, limits),
            Demand::Push(draft) => store::visit::Visit::push(access, draft, limits),
            Demand::Request(request) => {
                let answered = |fault| Reply::Answered(Err(fault));
                let url = Url::parse(&request.url, Scheme::Https);
                let url = url.ok_or_else(|| answered(Fault::Conversation(HttpError::Url)))?;
                let nobody = || answered(Fault::Tls("no authority is trusted".into()));
                let client = means.client.ok_or_else(nobody)?;
                let https = Https::new(request, &url, client);
                return Ok(Self {
                    host: url.host,
                    port: url.port,
                    talk: Talk::Https(Box::new(https.map_err(answered)?)),
                    is_over: false,
                });
            }
        };
        let visit = visit.map_err(|error| Reply::Visited(Err(Fault::Conversation(error))))?;
        let remote = &access.remote;
        Ok(Self {
            host: match remote.host.parse() {
                Ok(address) => Host::Address(address),
                Err(_) => Host::Name(remote.host.clone()),
            },
            port: remote.port,
            talk: Talk::Visit(Box::new(Call::new(visit))),
            is_over: false,
        })
    }

    /// With whom: host and port.
    pub fn place(&self) -> (&Host, u16) {
        (&self.host, self.port)
    }

    /// Moves what can be moved now; the reply once it is known. The stream has then been ended.
    pub fn poll<S: Stream>(&mut self, stream: &mut S, scratch: &mut Scratch) -> Option<Reply> {
        let reply = match &mut self.talk {
            Talk::Visit(call) => call.poll(stream).map(Reply::Visited),
            Talk::Https(https) => https.poll(stream, scratch).map(Reply::Answered),
        };
        self.is_over = reply.is_some();
        reply
    }

    /// Whether [`poll`](Self::poll) has given the reply.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether it is with the store.
    pub fn is_visit(&self) -> bool {
        matches!(self.talk, Talk::Visit(_))
    }

    /// Whether this address is what it was told to go to.
    pub fn is_at(&self, address: IpAddr) -> bool {
        self.host == Host::Address(address)
    }

    /// The reply for an errand that something outside has hindered.
    pub fn hindered(&self, hindrance: Hindrance) -> Reply {
        match &self.talk {
            Talk::Visit(_) => Reply::Visited(Err(hindrance.into())),
            Talk::Https(_) => Reply::Answered(Err(hindrance.into())),
        }
    }
}

impl<E> From<Hindrance> for Fault<E> {
    fn from(hindrance: Hindrance) -> Self {
        match hindrance {
            Hindrance::Unreachable(why) => Fault::Unreachable(why),
            Hindrance::TimedOut => Fault::TimedOut,
        }
    }
}

/// What comes of a visit.
type Visited = Result<Outcome, Fault<VisitError>>;

/// What comes of a request.
type Answered = Result<acme::Response, Fault<HttpError>>;

/// Whether nothing more will come in a stream.
fn is_over<S: Stream>(stream: &S) -> bool {
    stream.recv_len() == 0
        && (stream.peer_finished() || matches!(stream.status(), net::Status::Closed(_)))
}
