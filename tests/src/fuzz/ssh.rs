//! What the store's machine says over SSH: before the login anything, after it what a command says.

use ed25519_dalek::SigningKey;
use stockade_store::git::{Fetch, Limits};
use stockade_store::remote::Remote;
use stockade_store::ssh::{HostKey, LoginKey};
use stockade_store::visit::{Access, Outcome, Visit, VisitError};
use sunset::{ChanData, ChanHandle, Event, PubKey, Runner, ServEvent, Server, SignKey};

use super::input::Input;

const HOST_SEED: [u8; 32] = [1; 32];
const USER_SEED: [u8; 32] = [2; 32];

/// Most rounds of a conversation: some packets each way, and each input is small.
const ROUNDS: usize = 2_000;

/// Most bytes that a client sends to somebody who has not yet shown who they are.
const MOST_SENT: usize = 64 * 1024;

/// A byte that says who is at the other end, one that says how long the pieces are, and:
///
/// - 0: what somebody says who need not speak SSH at all.
/// - 1: packets (RFC 4253 §6), of each its payload (a block), behind a greeting. A fuzzer's build of
///   sunset takes them in the clear and believes every signature, so they lead through the whole of
///   it; elsewhere they end with the exchange of keys.
/// - 2: what the command says to one who has logged in; of each piece a byte (its low bit: it is for
///   standard error) and a block. The connection itself is as it should be, which a fuzzer's build can't
///   have.
///
/// Checked: nobody is believed without the key, nor told much; a conversation comes to the same as
/// without SSH around it; errors say something.
pub fn ssh(bytes: &[u8]) {
    let [what, size, said @ ..] = bytes else {
        return;
    };
    let size = usize::from(*size).max(1);
    match what % 3 {
        0 => stranger(said, size),
        1 => stranger(&packets(said), size),
        _ if cfg!(fuzzing) => {}
        _ => command(said, size * 16),
    }
}

/// A greeting and packets with these payloads.
fn packets(said: &[u8]) -> Vec<u8> {
    /// The message after which all is encrypted (RFC 4253 §7.3).
    const NEWKEYS: u8 = 21;
    const BLOCK: usize = 8;
    const TAG: usize = 16;
    let mut input = Input::new(said);
    let mut bytes = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
    let mut is_encrypted = false;
    while let Some(payload) = input.block() {
        // The length counts for the padding where it is encrypted with the rest (RFC 4253 §6).
        let head = if is_encrypted { 1 } else { 5 };
        let mut padding = BLOCK - (head + payload.len()) % BLOCK;
        if padding < 4 {
            padding += BLOCK;
        }
        let length = 1 + payload.len() + padding;
        bytes.extend((length as u32).to_be_bytes());
        bytes.push(padding as u8);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len() + padding, 0);
        if is_encrypted {
            bytes.resize(bytes.len() + TAG, 0);
        }
        is_encrypted |= payload.first() == Some(&NEWKEYS);
    }
    bytes
}

fn visit() -> Visit {
    let key = SigningKey::from_bytes(&HOST_SEED).verifying_key();
    let access = Access {
        remote: Remote::parse("git@store.example:certificates.git#master").expect("a remote"),
        key: LoginKey::from_seed(USER_SEED),
        host_key: Some(HostKey::from_bytes(key.to_bytes())),
    };
    Visit::fetch(&access, None, &Limits::default()).expect("a visit begins")
}

fn stranger(said: &[u8], size: usize) {
    let mut visit = visit();
    let mut sent = visit.departing().len();
    for piece in said.chunks(size) {
        let received = visit.receive(piece);
        sent += visit.departing().len();
        // Who is let in is asked for the branch, and told how much more there is room for.
        assert!(
            sent <= MOST_SENT + said.len(),
            "{sent} bytes for a stranger"
        );
        if let Err(error) = received {
            return speaks(&error);
        }
        if visit.is_done() {
            let found = visit.finish();
            match found.is_ok() && cfg!(fuzzing) {
                true => return,
                false => panic!("a stranger was believed: {found:?}"),
            }
        }
    }
    speaks(&visit.receive_end().expect_err("it was not over"));
}

fn speaks(error: &VisitError) {
    let text = error.to_string();
    assert!(
        !text.is_empty() && !text.contains(char::is_control),
        "{text:?}"
    );
}

