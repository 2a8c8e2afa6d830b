//! What is said around TLS, by a dialect of the tests' own.

use alloc::boxed::Box;

use super::*;
use crate::{
    dialect::{About, Dialect, End as Party, Ends, Fault, Progress, Wire},
    opening::Opening,
};

/// Which end speaks, in which stage, and what it has to say; it is answered with `ok`.
struct Toy {
    stage: Stage,
    end: Party,
    dials_first: bool,
}

const TOY: Toy = Toy {
    stage: Stage::Clear,
    end: Party::Client,
    dials_first: false,
};

impl Dialect for Toy {
    fn dials_first(&self) -> bool {
        self.dials_first
    }

    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != self.stage {
            return Ok(Progress::Next);
        }
        assert_eq!(about.tls.is_some(), stage != Stage::Clear);
        let wire = match self.end {
            Party::Client => &mut ends.client,
            Party::Backend => &mut ends.backend,
        };
        let Some(line) = wire.line(100)? else {
            return Ok(Progress::Wait);
        };
        match line {
            b"next" => {
                wire.send(b"ok\n");
                Ok(Progress::Next)
            }
            b"go" => Ok(Progress::Connect(Destination {
                host: crate::dialect::Host::Name("there".into()),
                port: 7,
            })),
            _ => {
                wire.send(b"no\n");
                Err(Fault::with(self.end, "No such word", line))
            }
        }
    }

    fn unreachable(&mut self, client: &mut Wire<'_>, _why: Unreachable) {
        client.send(b"gone\n");
    }
}

fn negotiation(toy: Toy, mode: Mode) -> Negotiation {
    let address = |text: &str| text.parse().unwrap();
    let (client, local) = (address("192.0.2.1:1"), address("192.0.2.2:2"));
    Negotiation::new(Box::new(toy), mode, client, local)
}

/// A chain whose server has something said inside TLS by its client.
fn secured() -> Chain {
    let mut chain = chain(Provider::Ring);
    let toy = Toy {
        stage: Stage::Secured,
        ..TOY
    };
    chain.server = chain
        .server
        .with_negotiation(negotiation(toy, Mode::Server));
    chain
}

/// Polls the client session alone.
fn poll_client(chain: &mut Chain) -> Step {
    chain.client.poll(
        Some(&mut chain.client_tls),
        Some(&mut chain.client_plain),
        &mut chain.scratch,
        chain.now,
    )
}

#[test]
fn a_client_mode_backend_speaks_in_the_clear_before_tls() {
    let mut chain = chain(Provider::Ring);
    let toy = Toy {
        end: Party::Backend,
        ..TOY
    };
    chain.client = chain
        .client
        .with_negotiation(negotiation(toy, Mode::Client));
    assert_eq!(poll_client(&mut chain), Step::Wait);
    assert_eq!(chain.server_tls.recv_len(), 0, "TLS has not begun");
    chain.server_tls.send(b"ne");
    assert_eq!(poll_client(&mut chain), Step::Wait);
    chain.server_tls.send(b"xt\n");
    assert_eq!(poll_client(&mut chain), Step::Wait);
    let said = chain.server_tls.read_all();
    assert_eq!(&said[..4], b"ok\n\x16", "then a handshake record follows");
}

