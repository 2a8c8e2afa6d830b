//! HTTP between clients and backends: both must see the same messages, and we with them.

use std::sync::Arc;

use stockade_http::{
    Bounds, Client, Exchange, Options, Progress, Reply, ReplyReader, Turn, View, page,
};

use check::check;
use reader::{Kind, MANNERS};

mod check;
mod reader;

/// What a backend says to each request if an input does not tell.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A field of ours for every answer.
const EXTRA: (&str, &str) = ("Strict-Transport-Security", "max-age=9");

/// What bytes from 128 to 239 stand for, each for one: few changes to an input make another shape of it.
const WORDS: [&str; 28] = [
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding",
    "chunked",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    "X-Forwarded-For: 1\r\n",
    "Host: b\r\n",
    "\r\n",
    "\r\n ",
    "\n",
    "\r",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "hello",
];

/// Most bytes that wait at an end: those that were let wait, what a poll adds to them, and a page.
const MOST_WAITING: usize = 128 * 1024;

/// A byte of [`flags`](Case::new), one that says in pieces of how many bytes all comes, what the
/// client says, and what backends say to each request that they have heard: turns, each behind two
/// NULs and a byte that tells whether the connection ends with it (`e`), is reset (`r`) or stays. Some
/// bytes of both stand for [`WORDS`].
///
/// Checked: the client's bytes, what each backend has heard of them, and what our side has
/// understood are the same messages with the same borders and contents, for a reader that shares
/// nothing with ours and is in turn strict and lenient; so are each backend's bytes and what the
/// client has got. What is sent on has no field but the sender's and ours, and of ours only ours. A
/// connection that is kept has heard whole requests alone. Nothing is waited for that can't come,
/// and what waits is bounded. All of it comes to the same however it was cut. The turns are also read
/// as replies to requests of our own, which may be less strict but must find the same content.
pub fn http(bytes: &[u8]) {
    let [flags, piece, rest @ ..] = bytes else {
        return;
    };
    let rest = expanded(rest);
    let case = Case::new(*flags, &rest);
    let piece = usize::from(*piece).max(1);
    let found = run(&case, piece);
    let seen = check(&case, &found);
    for turn in &case.turns {
        let words = turn.get(1..).unwrap_or_default();
        let reply = reply(words, piece);
        assert_eq!(reply, self::reply(words, usize::MAX), "cut differently");
        if let Some(reply) = reply {
            is_read(&reply, words);
        }
    }
    if case.early {
        return;
    }
    let whole = run(&case, usize::MAX);
    assert_eq!(seen, check(&case, &whole), "cut differently");
}

/// What a server of others says to a request of our own, and then ends the connection.
fn reply(bytes: &[u8], piece: usize) -> Option<Reply> {
    const BOUNDS: Bounds = Bounds {
        head: 200,
        content: 100,
    };
    let mut reader = ReplyReader::new(false, BOUNDS);
    for piece in bytes.chunks(piece) {
        reader.take(piece);
        if let Some(reply) = reader.reply().ok()? {
            return Some(reply);
        }
    }
    let reply = reader.end().ok()?;
    assert!(reply.content.len() <= BOUNDS.content, "unbounded");
    Some(reply)
}

/// A reply is what a reader finds who takes LF alone for the end of a line.
fn is_read(reply: &Reply, bytes: &[u8]) {
    let kind = Kind::Response {
        method: "GET",
        ended: true,
    };
    let mut rest = bytes;
    let message = loop {
        let message = reader::read(rest, kind, MANNERS[1]).expect("a head");
        match message.status() {
            100..200 => rest = &rest[message.length..],
            _ => break message,
        }
    };
    assert_eq!(
        (message.status(), message.content),
        (reply.status, reply.content.clone())
    );
}

fn expanded(bytes: &[u8]) -> Vec<u8> {
    let word = |byte: &u8| match byte {
        128..240 => WORDS[usize::from(byte - 128) % WORDS.len()]
            .as_bytes()
            .to_vec(),
        byte => vec![*byte],
    };
    bytes.iter().flat_map(word).collect()
}

/// What happens.
struct Case<'a> {
    client: &'a [u8],
    turns: Vec<&'a [u8]>,
    options: Options,
    /// Backends answer before they have heard anything, and hear slowly; whatever they are shown.
    early: bool,
    /// The client ends its direction behind its bytes.
    ends: bool,
    /// The client's connection is to end with the first answer.
    last: bool,
    /// Content of known length goes past the exchange where it may.
    past: bool,
}

