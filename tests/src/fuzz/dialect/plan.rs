//! An input of the dialects' fuzzers: a configuration and a conversation.
//!
//! One byte of options (`MODE` and the like), one that says what becomes of the backend, and one
//! that is the flood's; then `protocolHost`, `protocolUsername`, `protocolPassword` and
//! `protocolHeader` (one a line), each ended by [`MARK`]; then what is said, with marks in between.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use stockade_config::Zeroizing;
use stockade_tunnel::dialect::{Authentication, Protocol, Setup, Unreachable, WINDOW};
use stockade_tunnel::session::{DialError, Mode};

/// The two ends of a connection, as places in an array.
pub const CLIENT: usize = 0;
pub const BACKEND: usize = 1;

/// The byte before a mark. Behind it: `c` or `b`, whose words follow (client, backend); `C` or `B`,
/// which ends its direction; `w` or `W`, whose reading pauses or goes on; `*` and a count, by which
/// the piece before is repeated; itself, which stands for that byte. Anything else cuts a piece.
pub const MARK: u8 = 0xff;
/// What the backend's byte says beside that: whether TLS's protocol is PostgreSQL's.
const POSTGRESQL: u8 = 1 << 4;
/// Options: the mode, what the addresses are, whether the dialect may look at TLS, which
/// authentication, which of the target's protocols, and what the flood is.
const CLIENT_MODE: u8 = 1;
const VERSION_6: u8 = 1 << 1;
const OTHER_FAMILY: u8 = 1 << 2;
const WITHOUT_TLS: u8 = 1 << 3;
const AUTHENTICATION: u32 = 4;
const OTHER_PROTOCOL: u8 = 1 << 6;
const FLOOD_OF_WORDS: u8 = 1 << 7;
/// Most bytes that one end says before it is the flood's turn.
const SAID_MOST: usize = 8 * WINDOW;

pub struct Plan {
    pub mode: Mode,
    pub setup: Setup,
    pub client: SocketAddr,
    pub local: SocketAddr,
    pub backend: SocketAddr,
    /// Whether the dialect may look at TLS once it is there.
    pub tells_tls: bool,
    /// The application protocol that is agreed on under TLS.
    pub alpn: &'static str,
    /// What becomes of a backend that the client asks for.
    pub unreachable: Option<Unreachable>,
    pub steps: Vec<Step>,
    /// What whoever never ends says again and again.
    pub filler: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// An end says something.
    Said(usize, Vec<u8>),
    /// It says no more.
    Ends(usize),
    /// It stops reading, or reads again.
    Pauses(usize),
}

impl Plan {
    /// `None` for an input that is too short.
    pub fn read(protocols: &[Protocol], bytes: &[u8]) -> Option<Plan> {
        let ([options, outcome, filler], mut rest) = bytes.split_first_chunk()?;
        let has = |option| options & option != 0;
        let mut text = || -> Option<String> {
            let end = rest.iter().position(|byte| *byte == MARK)?;
            let (field, behind) = rest.split_at(end);
            rest = &behind[1..];
            Some(String::from_utf8_lossy(field).into_owned())
        };
        let [host, username, password] = [text()?, text()?, text()?].map(|text| line(&text));
        let headers = text()?.lines().filter_map(line).collect();
        let steps = steps(rest);
        let words = steps.iter().rev().find_map(|step| match step {
            Step::Said(_, words) => Some(words.clone()),
            _ => None,
        });
        let [client, local] = addresses(has(VERSION_6), has(OTHER_FAMILY), *outcome);
        Some(Plan {
            mode: match has(CLIENT_MODE) {
                true => Mode::Client,
                false => Mode::Server,
            },
            setup: Setup {
                protocol: match has(OTHER_PROTOCOL) {
                    true => *protocols.last()?,
                    false => *protocols.first()?,
                },
                host,
                username,
                password: password.map(Zeroizing::new),
                authentication: [
                    Authentication::Basic,
                    Authentication::Plain,
                    Authentication::Login,
                    Authentication::Plain,
                ][usize::from(options >> AUTHENTICATION & 3)],
                headers,
            },
            client,
            local,
            backend: SocketAddr::from(([192, 0, 2, 80], 8080)),
            tells_tls: !has(WITHOUT_TLS),
            alpn: match outcome & POSTGRESQL {
                0 => "http/1.1",
                _ => "postgresql",
            },
            unreachable: unreachable(*outcome),
            steps,
            filler: words
                .filter(|_| has(FLOOD_OF_WORDS))
                .unwrap_or_else(|| vec![*filler]),
        })
    }

