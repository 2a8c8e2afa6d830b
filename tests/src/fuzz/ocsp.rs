//! What OCSP responders say: over HTTP, and inside.

use std::sync::OnceLock;

use stockade_config::stunnel::Responder;
use stockade_net::Status;
use stockade_tls::{Provider, StatusQuery};
use stockade_tunnel::relay::Stream;
use stockade_tunnel::revocation::Exchange;

/// Unix seconds of 2026-01-01.
const NOW: u64 = 1_767_225_600;

/// A byte that says what the rest is: an OCSP response, or what comes over the connection in pieces
/// of that many bytes.
///
/// Checked: both providers judge alike; errors say something; a body is never longer than what came.
pub fn ocsp(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, response)) => judge(response),
        Some((piece, response)) => exchange(response, usize::from(*piece)),
        None => {}
    }
}

fn judge(response: &[u8]) {
    static QUERIES: OnceLock<[StatusQuery; 2]> = OnceLock::new();
    let queries = QUERIES.get_or_init(|| {
        let leaf = include_bytes!("../../fixtures/version-1.pem");
        let authority = include_bytes!("../../fixtures/version-1-authority.pem");
        [Provider::Ring, Provider::RustCrypto].map(|provider| {
            let query = StatusQuery::of_chain(provider, leaf, &[authority.to_vec()]);
            query.expect("the authority has issued the leaf")
        })
    });
    let [ring, rustcrypto] = queries
        .each_ref()
        .map(|query| query.judge(response, None, true, NOW));
    assert_eq!(ring, rustcrypto, "ring and RustCrypto disagree");
    if let Err(error) = ring {
        assert!(!error.to_string().is_empty());
    }
}

fn exchange(response: &[u8], piece: usize) {
    let responder = Responder::parse("http://ocsp.example/").expect("a URL");
    let mut exchange = Exchange::new(&responder, b"question");
    let mut wire = Wire {
        waiting: Vec::new(),
        finished: false,
    };
    let mut pieces = response.chunks(piece);
    while !wire.finished {
        match pieces.next() {
            Some(piece) => wire.waiting.extend_from_slice(piece),
            None => wire.finished = true,
        }
        match exchange.poll(&mut wire) {
            Ok(None) => assert!(!wire.finished, "it waits for what cannot come"),
            Ok(Some(body)) => return assert!(body.len() <= response.len()),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

/// What the responder has sent.
struct Wire {
    waiting: Vec<u8>,
    finished: bool,
}

impl Stream for Wire {
    fn status(&self) -> Status {
        Status::Open
    }
    fn recv_len(&self) -> usize {
        self.waiting.len()
    }
    fn peer_finished(&self) -> bool {
        self.finished
    }
    fn with_recv<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        let (count, result) = f(&mut self.waiting);
        self.waiting.drain(..count);
        result
    }
    fn peek(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.waiting.len());
        out[..count].copy_from_slice(&self.waiting[..count]);
        count
    }
    fn skip(&mut self, count: usize) {
        self.waiting.drain(..count);
    }
    fn send_room(&self) -> usize {
        usize::MAX
    }
    fn send_queued(&self) -> usize {
        0
    }
    fn with_send<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> R {
        f(&mut [0; 512]).1
    }
    fn send(&mut self, data: &[u8]) -> usize {
        data.len()
    }
    fn finish(&mut self) {}
    fn reset(&mut self) {}
}
