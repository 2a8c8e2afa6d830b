//! Errands over in-memory streams: an authority that says what it is told to, and a store that is none.

use alloc::{format, string::ToString, vec, vec::Vec};

use tls::{Client, ClientOptions, Connection, Identity, Provider, ServerOptions, WallClock};

use super::*;
use crate::{
    keeper::Request,
    relay,
    session::tests::pipe::{End, pipe},
};

/// An authority's end, and what has been heard there.
struct Authority {
    stream: End,
    connection: Connection,
    heard: Vec<u8>,
    scratch: Scratch,
}

/// How an authority ends its connection.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// It does not.
    Open,
    /// As TLS wants it.
    Closed,
    /// The stream alone.
    Cut,
}

impl Authority {
    fn poll(&mut self) {
        relay::transmit(&mut self.connection, &mut self.stream);
        let heard = &mut self.heard;
        let sink = |bytes: &[u8]| heard.extend_from_slice(bytes);
        let stream = &mut self.stream;
        // An alert is an error, too, and then nothing more is heard.
        let _ = relay::open(
            &mut self.connection,
            stream,
            usize::MAX,
            &mut self.scratch,
            sink,
        );
        relay::transmit(&mut self.connection, &mut self.stream);
    }

    /// Says as much of it as there is room for.
    fn say(&mut self, bytes: &[u8]) -> usize {
        let output = self.scratch.first(self.stream.send_room());
        let sealed = self.connection.send(bytes, output).unwrap();
        self.stream.send(&output[..sealed.written]);
        sealed.read
    }

    fn end(&mut self, ending: Ending) {
        if ending == Ending::Closed {
            self.connection.close_notify();
            relay::transmit(&mut self.connection, &mut self.stream);
        }
        if ending != Ending::Open {
            self.stream.finish();
        }
    }
}

/// A certificate for this name that is its own root, with its key.
fn certified(name: &str) -> (String, String) {
    let certified = rcgen::generate_simple_self_signed([String::from(name)]).unwrap();
    (certified.cert.pem(), certified.signing_key.serialize_pem())
}

fn request(method: &'static str, url: &str, body: &[u8]) -> Demand {
    Demand::Request(Request {
        method,
        url: url.into(),
        body: body.to_vec(),
    })
}

fn access() -> Access {
    Access {
        remote: store::remote::Remote::parse("git@[::1]:2222:certificates.git")
            .or_else(|_| store::remote::Remote::parse("ssh://git@10.0.0.1:2222/certificates.git"))
            .unwrap(),
        key: store::ssh::LoginKey::from_seed([7; 32]),
        host_key: None,
    }
}

/// An errand for this demand to one who trusts this root, its stream, and an authority that shows
/// this certificate at the other end.
fn begin(
    demand: &Demand,
    root: &str,
    (certificate, key): &(String, String),
) -> Result<(Errand, End, Authority), Reply> {
    // A certificate of rcgen holds until long after this.
    let clock = WallClock::new(1_800_000_000);
    let client = Client::new(ClientOptions::new(
        vec![root.as_bytes().to_vec()],
        clock.clone(),
    ));
    let access = access();
    let means = Means {
        access: &access,
        limits: &Limits::default(),
        client: Some(&client.unwrap()),
    };
    let errand = Errand::new(demand, &means)?;
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes(), Provider::Ring);
    let server = tls::Server::new(ServerOptions::new(identity.unwrap(), clock)).unwrap();
    let (near, far) = pipe(20 * 1024);
    let authority = Authority {
        stream: far,
        connection: server.accept().unwrap(),
        heard: Vec::new(),
        scratch: Scratch::new(),
    };
    Ok((errand, near, authority))
}

/// What comes of a request that is answered so, and what was asked.
fn ask(demand: &Demand, response: &[u8], ending: Ending) -> (Option<Answered>, String) {
    let certified = certified("ca.example");
    let (mut errand, mut near, mut authority) =
        begin(demand, &certified.0, &certified).ok().unwrap();
    let mut scratch = Scratch::new();
    let Demand::Request(asked) = demand else {
        panic!("a visit is no request");
    };
    let asked = [b"\r\n\r\n", &asked.body[..]].concat();
    let (mut said, mut ended) = (0, false);
    for _ in 0..1000 {
        let reply = errand.poll(&mut near, &mut scratch);
        authority.poll();
        if let Some(reply) = reply {
            let Reply::Answered(answered) = reply else {
                panic!("a request was replied to as a visit");
            };
            // It has ended its direction: there is no room any more.
            assert_eq!(near.send_room(), 0);
            return (Some(answered), String::from_utf8(authority.heard).unwrap());
        }
        if authority.heard.ends_with(&asked) && !ended {
            said += authority.say(&response[said..]);
            if said == response.len() {
                authority.end(ending);
                ended = true;
            }
        }
    }
    (None, String::from_utf8(authority.heard).unwrap())
}