    /// All that is said, piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.steps.iter().filter_map(|step| match step {
            Step::Said(_, words) => Some(&words[..]),
            _ => None,
        })
    }
}

/// An option's value, as a line of a file may have it; an empty one is none.
fn line(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The client's address and the one that it connected to.
fn addresses(version_6: bool, other_family: bool, seed: u8) -> [SocketAddr; 2] {
    let port = 1 + u16::from(seed) * 256;
    let v4 = |last| SocketAddr::from((Ipv4Addr::new(198, 51, 100, last), port ^ 0x8000));
    let v6 = |last| match seed & 0x80 {
        0 => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), port)),
        _ => SocketAddr::from((Ipv4Addr::new(203, 0, 113, 7).to_ipv6_mapped(), port)),
    };
    match (version_6, other_family) {
        (false, false) => [v4(seed), v4(1)],
        (false, true) => [v4(seed), v6(1)],
        (true, false) => [v6(seed.into()), v6(1)],
        (true, true) => [v6(seed.into()), v4(1)],
    }
}

fn unreachable(outcome: u8) -> Option<Unreachable> {
    use stockade_net::StreamError::{Refused, Reset, TimedOut, Unreachable as NoWay};
    match outcome & 15 {
        8 => Some(Unreachable::NotResolved),
        9 => Some(Unreachable::Forbidden),
        10 => Some(Unreachable::Failed(DialError::NoAddress)),
        11 => Some(Unreachable::Failed(DialError::Tls)),
        12 => Some(Unreachable::Failed(DialError::Failed(Refused))),
        13 => Some(Unreachable::Failed(DialError::Failed(Reset))),
        14 => Some(Unreachable::Failed(DialError::Failed(TimedOut))),
        15 => Some(Unreachable::Failed(DialError::Failed(NoWay))),
        _ => None,
    }
}

fn steps(mut bytes: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut end = CLIENT;
    let mut piece = Vec::new();
    let mut left = [SAID_MOST; 2];
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        if byte != MARK {
            piece.push(byte);
            continue;
        }
        let Some((&mark, rest)) = bytes.split_first() else {
            break;
        };
        bytes = rest;
        match mark {
            MARK => {
                piece.push(MARK);
                continue;
            }
            b'*' => {
                let Some((&count, rest)) = bytes.split_first() else {
                    break;
                };
                bytes = rest;
                let count = usize::from(count).min(left[end] / piece.len().max(1));
                piece = piece.repeat(count);
                continue;
            }
            _ => {}
        }
        say(&mut steps, end, &mut piece, &mut left);
        match mark {
            b'c' => end = CLIENT,
            b'b' => end = BACKEND,
            b'C' => steps.push(Step::Ends(CLIENT)),
            b'B' => steps.push(Step::Ends(BACKEND)),
            b'w' => steps.push(Step::Pauses(CLIENT)),
            b'W' => steps.push(Step::Pauses(BACKEND)),
            _ => {}
        }
    }
    say(&mut steps, end, &mut piece, &mut left);
    steps
}

/// What was gathered is said, as far as its end may say so much.
fn say(steps: &mut Vec<Step>, end: usize, piece: &mut Vec<u8>, left: &mut [usize; 2]) {
    piece.truncate(left[end]);
    left[end] -= piece.len();
    if !piece.is_empty() {
        steps.push(Step::Said(end, std::mem::take(piece)));
    }
}