#[test]
fn a_backend_that_says_no_ends_the_session_and_no_data_goes_out_in_the_clear() {
    let mut chain = chain(Provider::Ring);
    let toy = Toy {
        end: Party::Backend,
        ..TOY
    };
    chain.client = chain
        .client
        .with_negotiation(negotiation(toy, Mode::Client));
    chain.application.send(b"secret");
    chain.server_tls.send(b"500 never\n");
    let step = poll_client(&mut chain);
    let fault = Fault::with(Party::Backend, "No such word", b"500 never");
    assert_eq!(step, Step::End(Err(SessionError::Negotiation(fault))));
    assert_eq!(chain.server_tls.read_all(), b"no\n");
    assert!(chain.server_tls.peer_finished(), "behind the last words");
    assert_eq!(
        chain.application.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_server_s_client_speaks_inside_tls_and_what_follows_is_relayed() {
    let mut chain = secured();
    chain.settle();
    assert!(!chain.dialled, "the client has not said anything");
    chain.application.send(b"next\nand more");
    chain.settle();
    assert!(chain.dialled);
    assert_eq!(chain.application.read_all(), b"ok\n");
    assert_eq!(chain.backend.read_all(), b"and more");
    let data = pattern(100_000);
    assert!(transfer(&mut chain, application, backend, &data) == data);
}

#[test]
fn what_follows_the_negotiation_arrives_before_the_client_s_end() {
    let mut chain = secured();
    chain.settle();
    let data = pattern(7000);
    chain.application.send(b"next\n");
    chain.application.send(&data);
    chain.application.finish();
    chain.settle();
    assert!(chain.backend.read_all() == data);
    assert!(chain.backend.peer_finished());
    chain.backend.finish();
    chain.settle();
    assert_eq!(chain.server_step, Step::End(Ok(())));
}

#[test]
fn a_client_names_its_backend_and_hears_that_there_is_none() {
    let mut chain = secured();
    chain.settle();
    chain.application.send(b"go\n");
    chain.client_step = poll_client(&mut chain);
    chain.server_step = chain.poll_server_before_dialling();
    let Step::ConnectTo(destination) = &chain.server_step else {
        panic!("{:?}", chain.server_step);
    };
    assert_eq!(destination.port, 7);
    let why = Unreachable::NotResolved;
    let error = chain
        .server
        .refuse_destination(&mut chain.server_tls, &mut chain.scratch, why);
    assert_eq!(error, SessionError::Destination(why));
    chain.server_step = Step::End(Err(error));
    chain.settle();
    assert_eq!(chain.application.read_all(), b"gone\n");
    assert!(
        chain.application.peer_finished(),
        "in order, by close_notify"
    );
}

#[test]
fn last_words_of_a_server_are_read_inside_tls() {
    let mut chain = secured();
    chain.settle();
    chain.application.send(b"what\n");
    chain.settle();
    let error = match &chain.server_step {
        Step::End(Err(SessionError::Negotiation(fault))) => std::format!("{fault}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(error, "No such word: what");
    assert_eq!(chain.application.read_all(), b"no\n");
    assert!(chain.application.peer_finished());
}

#[test]
fn a_client_that_is_silent_or_leaves_is_not_waited_for() {
    let mut silent = secured();
    silent.settle();
    silent.now = silent.server.deadline();
    silent.settle();
    assert_eq!(
        silent.server_step,
        Step::End(Err(SessionError::NegotiationTimeout))
    );
    let mut gone = secured();
    gone.settle();
    gone.application.send(b"ne");
    gone.application.finish();
    gone.settle();
    assert_eq!(
        gone.server_step,
        Step::End(Err(SessionError::NegotiationAbandoned(Party::Client)))
    );
}

#[test]
fn the_backend_is_told_something_before_anything_is_relayed() {
    let mut chain = chain(Provider::Ring);
    let toy = Toy {
        stage: Stage::Connected,
        end: Party::Backend,
        ..TOY
    };
    chain.server = chain
        .server
        .with_negotiation(negotiation(toy, Mode::Server));
    chain.application.send(b"data");
    chain.settle();
    assert_eq!(chain.backend.read_all(), b"");
    chain.backend.send(b"next\nanswer");
    chain.settle();
    assert_eq!(chain.backend.read_all(), b"ok\ndata");
    assert_eq!(chain.application.read_all(), b"answer");
}

/// An opening with its client and its backend.
struct Entrance {
    opening: Opening,
    client: End,
    near_client: End,
    backend: End,
    near_backend: End,
    scratch: Scratch,
    now: Instant,
}

fn entrance(dials_first: bool, end: Party) -> Entrance {
    let toy = Toy {
        dials_first,
        end,
        ..TOY
    };
    let (client, near_client) = pipe(BUFFER);
    let (near_backend, backend) = pipe(BUFFER);
    let timeouts = Timeouts::default();
    let now = Instant::ZERO;
    Entrance {
        opening: Opening::new(negotiation(toy, Mode::Server), timeouts, true, now),
        client,
        near_client,
        backend,
        near_backend,
        scratch: Scratch::new(),
        now,
    }
}

impl Entrance {
    fn poll(&mut self, with_backend: bool) -> Step {
        let backend = with_backend.then_some(&mut self.near_backend);
        self.opening
            .poll(&mut self.near_client, backend, &mut self.scratch, self.now)
    }
}

#[test]
fn a_server_s_client_speaks_before_tls_and_its_hello_stays_in_the_stream() {
    let mut entrance = entrance(false, Party::Client);
    assert_eq!(entrance.poll(false), Step::Wait);
    entrance.client.send(b"next\n\x16\x03\x01");
    assert_eq!(entrance.poll(false), Step::BeginTls);
    assert_eq!(entrance.client.read_all(), b"ok\n");
    assert_eq!(entrance.near_client.recv_len(), 3);
}

#[test]
fn a_backend_that_greets_is_dialled_before_tls() {
    let mut entrance = entrance(true, Party::Backend);
    assert_eq!(entrance.poll(false), Step::Connect { failed: None });
    let patience = Timeouts::default().connect;
    entrance.opening.dialling(entrance.now, patience);
    *entrance.near_backend.fate.borrow_mut() = Fate::Connecting;
    assert_eq!(entrance.poll(true), Step::Wait);
    entrance.now = entrance.opening.deadline();
    let failed = Some(StreamError::TimedOut);
    assert_eq!(entrance.poll(true), Step::Connect { failed });
    *entrance.near_backend.fate.borrow_mut() = Fate::Alive;
    entrance.backend.send(b"next\n");
    assert_eq!(entrance.poll(true), Step::BeginTls);
    assert_eq!(entrance.backend.read_all(), b"ok\n");
}

#[test]
fn an_opening_ends_when_an_end_leaves_or_is_silent() {
    for end in [Party::Client, Party::Backend] {
        let mut left = entrance(true, end);
        assert_eq!(left.poll(true), Step::Wait);
        match end {
            Party::Client => left.client.finish(),
            Party::Backend => left.backend.finish(),
        }
        let error = SessionError::NegotiationAbandoned(end);
        assert_eq!(left.poll(true), Step::End(Err(error)));
        for stream in [&left.client, &left.backend] {
            assert_eq!(stream.status(), Status::Closed(Some(StreamError::Reset)));
        }
    }
    let mut silent = entrance(false, Party::Client);
    silent.client.send(b"nex");
    assert_eq!(silent.poll(false), Step::Wait);
    silent.now = silent.opening.deadline();
    let error = SessionError::NegotiationTimeout;
    assert_eq!(silent.poll(false), Step::End(Err(error)));
}

#[test]
fn a_client_that_leaves_while_the_backend_is_dialled_ends_the_opening() {
    let mut entrance = entrance(true, Party::Backend);
    *entrance.near_backend.fate.borrow_mut() = Fate::Connecting;
    entrance.client.reset();
    assert!(matches!(
        entrance.poll(true),
        Step::End(Err(SessionError::TlsEndLost(_)))
    ));
}
