//! A backend that tells what messages it has read, and answers as each of them asks it to.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use super::{Body, Head, Length, Wire};
use crate::{PATIENCE, namespace};

/// The field that says which of [`ANSWERS`] a request wants.
pub const WANTED: &str = "X-Answer";

/// How the backend answers a request.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// What it is called, in the field [`WANTED`].
    pub name: &'static str,
    /// What is sent before the request's body is read, to a client that waits for it.
    pub before: &'static str,
    /// What is sent once the whole request was read; to `HEAD`, without its body.
    pub text: &'static str,
    /// Whether the connection ends behind it.
    pub ends: bool,
}

const fn plain(name: &'static str, text: &'static str) -> Answer {
    Answer {
        name,
        before: "",
        text,
        ends: false,
    }
}

/// All of its answers; the first one is for requests that want none of them.
pub const ANSWERS: [Answer; 26] = [
    plain(
        "length",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ),
    plain(
        "chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
    ),
    Answer {
        ends: true,
        ..plain(
            "until-close",
            "HTTP/1.1 200 OK\r\nX-Id: 1\r\n\r\nall that there is",
        )
    },
    Answer {
        ends: true,
        ..plain("old", "HTTP/1.0 200 OK\r\nX-Id: 1\r\n\r\nof another time")
    },
    Answer {
        ends: true,
        ..plain(
            "old-length",
            "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlong",
        )
    },
    plain(
        "old-keep",
        "HTTP/1.0 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nkept",
    ),
    Answer {
        before: "HTTP/1.1 100 Continue\r\n\r\n",
        ..plain(
            "continue",
            "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
        )
    },
    plain("nothing", "HTTP/1.1 204 No Content\r\nX-Id: 3\r\n\r\n"),
    plain("same", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    plain("zero", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    plain(
        "no-chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    plain(
        "trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 9\r\n\r\n",
    ),
    plain(
        "extension",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0002;a=b\r\nab\r\n000\r\n\r\n",
    ),
    plain(
        "tight",
        "HTTP/1.1 200 OK\r\nContent-Length:3\r\nX-A:b\r\n\r\nabc",
    ),
    plain(
        "wide",
        "HTTP/1.1 200 OK\r\nContent-Length:   3  \r\nX-A:  b c \r\n\r\nabc",
    ),
    plain(
        "upper",
        "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 3\r\nX-UPPER: A\r\n\r\nabc",
    ),
    plain(
        "lower",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx-lower: a\r\n\r\nabc",
    ),
    plain("no-reason", "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc"),
    plain(
        "missing",
        "HTTP/1.1 404 Not Here\r\nContent-Length: 4\r\n\r\nnone",
    ),
    plain(
        "fault",
        "HTTP/1.1 500 Broken\r\nContent-Length: 6\r\n\r\nbroken",
    ),
    plain(
        "cookies",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Id: 7\r\nContent-Length: 2\r\n\r\nok",
    ),
    Answer {
        ends: true,
        ..plain(
            "closing",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye",
        )
    },
    plain(
        "hop",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ),
    plain(
        "moved",
        "HTTP/1.1 302 Found\r\nLocation: http://elsewhere.example/a?b=c\r\nContent-Length: 0\r\n\r\n",
    ),
    Answer {
        ends: true,
        ..plain(
            "two-lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        )
    },
    Answer {
        ends: true,
        ..plain("bare-lf", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc")
    },
];

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its head.
    pub head: Head,
    /// What followed.
    pub body: Body,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    requests: Vec<Heard>,
    faults: Vec<String>,
    /// Connections on which a request has begun and is not answered yet.
    busy: usize,
}

/// The backend. It goes on until the process ends.
pub struct Recorder {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Recorder {
    /// Listens on a free port.
    pub fn start(host: IpAddr) -> Recorder {
        namespace::require();
        let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().expect("bound above");
        let shared = Arc::<Shared>::default();
        let given = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = given.clone();
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Recorder { address, shared }
    }

    /// The requests since the last time, in the order in which they came, once none is under way; and
    /// what came that was none.
    pub fn take(&self) -> (Vec<Heard>, Vec<String>) {
        let told = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(told, PATIENCE, |told| told.busy > 0);
        let (mut told, _) = waited.expect("nobody panics while holding it");
        assert_eq!(told.busy, 0, "a request does not end");
        (
            std::mem::take(&mut told.requests),
            std::mem::take(&mut told.faults),
        )
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.heard.lock().expect("nobody panics while holding it")
    }
}

/// Answers requests until the connection ends.
fn serve(stream: TcpStream, shared: &Shared) {
    let mut wire = Wire::new(stream);
    loop {
        let served = wait(&mut wire).and_then(|there| match there {
            true => {
                shared.lock().busy += 1;
                let served = answer(&mut wire, shared);
                shared.lock().busy -= 1;
                shared.changed.notify_all();
                served
            }
            false => Ok(false),
        });
        match served {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    shared.lock().faults.push(error.to_string());
                }
                return;
            }
        }
    }
}

/// Waits until something comes; whether it did.
fn wait(wire: &mut Wire<TcpStream>) -> io::Result<bool> {
    Ok(!wire.waiting.is_empty() || wire.more()? > 0)
}

/// Reads a request, records it, and answers; whether another one may come.
fn answer(wire: &mut Wire<TcpStream>, shared: &Shared) -> io::Result<bool> {
    let head = wire.expect_head()?;
    let wanted = head.values(WANTED).next();
    let named = ANSWERS.iter().find(|answer| Some(answer.name) == wanted);
    let answer = named.unwrap_or(&ANSWERS[0]);
    if head.values("Expect").next().is_some() {
        wire.stream().write_all(answer.before.as_bytes())?;
    }
    let length = head.length()?.unwrap_or(Length::Bytes(0));
    let body = wire.body(length)?;
    let text = match head.word(0) {
        "HEAD" => &answer.text[..bodiless(answer.text)],
        _ => answer.text,
    };
    shared.lock().requests.push(Heard { head, body });
    wire.stream().write_all(text.as_bytes())?;
    Ok(!answer.ends)
}

/// Where the last head of an answer ends.
fn bodiless(text: &str) -> usize {
    let last = text.rfind("HTTP/1.").unwrap_or_default();
    let end = text[last..].find("\r\n\r\n");
    end.map_or(text.len(), |end| last + end + 4)
}