#[test]
fn a_post_says_who_asks_and_what_it_brings() {
    let demand = request("POST", "https://ca.example:14000/new?x", b"{\"a\": 1}");
    let response = b"HTTP/1.1 201 Created\r\nReplay-Nonce: xyz\r\nContent-Length: 4\r\n\r\nbody";
    let (answered, heard) = ask(&demand, response, Ending::Open);
    let expected = acme::Response {
        status: 201,
        headers: vec![
            ("Replay-Nonce".into(), "xyz".into()),
            ("Content-Length".into(), "4".into()),
        ],
        body: b"body".to_vec(),
    };
    assert_eq!(answered.unwrap().unwrap(), expected);
    let version = config::VERSION;
    assert_eq!(
        heard,
        format!(
            "POST /new?x HTTP/1.1\r\nHost: ca.example:14000\r\nUser-Agent: stockade/{version}\r\n\
             Accept-Language: en\r\nConnection: close\r\n\
             Content-Type: application/jose+json\r\nContent-Length: 8\r\n\r\n{{\"a\": 1}}"
        )
    );
}

#[test]
fn a_head_has_no_content_whatever_its_length() {
    let demand = request("HEAD", "https://ca.example/nonce", b"");
    let response = b"HTTP/1.1 200 OK\r\nReplay-Nonce: xyz\r\nContent-Length: 400\r\n\r\n";
    let (answered, heard) = ask(&demand, response, Ending::Open);
    assert_eq!(answered.unwrap().unwrap().body, b"");
    assert!(heard.starts_with("HEAD /nonce HTTP/1.1\r\nHost: ca.example\r\n"));
    assert!(!heard.contains("Content-"));
}

#[test]
fn long_contents_go_both_ways() {
    let body = vec![b'x'; 100_000];
    let demand = request("POST", "https://ca.example/new", &body);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n".to_vec();
    let (answered, heard) = ask(&demand, &[head, vec![b'y'; 60_000]].concat(), Ending::Open);
    let answered = answered.unwrap().unwrap();
    assert!(answered.body == vec![b'y'; 60_000]);
    assert!(heard.ends_with(core::str::from_utf8(&body).unwrap()));
}

#[test]
fn content_without_a_length_is_whole_when_tls_was_ended() {
    let demand = request("GET", "https://ca.example/", b"");
    let response = b"HTTP/1.0 200 OK\r\n\r\nall of it";
    let check = |ending, expected: Option<Result<&[u8], Fault<HttpError>>>| {
        let (answered, _) = ask(&demand, response, ending);
        let answered = answered.map(|answered| answered.map(|response| response.body));
        assert_eq!(
            answered,
            expected.map(|expected| expected.map(<[u8]>::to_vec))
        );
    };
    check(Ending::Closed, Some(Ok(b"all of it")));
    check(Ending::Cut, Some(Err(Fault::Conversation(HttpError::Cut))));
    check(Ending::Open, None);
}

#[test]
fn what_is_no_response_is_an_error() {
    let demand = request("GET", "https://ca.example/", b"");
    let check = |response: &[u8], ending, expected| {
        let (answered, _) = ask(&demand, response, ending);
        assert_eq!(
            answered.unwrap().unwrap_err(),
            Fault::Conversation(expected)
        );
    };
    check(b"SSH-2.0-OpenSSH_9\r\n", Ending::Open, HttpError::Malformed);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    check(half, Ending::Closed, HttpError::Cut);
    check(half, Ending::Cut, HttpError::Cut);
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; 400_000]].concat();
    check(&endless, Ending::Open, HttpError::TooLong);
    let fields = [
        b"HTTP/1.1 200 OK\r\n",
        &b"X: yyyyyyyyyyyy\r\n".repeat(5000)[..],
    ]
    .concat();
    check(&fields, Ending::Open, HttpError::TooLong);
}

