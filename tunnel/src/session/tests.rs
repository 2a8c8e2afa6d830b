//! Two sessions back to back over in-memory streams:
//! application ↔ client session ↔ server session ↔ backend.

use alloc::vec::Vec;
use std::string::String;

use tls::{Client, ClientOptions, Identity, Provider, ServerOptions, VerifyMode, WallClock};

use super::*;
use pipe::{End, Fate, pipe};

mod negotiation;
pub(crate) mod pipe;

/// Application, client session, server session and backend, with the pipes between them.
struct Chain {
    application: End,
    client_plain: End,
    client_tls: End,
    server_tls: End,
    server_plain: End,
    backend: End,
    client: Session,
    server: Session,
    client_step: Step,
    server_step: Step,
    /// Whether the server session has been given its backend.
    dialled: bool,
    scratch: Scratch,
    now: Instant,
}

const BUFFER: usize = 20 * 1024;

fn chain(provider: Provider) -> Chain {
    let certified = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let clock = WallClock::new(1_800_000_000);
    let identity = Identity::from_pem(
        certified.cert.pem().as_bytes(),
        certified.signing_key.serialize_pem().as_bytes(),
        provider,
    )
    .unwrap();
    let server = tls::Server::new(ServerOptions::new(identity, clock.clone())).unwrap();
    let client = Client::new(ClientOptions {
        provider,
        verify: VerifyMode::None,
        ..ClientOptions::new(Vec::new(), clock)
    })
    .unwrap();
    let (application, client_plain) = pipe(BUFFER);
    let (client_tls, server_tls) = pipe(BUFFER);
    let (server_plain, backend) = pipe(BUFFER);
    let now = Instant::ZERO;
    let timeouts = Timeouts::default();
    let connection = client.connect(Some("localhost")).unwrap();
    Chain {
        application,
        client_plain,
        client_tls,
        server_tls,
        server_plain,
        backend,
        client: Session::new(connection, Mode::Client, timeouts, now),
        server: Session::new(server.accept().unwrap(), Mode::Server, timeouts, now),
        client_step: Step::Wait,
        server_step: Step::Wait,
        dialled: false,
        scratch: Scratch::new(),
        now,
    }
}

impl Chain {
    /// Polls both sessions, then both again, until neither has anything to move.
    fn settle(&mut self) {
        for _ in 0..20 {
            if !matches!(self.client_step, Step::End(_)) {
                self.client_step = self.client.poll(
                    Some(&mut self.client_tls),
                    Some(&mut self.client_plain),
                    &mut self.scratch,
                    self.now,
                );
            }
            if !matches!(self.server_step, Step::End(_)) {
                let plain = self.dialled.then_some(&mut self.server_plain);
                self.server_step = self.server.poll(
                    Some(&mut self.server_tls),
                    plain,
                    &mut self.scratch,
                    self.now,
                );
            }
            if self.server_step == (Step::Connect { failed: None }) {
                let patience = Timeouts::default().connect;
                self.server.dialling(self.now, patience);
                self.dialled = true;
                self.server_step = Step::Wait;
            }
        }
    }

    /// Polls the server session alone, which has no backend yet.
    fn poll_server_before_dialling(&mut self) -> Step {
        let none: Option<&mut End> = None;
        self.server.poll(
            Some(&mut self.server_tls),
            none,
            &mut self.scratch,
            self.now,
        )
    }

