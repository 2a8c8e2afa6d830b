//! What an authority answers.

use std::sync::OnceLock;

use stockade_acme::renewal::Suggestion;
use stockade_acme::{ChallengeKind, Error, Identifier, Issue, Key, Order, Response, Step};

use super::input::Input;

/// Unix seconds of 2026-01-01.
const NOW: u64 = 1_767_225_600;

/// Longest pause that an order makes by itself, seconds.
const LONGEST_PAUSE: u64 = 60;

/// Fields of an answer's head, by the bits of a byte.
const NONCE: u8 = 1;
const LOCATION: u8 = 2;
const RETRY_AFTER: u8 = 4;
/// The answer is what the one before it was.
const AGAIN: u8 = 8;
/// A page of HTML, which is no JSON.
const PAGE: u8 = 16;

/// More steps than there are answers in any input: an order must come to its end before.
const STEPS: usize = 10_000;

/// A byte that says what is asked: when to renew (an odd one), or a certificate. Then the answers: a
/// status (two bytes), a byte of what is in the head, the text of `Retry-After` if it is in it (a
/// block), and the body (a block).
///
/// Checked: an order asks for something, waits for a bounded time, or ends; what it asks for is the
/// same until there is an answer; its end comes; errors show nothing of the keys; a renewal lies in
/// its window.
pub fn acme(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() {
        Some(what) if what & 1 == 1 => suggest(&mut input),
        Some(what) => issue(what, &mut input),
        None => {}
    }
}

fn suggest(input: &mut Input<'_>) {
    let Some(response) = response(input, None) else {
        return;
    };
    let Some(found) = Suggestion::of(&response, NOW) else {
        return;
    };
    assert!(found.start < found.end);
    for chance in [0, 1, u32::MAX / 2, u32::MAX] {
        assert!((found.start..=found.end).contains(&found.renewal(chance)));
    }
    assert!((NOW + 60..=NOW + 86_400).contains(&found.ask_again));
}

fn issue(what: u8, input: &mut Input<'_>) {
    let names = ["a.example", "www.a.example"];
    static KEYS: OnceLock<[Key; 2]> = OnceLock::new();
    let [account, key] = KEYS.get_or_init(|| {
        [1, 2].map(|byte| Key::draw(|bytes| bytes.fill(byte)).expect("a number on the curve"))
    });
    let mut issue = Issue::new(Order {
        directory: "https://ca.example/directory".into(),
        account: account.clone(),
        email: (what & 2 != 0).then(|| "a@a.example".into()),
        binding: None,
        key: key.clone(),
        identifiers: names
            .map(|name| Identifier::parse(name).expect("a name"))
            .to_vec(),
        proofs: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
        profile: (what & 4 != 0).then(|| "short".into()),
        replaces: (what & 8 != 0).then(|| "a.b".into()),
    })
    .expect("an order");
    let mut last = None;
    for _ in 0..STEPS {
        let step = match issue.step() {
            Ok(step) => step,
            Err(error) => return speaks(&error),
        };
        match step {
            Step::Request { method, body, url } => {
                let is_post = method == "POST";
                assert_eq!(is_post, !body.is_empty(), "{method} {url:?}");
                if is_post {
                    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
                    assert!(body.get("signature").is_some());
                }
                let Some(response) = response(input, last.as_ref()) else {
                    return;
                };
                let answered = issue.answer(&response, NOW);
                last = Some(response);
                if let Err(error) = answered {
                    return speaks(&error);
                }
            }
            Step::Publish(challenges) => {
                for challenge in &challenges {
                    let name = challenge.identifier.to_string();
                    assert!(names.contains(&name.as_str()), "{name}");
                    let token = &challenge.token;
                    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                    assert!(token.bytes().all(is_word), "{token:?}");
                    assert!(challenge.authorization.starts_with(token.as_str()));
                }
                issue.published();
            }
            Step::Wait(seconds) => {
                assert!((1..=LONGEST_PAUSE).contains(&seconds), "{seconds} s");
                issue.waited();
            }
            Step::Done(chain) => return assert!(chain.contains("-----BEGIN CERTIFICATE-----")),
        }
    }
    panic!("an order without end");
}

fn response(input: &mut Input<'_>, last: Option<&Response>) -> Option<Response> {
    let (status, fields) = (input.half()?, input.byte()?);
    if fields & AGAIN != 0
        && let Some(last) = last
    {
        return Some(Response {
            status,
            ..last.clone()
        });
    }
    let mut headers = Vec::new();
    if fields & NONCE != 0 {
        headers.push(("Replay-Nonce".into(), "nonce".into()));
    }
    if fields & LOCATION != 0 {
        headers.push(("location".into(), "https://ca.example/1".into()));
    }
    if fields & RETRY_AFTER != 0 {
        let text = String::from_utf8_lossy(input.block()?).into_owned();
        headers.push(("Retry-After".into(), text));
    }
    let body = match fields & PAGE != 0 {
        true => b"<html>".to_vec(),
        false => input.block()?.to_vec(),
    };
    Some(Response {
        status,
        headers,
        body,
    })
}

fn speaks(error: &Error) {
    let text = error.to_string();
    assert!(!text.is_empty());
    assert!(!text.contains("PRIVATE KEY"), "{text}");
    assert!(!text.contains(char::is_control), "{text:?}");
    // Whatever it says, the next attempt is thought of.
    let _ = error.retry_after();
}
