//! Servers that are not real: they say what no real one says, and record every byte they hear.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::{PATIENCE, namespace, wait_until};

/// What a server says.
#[derive(Clone, Copy)]
pub struct Lines {
    /// At once.
    pub greeting: &'static str,
    /// To a line that begins so (in any case); the first that fits counts.
    pub answers: &'static [(&'static str, &'static str)],
}

/// A server of lines. Stops when the process ends; nobody else has its port.
pub struct Script {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Script {
    /// Listens on a free port of `host`. A line that nothing fits to is heard and not answered.
    pub fn start(host: Ipv4Addr, lines: Lines) -> Script {
        namespace::require();
        let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("{error}"));
        let script = Script {
            address: listener.local_addr().expect("it is bound"),
            heard: Arc::default(),
        };
        let heard = Arc::clone(&script.heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = locked(&heard).len();
                locked(&heard).push(Vec::new());
                let heard = Arc::clone(&heard);
                thread::spawn(move || serve(stream, lines, &heard, number));
            }
        });
        script
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each connection has brought so far.
    pub fn heard(&self) -> Vec<Vec<u8>> {
        locked(&self.heard).clone()
    }

    /// All of it as text, for `contains` and for failures.
    pub fn text(&self) -> String {
        self.heard().concat().escape_ascii().to_string()
    }

    /// Waits until a connection has brought these bytes.
    pub fn wait_for(&self, needle: &str) {
        let found = wait_until(PATIENCE, || self.text().contains(needle).then_some(()));
        assert!(found.is_some(), "no {needle:?} in {:?}", self.text());
    }
}

fn serve(
    mut stream: TcpStream,
    lines: Lines,
    heard: &Mutex<Vec<Vec<u8>>>,
    number: usize,
) -> Option<()> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(lines.greeting.as_bytes()).ok()?;
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        // What is heard is recorded byte by byte: nothing may get lost before it is looked at.
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        locked(heard).get_mut(number)?.push(byte[0]);
        line.push(byte[0]);
        if byte[0] != b'\n' {
            continue;
        }
        let said = String::from_utf8_lossy(&line).to_ascii_uppercase();
        let answers = lines.answers.iter();
        let answer = answers.filter(|(beginning, _)| said.starts_with(beginning));
        for (_, answer) in answer.take(1) {
            stream.write_all(answer.as_bytes()).ok()?;
        }
        line.clear();
    }
}

fn locked(heard: &Mutex<Vec<Vec<u8>>>) -> MutexGuard<'_, Vec<Vec<u8>>> {
    heard.lock().expect("nobody panics while holding it")
}
