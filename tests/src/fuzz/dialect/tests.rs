//! That the harness finds what it looks for: small dialects, sound and unsound ones.

use stockade_tunnel::dialect::{
    About, Destination, Dialect, End, Ends, Fault, Host, Progress, Protocol, Setup, Stage,
    Unreachable, WINDOW, Wire,
};
use stockade_tunnel::session::Mode;

use super::owner::{Owner, State};
use super::plan::{MARK, Plan, Step};
use super::{begin, converse};

const SERVER: u8 = 0;
const CLIENT: u8 = 1;
const PASSWORD: &str = "hunter2hunter2";

/// A conversation of this mode, with `!` in place of the mark.
fn plan(mode: u8, said: &str) -> Plan {
    let mark = |text: &str| -> Vec<u8> {
        let mark = |byte| if byte == b'!' { MARK } else { byte };
        text.bytes().map(mark).collect()
    };
    let fields = mark(&format!("host!user!{PASSWORD}!A: 1\nB: 2!"));
    let input = [&[mode, 0, b'x'], &fields[..], &mark(said)].concat();
    Plan::read(&[Protocol::Smtp], &input).expect("a whole input")
}

#[test]
fn inputs_are_configurations_and_conversations() {
    let plan = plan(CLIENT, "ab!*\x03!cq!bx!Cy!?z!w!!!");
    assert_eq!(plan.mode, Mode::Client);
    assert_eq!(plan.setup.host.as_deref(), Some("host"));
    assert_eq!(plan.setup.headers, ["A: 1", "B: 2"]);
    assert_eq!(plan.filler, b"x");
    let said = |end, words: &[u8]| Step::Said(end, words.to_vec());
    let expected = [
        said(0, b"ababab"),
        said(0, b"q"),
        said(1, b"x"),
        Step::Ends(0),
        said(1, b"y"),
        said(1, b"z"),
        Step::Pauses(0),
        said(1, &[MARK]),
    ];
    assert_eq!(plan.steps, expected);
}

#[test]
fn nobody_says_more_than_its_share() {
    let plan = plan(SERVER, "0123456789!*\u{7f}!*\u{7f}!*\u{7f}!b12");
    let said: Vec<usize> = plan.pieces().map(<[u8]>::len).collect();
    assert!(said[0] <= 8 * WINDOW, "{said:?}");
    assert_eq!(said.last(), Some(&2));
}

type Polled = Result<Progress, Fault>;

/// A dialect of a function, which is told how often it was asked before.
struct Odd<F>(usize, F);

impl<F: FnMut(usize, Stage, &mut Ends<'_>) -> Polled> Dialect for Odd<F> {
    fn poll(&mut self, stage: Stage, ends: &mut Ends<'_>, _: &About<'_>) -> Polled {
        self.0 += 1;
        (self.1)(self.0 - 1, stage, ends)
    }

    fn unreachable(&mut self, client: &mut Wire<'_>, _: Unreachable) {
        client.send(b"sorry");
    }
}