impl<'a> Case<'a> {
    fn new(flags: u8, bytes: &'a [u8]) -> Case<'a> {
        let mut parts = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.windows(2).position(|two| two == b"\0\0") {
            parts.push(&rest[..end]);
            rest = &rest[end + 2..];
        }
        parts.push(rest);
        let extra = (flags & 8 != 0).then(|| (EXTRA.0.into(), EXTRA.1.into()));
        Case {
            client: parts.remove(0),
            turns: parts,
            options: Options {
                max_body: (flags & 4 != 0).then_some(9),
                extra,
            },
            early: flags & 1 != 0,
            ends: flags & 2 == 0,
            last: flags & 16 != 0,
            past: flags & 32 != 0,
        }
    }
}

/// One connection to a backend.
#[derive(Default)]
struct Connection {
    heard: Vec<u8>,
    said: Vec<u8>,
    /// Bytes of `said` that have come, and that were taken.
    come: usize,
    taken: usize,
    /// It says no more; `lost`: by a reset.
    ended: bool,
    lost: bool,
    /// That was seen.
    end_come: bool,
    /// Turns that it has had.
    answered: usize,
}

impl Connection {
    /// Nothing of it is left to be seen.
    fn is_quiet(&self) -> bool {
        self.taken == self.said.len() && !self.ended
    }
}

/// A request that a backend was looked for.
struct Asked {
    /// Where it begins in the client's bytes.
    start: usize,
    host: Option<String>,
    /// The connections that it went by, and where in what each said the answers to it begin.
    ways: Vec<(usize, usize)>,
    /// Where they end: it is answered, and the connection can be kept.
    answered: Option<(usize, bool)>,
}

#[derive(Default)]
struct Found {
    connections: Vec<Connection>,
    asked: Vec<Asked>,
    /// What the client has got, and how many of its bytes were taken.
    got: Vec<u8>,
    taken: usize,
    end: Option<Progress>,
}

fn about() -> Client<'static> {
    Client {
        address: [192, 0, 2, 7].into(),
        server_name: Some("tls.example"),
    }
}

/// Carries a client's connection to its end.
fn run(case: &Case<'_>, piece: usize) -> Found {
    let mut found = Found::default();
    let options = Arc::new(case.options.clone());
    let mut exchange = Exchange::new(Options::default());
    if case.last {
        exchange.end_after_response();
    }
    let mut turns = case.turns.iter().copied();
    let (mut live, mut kept): (Option<usize>, Option<usize>) = (None, None);
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    let mut come = 0;
    let total = case.client.len() + case.turns.concat().len();
    for round in 0.. {
        assert!(round < 8 * total + 1000, "it spins");
        let past = case.past && found.past(case, live, come, &mut exchange, to_backend.is_empty());
        found.got.append(&mut to_client);
        let view = View {
            bytes: &case.client[found.taken..come],
            ended: case.ends && come == case.client.len(),
            lost: false,
        };
        let backend = live.map(|index| &found.connections[index]);
        let backend = backend.map(|it| View {
            bytes: &it.said[it.taken..it.come],
            ended: it.end_come,
            lost: it.end_come && it.lost,
        });
        let before = found.taken;
        let turn = exchange.poll(&about(), view, backend, &mut to_client, &mut to_backend);
        assert!(
            to_client.len().max(to_backend.len()) < MOST_WAITING,
            "unbounded"
        );
        found.took(&turn, live);
        found.got.append(&mut to_client);
        let mut moved = turn.client + turn.backend > 0 || past;
        match turn.progress {
            Progress::Wait => {}
            Progress::Connect { host, fresh } => {
                moved = true;
                if !fresh {
                    let (ways, answered) = (Vec::new(), None);
                    found.asked.push(Asked {
                        start: before,
                        host,
                        ways,
                        answered,
                    });
                }
                live = match kept.take().filter(|_| !fresh) {
                    Some(index) => Some(index),
                    None if case.turns.is_empty() || turns.len() > 0 => {
                        found.connections.push(Connection::default());
                        Some(found.connections.len() - 1)
                    }
                    None => None,
                };
                let allowed = exchange.enter(&options);
                match live.filter(|_| allowed.is_ok()) {
                    Some(index) => {
                        let connection = &found.connections[index];
                        let asked = found.asked.last_mut().expect("a request");
                        asked.ways.push((index, connection.taken));
                        exchange.connected(!connection.heard.is_empty(), &mut to_backend);
                    }
                    None => exchange.unreachable(allowed.err().unwrap_or(502), &mut to_client),
                }
            }
            Progress::Release { keep } => {
                moved = true;
                let index = live.take().expect("a connection");
                let connection = &found.connections[index];
                let keep = keep && connection.is_quiet();
                let asked = found.asked.last_mut().expect("a request");
                asked.answered = Some((connection.taken, keep));
                kept = keep.then_some(index);
                assert!(!keep || to_backend.is_empty(), "kept too early");
            }
            over => {
                found.end = Some(over);
                break;
            }
        }
        if let Some(index) = live {
            let most = if case.early { piece } else { usize::MAX };
            let count = to_backend.len().min(most);
            found.connections[index]
                .heard
                .extend(to_backend.drain(..count));
            moved |= count > 0;
        }
        if moved && !case.early {
            continue;
        }
        // Something has to come.
        let connection = live.map(|index| &mut found.connections[index]);
        let next = case.client.len().min(come.saturating_add(piece));
        let has_come = core::mem::replace(&mut come, next) != next;
        let goes_on = |it: &mut Connection| it.goes_on(case, &mut turns, piece);
        // But for early ones, an answer comes once all has that is to be heard.
        let is_next = case.early || !has_come;
        let has_gone_on = is_next && connection.is_some_and(goes_on);
        if has_come || has_gone_on || moved {
            continue;
        }
        let begun = found.taken < case.client.len();
        match exchange.timed_out(begun, &mut to_client) {
            Progress::Wait => assert!(!to_client.is_empty(), "nobody was told"),
            over => {
                found.end = Some(over);
                break;
            }
        }
    }
    found.got.append(&mut to_client);
    found
}