    /// Runs the handshakes.
    fn connected(mut self) -> Self {
        self.settle();
        assert!(
            self.dialled,
            "{:?} {:?}",
            self.client_step, self.server_step
        );
        assert!(self.client.handshake().is_some());
        self
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

/// Sends `data` from one end and reads it at the other, through whatever is between.
fn transfer(
    chain: &mut Chain,
    from: fn(&mut Chain) -> &mut End,
    to: fn(&mut Chain) -> &mut End,
    data: &[u8],
) -> Vec<u8> {
    let mut sent = 0;
    let mut received = Vec::new();
    for _ in 0..data.len() + 100 {
        sent += from(chain).send(&data[sent..]);
        chain.settle();
        received.extend(to(chain).read_all());
        if received.len() == data.len() {
            break;
        }
    }
    received
}

fn application(chain: &mut Chain) -> &mut End {
    &mut chain.application
}

fn backend(chain: &mut Chain) -> &mut End {
    &mut chain.backend
}

#[test]
fn bytes_pass_unchanged_both_ways_with_both_providers() {
    for provider in [Provider::Ring, Provider::RustCrypto] {
        let mut chain = chain(provider).connected();
        for length in [1, 100, 16_384, 16_385, 300_000] {
            let data = pattern(length);
            let there = transfer(&mut chain, application, backend, &data);
            assert!(there == data, "{length} bytes to the backend");
            let back = transfer(&mut chain, backend, application, &data);
            assert!(back == data, "{length} bytes from the backend");
        }
    }
}

#[test]
fn the_dialled_end_is_asked_for_only_after_the_handshake() {
    let mut chain = chain(Provider::Ring);
    chain.client_step = chain.client.poll(
        Some(&mut chain.client_tls),
        Some(&mut chain.client_plain),
        &mut chain.scratch,
        chain.now,
    );
    assert_eq!(chain.client_step, Step::Wait);
    let step = chain.poll_server_before_dialling();
    assert_eq!(step, Step::Wait, "the client's Finished is still to come");
}

#[test]
fn the_application_s_end_of_stream_passes_and_the_backend_goes_on() {
    let mut chain = chain(Provider::Ring).connected();
    chain.application.send(b"request");
    chain.application.finish();
    chain.settle();
    assert_eq!(chain.backend.read_all(), b"request");
    assert!(chain.backend.peer_finished());
    assert_eq!(chain.server_step, Step::Wait);
    let message = "a FIN of the carrying connection could be taken for the end of both directions";
    assert!(!chain.server_tls.peer_finished(), "{message}");
    let answer = pattern(100_000);
    let received = transfer(&mut chain, backend, application, &answer);
    assert!(received == answer);
    assert!(!chain.application.peer_finished());
    chain.backend.finish();
    chain.settle();
    assert!(chain.application.peer_finished());
    assert_eq!(chain.client_step, Step::End(Ok(())));
    assert_eq!(chain.server_step, Step::End(Ok(())));
    assert!(chain.server_tls.peer_finished() && chain.client_tls.peer_finished());
}

#[test]
fn the_backend_s_end_of_stream_passes_and_the_application_goes_on() {
    let mut chain = chain(Provider::Ring).connected();
    chain.backend.send(b"greeting");
    chain.backend.finish();
    chain.settle();
    assert_eq!(chain.application.read_all(), b"greeting");
    assert!(chain.application.peer_finished());
    assert!(!chain.client_tls.peer_finished());
    let data = pattern(100_000);
    let received = transfer(&mut chain, application, backend, &data);
    assert!(received == data);
    chain.application.finish();
    chain.settle();
    assert!(chain.backend.peer_finished());
    assert_eq!(chain.server_step, Step::End(Ok(())));
}

#[test]
fn a_reset_by_the_backend_reaches_the_application_behind_the_data() {
    let mut chain = chain(Provider::Ring).connected();
    chain.backend.send(b"last words");
    chain.backend.reset();
    chain.settle();
    assert_eq!(chain.application.read_all(), b"last words");
    chain.settle();
    assert_eq!(
        chain.server_step,
        Step::End(Err(SessionError::PlainEndLost(StreamError::Reset)))
    );
    assert_eq!(
        chain.application.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_reset_by_the_application_reaches_the_backend() {
    let mut chain = chain(Provider::Ring).connected();
    chain.application.reset();
    chain.settle();
    assert_eq!(
        chain.backend.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_stream_cut_off_without_close_notify_ends_as_a_reset_behind_the_data() {
    let mut chain = chain(Provider::Ring).connected();
    chain.application.send(b"half a mess");
    chain.settle();
    // The TLS peer's TCP ends, but its TLS does not.
    chain.client_tls.finish();
    chain.settle();
    assert_eq!(chain.server_step, Step::Wait, "the data is not read yet");
    assert_eq!(chain.backend.read_all(), b"half a mess");
    chain.settle();
    assert_eq!(chain.server_step, Step::End(Err(SessionError::Truncated)));
    assert_eq!(
        chain.backend.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_missing_close_notify_is_forgiven_once_the_backend_has_ended() {
    let mut chain = chain(Provider::Ring).connected();
    chain.backend.finish();
    chain.settle();
    chain.client_tls.finish();
    chain.settle();
    assert_eq!(chain.server_step, Step::End(Ok(())));
    assert!(chain.backend.peer_finished());
}

#[test]
fn garbage_instead_of_a_handshake_is_reset() {
    let mut chain = chain(Provider::Ring);
    chain
        .client_tls
        .send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let step = chain.poll_server_before_dialling();
    assert!(matches!(step, Step::End(Err(SessionError::Handshake(_)))));
    assert_eq!(chain.client_tls.read_all(), b"");
    assert_eq!(
        chain.client_tls.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_client_that_says_nothing_is_dropped_after_the_handshake_time() {
    let mut chain = chain(Provider::Ring);
    chain.now = chain.server.deadline();
    let step = chain.poll_server_before_dialling();
    assert_eq!(step, Step::End(Err(SessionError::HandshakeTimeout)));
    assert_eq!(
        chain.client_tls.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_record_cut_off_is_not_forgiven() {
    let mut chain = chain(Provider::Ring).connected();
    chain.backend.finish();
    chain.settle();
    // The beginning of an application-data record of 100 bytes (RFC 8446 §5.1).
    chain.client_tls.send(&[23, 3, 3, 0, 100, 1, 2, 3]);
    chain.client_tls.finish();
    chain.settle();
    assert_eq!(chain.server_step, Step::End(Err(SessionError::Truncated)));
    assert_eq!(
        chain.backend.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_client_that_leaves_during_the_handshake_is_no_error_of_the_backend() {
    let mut chain = chain(Provider::Ring);
    chain.client_tls.finish();
    let step = chain.poll_server_before_dialling();
    assert_eq!(step, Step::End(Err(SessionError::HandshakeAbandoned)));
}

#[test]
fn a_refused_backend_asks_for_the_next_address() {
    let mut chain = chain(Provider::Ring);
    *chain.server_plain.fate.borrow_mut() = Fate::Lost(StreamError::Refused);
    chain.settle();
    assert_eq!(
        chain.server_step,
        Step::Connect {
            failed: Some(StreamError::Refused)
        }
    );
    let error = chain.server.give_up(
        &mut chain.server_tls,
        DialError::Failed(StreamError::Refused),
    );
    let words = std::format!("{error}");
    assert_eq!(
        words,
        String::from("the backend cannot be reached: connection refused")
    );
    assert_eq!(
        chain.client_tls.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_silent_backend_is_given_up_after_the_connect_time() {
    let mut chain = chain(Provider::Ring);
    *chain.server_plain.fate.borrow_mut() = Fate::Connecting;
    chain.settle();
    assert_eq!(chain.server_step, Step::Wait);
    chain.now = chain.server.deadline();
    chain.settle();
    assert_eq!(
        chain.server_step,
        Step::Connect {
            failed: Some(StreamError::TimedOut)
        }
    );
}

#[test]
fn an_idle_session_ends_with_a_reset_at_both_ends() {
    let mut chain = chain(Provider::Ring).connected();
    chain.now = chain.server.deadline();
    // The client session would end for the same reason; here it sleeps.
    chain.client_step = Step::End(Ok(()));
    chain.settle();
    assert_eq!(chain.server_step, Step::End(Err(SessionError::Idle)));
    let tls = chain.client_tls.status();
    assert_eq!(tls, Status::Closed(Some(StreamError::Reset)));
    assert_eq!(
        chain.backend.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_half_closed_session_ends_with_a_reset_after_the_close_time() {
    let mut chain = chain(Provider::Ring).connected();
    chain.backend.finish();
    chain.settle();
    let close = Timeouts::default().close;
    assert!(chain.server.deadline() <= chain.now + close);
    chain.now = chain.now + close;
    // The client session would end for the same reason; here it sleeps.
    chain.client_step = Step::End(Ok(()));
    chain.settle();
    assert_eq!(
        chain.server_step,
        Step::End(Err(SessionError::CloseTimeout))
    );
    // A FIN would tell the backend that it has all that the client wanted to send.
    assert_eq!(
        chain.backend.status(),
        Status::Closed(Some(StreamError::Reset))
    );
}

#[test]
fn a_session_ends_only_when_its_readers_have_everything() {
    let mut chain = chain(Provider::Ring).connected();
    let data = pattern(10_000);
    chain.application.finish();
    chain.settle();
    chain.client_step = Step::End(Ok(()));
    chain.backend.send(&data);
    chain.backend.finish();
    // The client does not read, for longer than the close time.
    for _ in 0..3 {
        chain.now = chain.now + Timeouts::default().close;
        chain.settle();
        assert_eq!(chain.server_step, Step::Wait);
    }
    chain.client_step = Step::Wait;
    chain.settle();
    assert!(chain.application.read_all() == data);
    assert_eq!(chain.server_step, Step::End(Ok(())));
}

#[test]
fn a_reader_that_stops_stops_the_writer() {
    let mut chain = chain(Provider::Ring).connected();
    let data = pattern(1_000_000);
    let mut sent = 0;
    for _ in 0..1000 {
        sent += chain.application.send(&data[sent..]);
        chain.settle();
    }
    // Four buffers lie between the ends, and no byte more is taken.
    assert!(sent <= 4 * BUFFER, "{sent} bytes are on their way");
    let mut received = chain.backend.read_all();
    let rest = transfer(&mut chain, application, backend, &data[sent..]);
    received.extend(rest);
    for _ in 0..100 {
        chain.settle();
        received.extend(chain.backend.read_all());
    }
    assert!(received == data);
}