fn command(said: &[u8], size: usize) {
    let mut input = Input::new(said);
    let (mut pieces, mut all) = (Vec::new(), Vec::new());
    while let (Some(flags), Some(text)) = (input.byte(), input.block()) {
        let is_complaint = flags & 1 == 1;
        if !is_complaint {
            all.extend_from_slice(text);
        }
        pieces.push((is_complaint, text));
    }
    let mut fetch = Fetch::new("refs/heads/master", None, &Limits::default());
    let expected = fetch.receive(&all).and_then(|()| fetch.finish());

    let mut host = Host::new(pieces);
    let mut visit = visit();
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        there.extend(visit.departing());
        let answered = host.turn(&mut there);
        let is_still = answered.is_empty() && back.is_empty() && there.is_empty();
        back.extend(answered);
        if is_still {
            break;
        }
        let piece: Vec<u8> = back.drain(..size.min(back.len())).collect();
        if let Err(error) = visit.receive(&piece) {
            // A command that goes on talking may be cut off before that is seen.
            assert!(expected.is_err(), "{error} instead of {expected:?}");
            return speaks(&error);
        }
        if visit.is_done() {
            let found = visit.finish();
            if let Ok(expected) = expected {
                assert_eq!(found, Ok(Outcome::Fetched(expected)));
            }
            return;
        }
    }
    assert!(expected.is_err(), "{expected:?} never came");
    assert_eq!(host.left(), 0, "the command stands still");
}

/// The store's machine, on which every command says the same.
struct Host<'a> {
    runner: Box<Runner<'static, Server>>,
    channel: Option<ChanHandle>,
    is_started: bool,
    pieces: Vec<(bool, &'a [u8])>,
    /// The first piece that is not yet said, and how much of it is.
    at: (usize, usize),
}

impl<'a> Host<'a> {
    fn new(pieces: Vec<(bool, &'a [u8])>) -> Host<'a> {
        Host {
            runner: Box::new(Runner::new_server_owned()),
            channel: None,
            is_started: false,
            pieces,
            at: (0, 0),
        }
    }

    fn left(&self) -> usize {
        let (index, said) = self.at;
        let rest = self.pieces.iter().skip(index);
        rest.map(|(_, text)| text.len()).sum::<usize>() - said
    }

    /// Takes bytes from the network as far as it can, and gives those for it.
    fn turn(&mut self, arrived: &mut Vec<u8>) -> Vec<u8> {
        let mut departing = Vec::new();
        for _ in 0..ROUNDS {
            let mut moved = self.event();
            moved |= self.speak();
            let bytes = self.runner.output_buf().to_vec();
            self.runner.consume_output(bytes.len());
            moved |= !bytes.is_empty();
            departing.extend(bytes);
            if !arrived.is_empty() && self.runner.is_input_ready() {
                let taken = self.runner.input(arrived).expect("the client speaks SSH");
                arrived.drain(..taken);
                moved |= taken > 0;
            }
            if !moved {
                break;
            }
        }
        departing
    }

    fn event(&mut self) -> bool {
        let event = match self.runner.progress().expect("the client speaks SSH") {
            Event::Serv(event) => event,
            Event::Progressed => return true,
            _ => return false,
        };
        let done = match event {
            ServEvent::Hostkeys(request) => {
                let key = SignKey::Ed25519(SigningKey::from_bytes(&HOST_SEED));
                request.hostkeys(&[&key])
            }
            ServEvent::FirstAuth(mut request) => request.enable_pubkey_auth(true),
            ServEvent::PubkeyAuth(request) => {
                let user = SigningKey::from_bytes(&USER_SEED).verifying_key();
                let is_known = match request.pubkey().expect("a key") {
                    PubKey::Ed25519(key) => key.key.0 == user.to_bytes(),
                    _ => false,
                };
                assert!(is_known, "it logs in with another key");
                request.allow()
            }
            ServEvent::OpenSession(request) => request.accept().map(|channel| {
                self.channel = Some(channel);
            }),
            ServEvent::SessionExec(request) => {
                self.is_started = true;
                request.succeed()
            }
            _ => Ok(()),
        };
        done.expect("the client speaks SSH");
        true
    }

    fn speak(&mut self) -> bool {
        let Some(channel) = self.channel.as_ref().filter(|_| self.is_started) else {
            return false;
        };
        let mut moved = false;
        if let Some((_, _, count)) = self.runner.read_channel_ready() {
            let mut bytes = vec![0; count];
            let read = self.runner.read_channel_either(channel, &mut bytes);
            moved = read.expect("it is ready").0 > 0;
        }
        let (index, said) = self.at;
        let Some((is_complaint, text)) = self.pieces.get(index) else {
            return moved;
        };
        if said == text.len() {
            self.at = (index + 1, 0);
            return true;
        }
        let kind = match is_complaint {
            true => ChanData::Stderr,
            false => ChanData::Normal,
        };
        if let Ok(count) = self.runner.write_channel(channel, kind, &text[said..]) {
            self.at = (index, said + count);
            moved |= count > 0;
        }
        moved
    }
}