impl Connection {
    /// Says the next thing if it is due, or has more of it come. False: there is nothing.
    fn goes_on<'a>(
        &mut self,
        case: &Case<'_>,
        turns: &mut impl Iterator<Item = &'a [u8]>,
        piece: usize,
    ) -> bool {
        let due = case.early || check::requests(&self.heard) > self.answered;
        if self.come == self.said.len() && !self.ended && due {
            self.answered += 1;
            let turn = match case.turns.is_empty() {
                true => Some(ANSWER),
                false => turns.next(),
            };
            match turn {
                Some(words) if case.turns.is_empty() => self.said.extend_from_slice(words),
                Some([how, words @ ..]) => {
                    self.said.extend_from_slice(words);
                    (self.ended, self.lost) = (matches!(how, b'e' | b'r'), *how == b'r');
                }
                _ => self.ended = true,
            }
        }
        let next = self.said.len().min(self.come.saturating_add(piece));
        let end = self.ended && next == self.said.len();
        let moves = next > self.come || end && !self.end_come;
        (self.come, self.end_come) = (next, end);
        moves
    }
}

impl Found {
    /// Carries what may go past the exchange, as its owner does. False: nothing.
    fn past(
        &mut self,
        case: &Case<'_>,
        live: Option<usize>,
        come: usize,
        exchange: &mut Exchange,
        is_sent: bool,
    ) -> bool {
        let Some(connection) = live.map(|index| &mut self.connections[index]) else {
            return false;
        };
        let most = |left: u64, come: &[u8]| come.len().min(left.try_into().unwrap_or(usize::MAX));
        let waiting = &case.client[self.taken..come];
        let up = if is_sent {
            most(exchange.for_backend(), waiting)
        } else {
            0
        };
        connection.heard.extend_from_slice(&waiting[..up]);
        exchange.carried_to_backend(up as u64);
        self.taken += up;
        let waiting = &connection.said[connection.taken..connection.come];
        let down = most(exchange.for_client(), waiting);
        self.got.extend_from_slice(&waiting[..down]);
        exchange.carried_to_client(down as u64);
        connection.taken += down;
        up + down > 0
    }

    fn took(&mut self, turn: &Turn, live: Option<usize>) {
        self.taken += turn.client;
        if let Some(index) = live {
            let connection = &mut self.connections[index];
            connection.taken += turn.backend;
            assert!(
                connection.taken <= connection.come,
                "taken what has not come"
            );
        }
    }
}

/// Whether this is one of our own pages, of these statuses.
fn is_page(bytes: &[u8], statuses: &[u16]) -> bool {
    let is = |status: &u16| {
        [false, true]
            .iter()
            .any(|head| page(*status, *head) == bytes)
    };
    statuses.iter().any(is)
}
