//! Answers of a name server.

use std::time::Duration;

use stockade_net::Event;

use super::host::{self, Host, PEER_V4, V4};
use super::input::Input;

/// Where a name server listens (RFC 1035 §4.2.1).
const PORT: u16 = 53;
/// Bytes of a message's header (RFC 1035 §4.1.1).
const HEADER: usize = 12;
/// The answer's identifier is the question's: this server has seen it.
const RIGHT_IDENTIFIER: u8 = 1;
/// The answer begins with the question's name, type and class.
const RIGHT_QUESTION: u8 = 2;
/// A second passes before it.
const LATE: u8 = 4;
/// Longer than any query lives, in seconds.
const FOR_GOOD: u64 = 120;

/// The name to ask for (a block), then answers: a byte of flags and a block.
///
/// With a right question, the block's first twelve bytes are the answer's header and the rest
/// follows the question. Checked: every query comes to an end, with an address or a reason.
pub fn dns(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let name = String::from_utf8_lossy(input.block().unwrap_or_default());
    let mut host = Host::new(host::config(), false);
    host.acquaint();
    let query = match host.stack.resolve(&name, host.now) {
        Ok(query) => query,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    host.step();
    while let (Some(flags), Some(message)) = (input.byte(), input.block()) {
        if flags & LATE != 0 {
            host.pass(Duration::from_secs(1));
        }
        // Whatever was asked so far, each question gets the answer.
        for (port, question) in questions(&mut host) {
            host.card.incoming.push_back(host::udp(
                (PEER_V4, PORT).into(),
                (V4, port).into(),
                &answer(flags, message, &question),
            ));
        }
        host.step();
    }
    host.pass(Duration::from_secs(FOR_GOOD));
    host.pass(Duration::from_secs(FOR_GOOD));
    let results: Vec<_> = host
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Resolved {
                query: found,
                result,
            } if *found == query => Some(result),
            _ => None,
        })
        .collect();
    let [result] = results[..] else {
        panic!("{} results of one query", results.len());
    };
    match result {
        Ok(addresses) => assert!(!addresses.is_empty(), "an answer without an address"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The questions on their way, with the ports they came from; they stay there, to be answered
/// again.
fn questions(host: &mut Host) -> Vec<(u16, Vec<u8>)> {
    let questions = host.card.sent.iter().filter_map(|frame| {
        let (from, to, message) = host::sent_udp(frame)?;
        (to == PORT).then(|| (from, message.to_vec()))
    });
    questions.collect()
}

fn answer(flags: u8, message: &[u8], question: &[u8]) -> Vec<u8> {
    let mut answer = message.to_vec();
    if flags & RIGHT_QUESTION != 0 && answer.len() >= HEADER {
        let asked = question.get(HEADER..).unwrap_or_default();
        answer.splice(HEADER..HEADER, asked.iter().copied());
    }
    if flags & RIGHT_IDENTIFIER != 0 && answer.len() >= 2 && question.len() >= 2 {
        answer[..2].copy_from_slice(&question[..2]);
    }
    answer
}
