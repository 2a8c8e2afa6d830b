//! The lines that a child process writes, as they come.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::{PATIENCE, wait_until};

/// An address as stunnel's users and its log write it: no brackets.
pub fn written(address: SocketAddr) -> String {
    format!("{}:{}", address.ip(), address.port())
}

/// A growing log, read by threads of its own that end with the process.
#[derive(Clone, Default)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// Reads `source` to its end, line by line, in the background.
    pub fn follow(&self, source: impl Read + Send + 'static) {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                log.locked().push(line.trim_end_matches('\r').to_owned());
            }
        });
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.locked()
            .iter()
            .map(|line| line.clone() + "\n")
            .collect()
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.locked().len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many lines hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        let lines = self.locked();
        lines.iter().filter(|line| line.contains(needle)).count()
    }

    /// The first line from number `from` on that holds `needle`.
    pub fn find(&self, from: usize, needle: &str) -> Option<String> {
        let lines = self.locked();
        let mut later = lines.iter().skip(from);
        later.find(|line| line.contains(needle)).cloned()
    }

    /// Waits for a line that holds `needle`; panics after [`PATIENCE`].
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        wait_until(PATIENCE, || self.find(from, needle))
            .unwrap_or_else(|| panic!("no line with {needle:?} in\n{}", self.text()))
    }

    fn locked(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines
            .lock()
            .expect("nobody panics while holding the log")
    }
}
