//! A plain TCP server with as many behaviours as the tests need.
//!
//! An image has one `--connect=`, so one port does it all: the first line that a client sends says
//! what the backend shall do.
//!
//! | first line | the backend |
//! | --- | --- |
//! | `ECHO` | sends back what comes until the end of input, then ends its side |
//! | `UP` | reads to the end of input, answers `LENGTH DIGEST`, ends its side |
//! | `DOWN n` | sends `n` bytes of the pattern with seed `n`, ends its side, reads to the end |
//! | `LATE n` | reads to the end of input, then sends `n` bytes of the pattern, ends its side |
//! | `EARLY` | ends its side at once, then reads to the end of input |
//! | `RESET n` | sends `n` bytes, waits for the line `NOW`, then resets |
//! | `SILENT` | never answers, reads to the end of input |
//! | `GET /bytes/n`, `POST …` | HTTP/1.1: `n` bytes of the pattern; `LENGTH DIGEST` of the body |

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::pattern::{Hasher, Pattern, Sum};
use crate::{PATIENCE, namespace};

mod http;

/// Longest first line or header line that is read.
const LINE_LIMIT: u64 = 4096;

/// The body that [`Mode::Greeting`] sends before it reads anything.
pub const GREETING: &[u8] = b"220 ready when you are\r\n";

/// What a backend does with a connection before it reads from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Obeys the first line; see the [module](self).
    Commands,
    /// Speaks first, as SMTP and FTP do, then ends its side and reads to the end.
    Greeting,
    /// Accepts and closes at once.
    CloseAtOnce,
}

/// How a connection ended, seen from the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer ended its side in order (FIN), after everything this backend had to do.
    Orderly,
    /// The peer reset the connection.
    Reset,
    /// This backend ended the conversation by its own will: a reset, or a close at once.
    Own,
    /// Anything else, such as a time-out.
    Failed(ErrorKind),
}

/// One connection's story.
#[derive(Clone, Debug)]
pub struct Record {
    /// The address that the connection came from.
    pub peer: SocketAddr,
    /// The first line; empty when none came.
    pub command: String,
    /// What was read after the first line, once the connection has ended.
    pub received: Option<Sum>,
    /// How it ended; `None` while it is open.
    pub end: Option<End>,
}

/// How many connections may wait to be accepted: more than any test opens at once.
const BACKLOG: i32 = 2048;

/// A listening backend. Stops accepting when dropped; open connections run on to their end.
pub struct Backend {
    address: SocketAddr,
    mode: Mode,
    records: Arc<Records>,
    acceptor: Option<Acceptor>,
}

struct Acceptor {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Records {
    list: Mutex<Vec<Record>>,
    changed: Condvar,
}

impl Backend {
    /// Listens on a free port of `address`.
    pub fn start(address: impl Into<IpAddr>, mode: Mode) -> Backend {
        Self::start_at(SocketAddr::new(address.into(), 0), mode)
    }

    /// Listens on exactly this address and port.
    pub fn start_at(address: SocketAddr, mode: Mode) -> Backend {
        namespace::require();
        let mut backend = Backend {
            address,
            mode,
            records: Arc::default(),
            acceptor: None,
        };
        backend.up();
        backend
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening: from now on the port refuses connections.
    pub fn down(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        acceptor.stop.store(true, Ordering::SeqCst);
        // Wakes the thread out of `accept`.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
        let _ = acceptor.thread.join();
    }

    /// Listens again after [`down`](Self::down), on the same port.
    pub fn up(&mut self) {
        if self.acceptor.is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address)
            .unwrap_or_else(|error| panic!("cannot listen on {}: {error}", self.address));
        // Where the standard library's backlog of 128 overflows, Linux answers with SYN cookies, and
        // then resets who has sent more than one segment (tcp(7), `tcp_syncookies`).
        rustix::net::listen(&listener, BACKLOG).expect("it listens already");
        self.address = listener.local_addr().expect("bound above");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, records, mode) = (stop.clone(), self.records.clone(), self.mode);
        let thread = thread::spawn(move || accept(&listener, &stopped, &records, mode));
        self.acceptor = Some(Acceptor { stop, thread });
    }

    /// All connections so far, in the order in which they came.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }

    /// Waits until a record satisfies `wanted`; panics with all records after [`PATIENCE`].
    pub fn wait_for(&self, wanted: impl Fn(&Record) -> bool) -> Record {
        self.wait(|records| records.iter().find(|record| wanted(record)).cloned())
    }

    /// Waits until a connection whose first line is `command` has ended.
    pub fn wait_for_end(&self, command: &str) -> Record {
        self.wait_for(|record| record.command == command && record.end.is_some())
    }

    /// Waits until `count` connections have come and given their first line.
    pub fn wait_for_commands(&self, count: usize) {
        self.wait(|records| {
            let given = records
                .iter()
                .filter(|record| !record.command.is_empty())
                .count();
            (given >= count).then_some(())
        });
    }