#[test]
fn nobody_is_asked_whose_certificate_is_not_trusted_or_another_s() {
    let demand = request("GET", "https://ca.example/", b"");
    let (trusted, other) = (certified("ca.example"), certified("ca.example"));
    let named = certified("other.example");
    for (root, shown) in [(&trusted, &other), (&named, &named)] {
        let (mut errand, mut near, mut authority) = begin(&demand, &root.0, shown).ok().unwrap();
        let mut scratch = Scratch::new();
        let reply = (0..20).find_map(|_| {
            let reply = errand.poll(&mut near, &mut scratch);
            authority.poll();
            reply
        });
        let Some(Reply::Answered(Err(Fault::Tls(why)))) = reply else {
            panic!("it was asked all the same");
        };
        assert!(why.contains("certificate was refused"), "{why}");
        assert_eq!(authority.heard, b"");
    }
}

#[test]
fn an_address_is_asked_by_its_address() {
    let certified = certified("10.0.0.1");
    let demand = request("GET", "https://10.0.0.1:14000/dir", b"");
    let (errand, ..) = begin(&demand, &certified.0, &certified).ok().unwrap();
    let address = Host::Address("10.0.0.1".parse().unwrap());
    assert_eq!(errand.place(), (&address, 14000));
}

#[test]
fn what_is_no_address_is_not_asked() {
    let certified = certified("ca.example");
    for url in ["http://ca.example/", "", "https://", "https://a b/"] {
        let begun = begin(&request("GET", url, b""), &certified.0, &certified);
        let Err(Reply::Answered(Err(fault))) = begun else {
            panic!("{url:?} is none");
        };
        assert_eq!(fault, Fault::Conversation(HttpError::Url), "{url:?}");
    }
}

#[test]
fn an_errand_that_is_hindered_replies_as_its_kind() {
    let certified = certified("ca.example");
    let demand = request("GET", "https://ca.example/", b"");
    let (errand, ..) = begin(&demand, &certified.0, &certified).ok().unwrap();
    let reply = errand.hindered(Hindrance::TimedOut);
    assert!(matches!(reply, Reply::Answered(Err(Fault::TimedOut))));
    let (errand, ..) = begin(&Demand::Fetch(None), &certified.0, &certified)
        .ok()
        .unwrap();
    let reply = errand.hindered(Hindrance::Unreachable("no route".into()));
    let Reply::Visited(Err(fault)) = reply else {
        panic!("a visit was replied to as a request");
    };
    assert_eq!(fault, Fault::Unreachable("no route".into()));
}

/// What comes of a visit to somebody who says this, and how it begins.
fn visit(said: &[u8], ends: bool) -> (Option<Visited>, Vec<u8>) {
    let certified = certified("ca.example");
    let (mut errand, mut near, authority) = begin(&Demand::Fetch(None), &certified.0, &certified)
        .ok()
        .unwrap();
    let mut far = authority.stream;
    let mut scratch = Scratch::new();
    let mut heard = Vec::new();
    let mut pieces = said.chunks(500);
    for _ in 0..2000 {
        match errand.poll(&mut near, &mut scratch) {
            Some(Reply::Visited(visited)) => return (Some(visited), heard),
            Some(Reply::Answered(_)) => panic!("a visit was replied to as a request"),
            None => {}
        }
        heard.extend(far.read_all());
        match pieces.next() {
            Some(piece) => {
                far.send(piece);
            }
            None if ends => far.finish(),
            None => {}
        }
    }
    (None, heard)
}

#[test]
fn a_visit_begins_as_ssh_does_and_waits_for_an_answer() {
    let (visited, heard) = visit(b"", false);
    assert_eq!(visited, None);
    assert!(heard.starts_with(b"SSH-2.0-"));
}

#[test]
fn a_store_that_is_none_fails_the_visit() {
    let failed = |said: &[u8], ends| {
        let (visited, _) = visit(said, ends);
        let fault = visited.unwrap().unwrap_err();
        assert!(matches!(fault, Fault::Conversation(_)), "{fault}");
        fault.to_string()
    };
    failed(b"", true);
    failed(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", true);
    failed(&b"HTTP/1.1 400 Bad Request\r\n".repeat(20_000), false);
}