/// Runs a conversation with a dialect, and gives what was sent and what became of it.
fn check(
    plan: &Plan,
    dialect: impl FnMut(usize, Stage, &mut Ends<'_>) -> Polled + Clone + 'static,
) -> (String, State) {
    let make =
        |_: &Setup, _| -> Option<Box<dyn Dialect>> { Some(Box::new(Odd(0, dialect.clone()))) };
    let mut ended = converse(plan, &make).expect("a dialect");
    let sent = ended.sent().concat();
    let state = ended.state.clone();
    ended.flood();
    (String::from_utf8_lossy(&sent).into_owned(), state)
}

/// Begins TLS when a client says `go`; names a backend under it.
fn sound(_: usize, stage: Stage, ends: &mut Ends<'_>) -> Polled {
    if stage == Stage::Connected {
        ends.client.send(b"yes");
        return Ok(Progress::Next);
    }
    let Some(line) = ends.client.line(100)? else {
        return Ok(Progress::Wait);
    };
    match (stage, line) {
        (Stage::Clear, b"go") => {
            ends.client.refuse_early()?;
            ends.client.send(b"ok\r\n");
            Ok(Progress::Next)
        }
        (Stage::Secured, b"there") => {
            let (host, port) = (Host::Name("there".into()), 1);
            Ok(Progress::Connect(Destination { host, port }))
        }
        _ => Err(Fault::with(End::Client, "No", line)),
    }
}

#[test]
fn a_sound_dialect_passes() {
    for (said, expected) in [
        ("", ""),
        ("go\n", "ok\r\n"),
        ("g!?o\r!?\n!?there\nrest", "ok\r\nyes"),
        ("go\nthere\n", ""),
        ("stop\ngo\n", ""),
        ("go\n!bgreeting!cthere\n!B", "ok\r\nyes"),
        ("!wgo\n!?there\n!C", "ok\r\nyes"),
    ] {
        assert_eq!(check(&plan(SERVER, said), sound).0, expected, "{said}");
    }
}

#[test]
fn an_end_is_reached_or_not() {
    let mut plan = plan(SERVER, "go\n!?there\nrest");
    assert_eq!(check(&plan, sound).1, State::Relaying);
    plan.unreachable = Some(Unreachable::NotResolved);
    let (sent, state) = check(&plan, sound);
    assert_eq!(sent, "ok\r\nsorry");
    assert!(matches!(state, State::Refused(..)), "{state:?}");
}

#[test]
#[should_panic(expected = "early data are left")]
fn early_data_are_found() {
    check(&plan(SERVER, "go\nnow"), |_, _, ends| {
        Ok(match ends.client.line(100)? {
            Some(_) => Progress::Next,
            None => Progress::Wait,
        })
    });
}

#[test]
#[should_panic(expected = "is not refused")]
fn early_data_that_are_dropped_are_found() {
    check(&plan(SERVER, "go\nnow"), |_, stage, ends| {
        let line = ends.client.line(100)?;
        let rest = ends.client.rest().len();
        ends.client.take(rest);
        Ok(match (stage, line) {
            (Stage::Clear, Some(_)) => Progress::Next,
            _ => Progress::Wait,
        })
    });
}

#[test]
fn what_belongs_to_tls_is_nobodys() {
    let (_, state) = check(&plan(CLIENT, "words!b\x16\x03"), |_, stage, ends| {
        match (stage, ends.backend.rest()) {
            (Stage::Clear, []) => Ok(Progress::Wait),
            (_, []) => Ok(Progress::Next),
            (Stage::Clear, _) => Ok(Progress::Next),
            (_, _) => Err(Fault::new(End::Backend, "TLS's")),
        }
    });
    assert_eq!(state, State::Relaying);
}

#[test]
#[should_panic(expected = "it listens for ever")]
fn endless_patience_is_found() {
    check(&plan(SERVER, ""), |_, _, ends| {
        let rest = ends.client.rest().len();
        ends.client.take(rest);
        Ok(Progress::Wait)
    });
}

#[test]
#[should_panic(expected = "it waits for nothing")]
fn waiting_with_a_full_window_is_found() {
    check(&plan(SERVER, ""), |_, _, _| Ok(Progress::Wait));
}

#[test]
#[should_panic(expected = "it has not done all that it can")]
fn work_that_is_left_is_found() {
    check(&plan(SERVER, "ab"), |_, _, ends| {
        ends.client.take(1);
        Ok(Progress::Wait)
    });
}

#[test]
#[should_panic(expected = "it talks to nobody")]
fn words_to_nobody_are_found() {
    check(&plan(SERVER, ""), |_, _, ends| {
        ends.backend.send(b"hello");
        Ok(Progress::Next)
    });
}

#[test]
#[should_panic(expected = "it talks without end")]
fn endless_talk_is_found() {
    check(&plan(SERVER, &"a".repeat(WINDOW + 1)), |_, _, ends| {
        if !ends.client.rest().is_empty() {
            ends.client.send(b"hello");
        }
        Ok(Progress::Wait)
    });
}

#[test]
#[should_panic(expected = "it says too much at once")]
fn long_answers_are_found() {
    check(&plan(SERVER, ""), |_, _, ends| {
        ends.client.send(&[0; 3 * WINDOW]);
        Ok(Progress::Next)
    });
}

#[test]
#[should_panic(expected = "another part is taken")]
fn answers_that_depend_on_the_cut_are_found() {
    check(&plan(SERVER, "abc"), |_, stage, ends| {
        let rest = ends.client.rest().len().min(2);
        Ok(match (stage, rest) {
            (Stage::Secured, 0) => Progress::Wait,
            (Stage::Secured, _) => {
                ends.client.take(rest);
                Progress::Next
            }
            _ => Progress::Next,
        })
    });
}

#[test]
#[should_panic(expected = "it is sent in the clear")]
fn passwords_in_the_clear_are_found() {
    check(&plan(CLIENT, ""), |_, _, ends| {
        ends.backend.send(PASSWORD.as_bytes());
        Ok(Progress::Next)
    });
}

#[test]
#[should_panic(expected = "an error tells it")]
fn passwords_in_errors_are_found() {
    check(&plan(CLIENT, ""), |_, _, _| {
        Err(Fault::with(End::Backend, "No", PASSWORD.as_bytes()))
    });
}

#[test]
#[should_panic(expected = "the backend hears STARTTLS")]
fn words_of_clients_to_the_backend_are_found() {
    check(&plan(SERVER, ""), |_, stage, ends| {
        if stage == Stage::Connected {
            ends.backend.send(b"STARTTLS");
        }
        Ok(Progress::Next)
    });
}

#[test]
fn passwords_under_tls_and_those_that_a_peer_says_are_none_of_its_business() {
    check(&plan(CLIENT, ""), |_, stage, ends| {
        if stage == Stage::Secured {
            ends.backend.send(PASSWORD.as_bytes());
        }
        Ok(Progress::Next)
    });
    check(&plan(CLIENT, PASSWORD), |_, _, _| {
        Err(Fault::with(End::Backend, "No", PASSWORD.as_bytes()))
    });
}

/// Every protocol has a dialect in the modes that it is for: no target runs idle.
#[test]
fn every_target_has_a_dialect() {
    let mut setup = plan(SERVER, "").setup;
    setup.host = Some("host:25".into());
    for (protocol, modes) in [
        (Protocol::Connect, [true, true]),
        (Protocol::Imap, [true, true]),
        (Protocol::Ldap, [true, false]),
        (Protocol::Nntp, [true, false]),
        (Protocol::Pgsql, [true, true]),
        (Protocol::Pop3, [true, true]),
        (Protocol::Proxy, [false, true]),
        (Protocol::Proxy2, [false, true]),
        (Protocol::Smtp, [true, true]),
        (Protocol::Socks, [true, true]),
    ] {
        setup.protocol = protocol;
        let found = [Mode::Client, Mode::Server].map(|mode| begin(&setup, mode).is_some());
        assert_eq!(found, modes, "{protocol:?}");
    }
}

#[test]
fn the_connection_that_dialects_look_at_tells_all_that_they_may_ask() {
    super::secured::with(Mode::Server, "http/1.1", |tls| {
        let handshake = tls.handshake().expect("an established connection");
        assert_eq!(handshake.sni.as_deref(), Some("localhost"));
        assert_eq!(handshake.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert!(tls.peer().is_some(), "no certificate");
    });
    let plan = plan(SERVER, "");
    let owner = Owner::new(&plan, Box::new(Odd(0, sound)));
    assert_eq!(owner.secured_end(), End::Client);
}