    fn wait<T>(&self, mut answer: impl FnMut(&[Record]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut records = self.records.lock();
        loop {
            if let Some(answer) = answer(&records) {
                return answer;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                left > Duration::ZERO,
                "the backend never saw it; it saw {:#?}",
                *records
            );
            let waited = self.records.changed.wait_timeout(records, left);
            records = waited
                .expect("no thread panics while it holds the records")
                .0;
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.down();
    }
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.list
            .lock()
            .expect("no thread panics while it holds the records")
    }

    fn open(&self, peer: SocketAddr) -> usize {
        let mut list = self.lock();
        list.push(Record {
            peer,
            command: String::new(),
            received: None,
            end: None,
        });
        list.len() - 1
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock()[index]);
        self.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, stop: &AtomicBool, records: &Arc<Records>, mode: Mode) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(peer) = stream.peer_addr() else {
            continue;
        };
        let index = records.open(peer);
        let records = records.clone();
        thread::spawn(move || {
            let mut conversation = Conversation::new(stream, &records, index);
            let end = match conversation.hold(mode) {
                Ok(end) => end,
                Err(error) => End::from(error.kind()),
            };
            let received = conversation.received.finish();
            records.change(index, |record| {
                record.received = Some(received);
                record.end = Some(end);
            });
        });
    }
}

impl From<ErrorKind> for End {
    fn from(kind: ErrorKind) -> End {
        match kind {
            // A write after the peer's reset was read fails with EPIPE.
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset,
            other => End::Failed(other),
        }
    }
}

/// One connection being served.
struct Conversation<'a> {
    input: BufReader<TcpStream>,
    output: TcpStream,
    received: Hasher,
    records: &'a Records,
    index: usize,
}

impl<'a> Conversation<'a> {
    fn new(stream: TcpStream, records: &'a Records, index: usize) -> Self {
        // A socket option on a fresh socket does not fail; nothing may wait for ever.
        let _ = stream.set_read_timeout(Some(PATIENCE));
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let _ = stream.set_nodelay(true);
        let output = stream.try_clone().expect("file descriptors to spare");
        let input = BufReader::with_capacity(64 << 10, stream);
        Conversation {
            input,
            output,
            received: Hasher::default(),
            records,
            index,
        }
    }

    fn hold(&mut self, mode: Mode) -> io::Result<End> {
        match mode {
            Mode::Commands => {
                let line = self.line()?;
                let command = line.clone();
                self.records
                    .change(self.index, |record| record.command = command);
                self.obey(&line)
            }
            Mode::Greeting => {
                self.output.write_all(GREETING)?;
                self.finish()?;
                self.drain()
            }
            Mode::CloseAtOnce => Ok(End::Own),
        }
    }

    fn obey(&mut self, line: &str) -> io::Result<End> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ECHO"] => self.echo(),
            ["UP"] => {
                self.drain()?;
                let sum = std::mem::take(&mut self.received).finish();
                writeln!(self.output, "{} {}", sum.length, sum.digest)?;
                self.finish()?;
                Ok(End::Orderly)
            }
            ["DOWN", length] => {
                self.send_pattern(number(length)?)?;
                self.finish()?;
                self.drain()
            }
            ["LATE", length] => {
                self.drain()?;
                self.send_pattern(number(length)?)?;
                self.finish()?;
                Ok(End::Orderly)
            }
            ["EARLY"] => {
                self.finish()?;
                self.drain()
            }
            ["RESET", length] => {
                self.send_pattern(number(length)?)?;
                self.reset()
            }
            ["SILENT"] => self.drain(),
            ["GET" | "POST", ..] => self.http(line),
            [""] => Ok(End::Orderly),
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// The next line without its end; empty at the end of input.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.input.by_ref().take(LINE_LIMIT).read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn echo(&mut self) -> io::Result<End> {
        loop {
            let data = self.input.fill_buf()?;
            if data.is_empty() {
                self.finish()?;
                return Ok(End::Orderly);
            }
            self.received.write_all(data)?;
            self.output.write_all(data)?;
            let length = data.len();
            self.input.consume(length);
        }
    }

    fn send_pattern(&mut self, length: u64) -> io::Result<()> {
        io::copy(&mut Pattern::new(length, length), &mut self.output)?;
        Ok(())
    }

    fn drain(&mut self) -> io::Result<End> {
        io::copy(&mut self.input, &mut self.received)?;
        Ok(End::Orderly)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.output.shutdown(Shutdown::Write)
    }

    /// Closes with RST (socket(7), `SO_LINGER` of zero) once the client says that it has what was
    /// sent, so that the reset cannot overtake it.
    fn reset(&mut self) -> io::Result<End> {
        let word = self.line()?;
        if word != "NOW" {
            return Err(ErrorKind::InvalidInput.into());
        }
        rustix::net::sockopt::set_socket_linger(&self.output, Some(Duration::ZERO))?;
        Ok(End::Own)
    }
}

fn number(word: &str) -> io::Result<u64> {
    word.parse().map_err(|_| ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests;
