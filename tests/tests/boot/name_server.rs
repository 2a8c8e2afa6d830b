//! A name server (RFC 1035) that knows one name.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Port of DNS (RFC 1035 §4.2.1).
const PORT: u16 = 53;
/// How often the server looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// Answers for one name until dropped; every other name does not exist.
pub struct NameServer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Listens on `own` and answers that `name` has the address `address`.
    pub fn start(own: Ipv4Addr, name: &'static str, address: Ipv4Addr) -> NameServer {
        let socket = UdpSocket::bind((own, PORT)).expect("port 53 of our own namespace");
        socket
            .set_read_timeout(Some(POLL))
            .expect("a socket option of an open socket");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut query = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, peer)) = socket.recv_from(&mut query)
                    && let Some(answer) = answer(&query[..length], name, address)
                {
                    // UDP may lose it: the guest asks again.
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        NameServer {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a query with one question; `None` when it is none.
fn answer(query: &[u8], name: &str, address: Ipv4Addr) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const TYPE_A: [u8; 2] = [0, 1];
    let mut encoded = Vec::new();
    for label in name.split('.') {
        encoded.push(u8::try_from(label.len()).ok()?);
        encoded.extend(label.bytes());
    }
    encoded.push(0);
    let question = query.get(HEADER..)?;
    let end = question.iter().position(|byte| *byte == 0)? + 5;
    let question = question.get(..end)?;
    let known = question[..end - 4].eq_ignore_ascii_case(&encoded);
    let has_answer = known && question[end - 4..end - 2] == TYPE_A;
    let code = if known { 0 } else { 3 };
    // Identifier; response, recursion desired and available; one question; the answers.
    let mut answer = query.get(..2)?.to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
    answer.extend(question);
    if has_answer {
        // A pointer to the question's name, type A, class IN, 60 s, four bytes.
        answer.extend([0xc0, HEADER as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
