//! HTTP between clients and backends: both must see the same messages.

use stockade_http::{Client, Exchange, Options, Progress, View};

/// What the backend answers to each request.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Requests that a backend's bytes are answers to.
const REQUESTS: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
];

/// A byte that says who sends the rest (0: a client; else a backend, in answer to one of
/// [`REQUESTS`]), one that says in pieces of how many bytes, and the bytes.
///
/// Checked: what is sent on is read as the same messages by a reader that knows nothing of ours, be
/// it strict about line ends or not; nothing of a client's is there that only we may say; what waits
/// to be sent is bounded; a refused request leaves nothing behind.
pub fn http(bytes: &[u8]) {
    let [who, piece, rest @ ..] = bytes else {
        return;
    };
    let piece = usize::from(*piece).max(1);
    match who % 5 {
        0 => client(rest, piece),
        which => backend(REQUESTS[usize::from(which) - 1], rest, piece),
    }
}

fn about() -> Client<'static> {
    Client {
        address: [192, 0, 2, 7].into(),
        server_name: Some("tls.example"),
    }
}

/// A client says these bytes; the backend answers each request that it has got whole.
fn client(bytes: &[u8], piece: usize) {
    let mut exchange = Exchange::new(Options::default());
    let (mut at, mut come) = (0, 0);
    let mut heard = Vec::new();
    let mut answers: Vec<u8> = Vec::new();
    let (mut answered, mut asked, mut live) = (0, 0, false);
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    for _ in 0..8 * bytes.len() + 64 {
        let client = View {
            bytes: &bytes[at..come],
            ended: come == bytes.len(),
        };
        let backend = live.then_some(View {
            bytes: &answers,
            ended: false,
        });
        let turn = exchange.poll(&about(), client, backend, &mut to_client, &mut to_backend);
        at += turn.client;
        answers.drain(..turn.backend);
        assert!(to_client.len() + to_backend.len() < 512 * 1024, "unbounded");
        heard.append(&mut to_backend);
        to_client.clear();
        let idle = turn.client == 0 && turn.backend == 0;
        match turn.progress {
            Progress::Wait if idle && come == bytes.len() => {
                let whole = requests(&heard).0;
                if whole <= answered {
                    break;
                }
                // What the client still sends is a later request.
                answered += 1;
                answers.extend_from_slice(ANSWER);
            }
            Progress::Wait if idle => come = bytes.len().min(come + piece),
            Progress::Wait => {}
            Progress::Connect { .. } => {
                exchange.connected(live, &mut to_backend);
                heard.append(&mut to_backend);
                (live, asked) = (true, asked + 1);
            }
            Progress::Release { .. } => {}
            Progress::Upgrade | Progress::End | Progress::Abort => break,
        }
    }
    let (whole, cut) = requests(&heard);
    assert_eq!(whole + usize::from(cut), asked, "{:?}", heard.escape_ascii().to_string());
}

/// How many requests there are, by a reader of its own, and whether the last one is not whole.
fn requests(bytes: &[u8]) -> (usize, bool) {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let Some(end) = find(rest, b"\r\n\r\n") else {
            return (count, true);
        };
        let head = std::str::from_utf8(&rest[..end]).unwrap_or_default();
        let head = match head {
            "" => String::from_utf8_lossy(&rest[..end]).into_owned(),
            head => head.to_owned(),
        };
        // Who takes LF alone, or CR alone, for an end sees the same lines.
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(head.matches('\n').count() + 1, lines.len(), "{head:?}");
        assert_eq!(head.matches('\r').count() + 1, lines.len(), "{head:?}");
        let (mut length, mut chunked, mut hosts) = (None, false, 0);
        for line in &lines[1..] {
            let (name, value) = line.split_once(": ").expect("a field");
            assert!(!name.is_empty() && !name.contains([' ', '\t', '_']), "{line:?}");
            match name.to_ascii_lowercase().as_str() {
                "host" => hosts += 1,
                "content-length" => {
                    assert!(length.is_none() && !chunked, "{head:?}");
                    length = Some(value.parse::<usize>().expect("a number"));
                }
                "transfer-encoding" => {
                    assert!(length.is_none() && !chunked && value == "chunked", "{head:?}");
                    chunked = true;
                }
                "x-forwarded-for" => assert_eq!(value, "192.0.2.7"),
                "x-forwarded-proto" => assert_eq!(value, "https"),
                _ => {}
            }
        }
        assert_eq!(hosts, 1, "{head:?}");
        let words: Vec<&str> = lines[0].split(' ').collect();
        assert!(words.len() == 3 && words[2] == "HTTP/1.1", "{head:?}");
        rest = &rest[end + 4..];
        let body = match (length, chunked) {
            (Some(length), _) => (rest.len() >= length).then_some(length),
            (None, true) => chunks(rest),
            (None, false) => Some(0),
        };
        let Some(body) = body else {
            return (count, true);
        };
        rest = &rest[body..];
        count += 1;
    }
    (count, false)
}

/// The bytes of a chunked body; `None`: it is not whole.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let digits = std::str::from_utf8(&bytes[at..at + line]).expect("digits");
        let size = usize::from_str_radix(digits, 16).expect("a chunk's size");
        at += line + 2;
        if size == 0 {
            break;
        }
        at += size;
        if bytes.len() < at + 2 {
            return None;
        }
        assert_eq!(&bytes[at..at + 2], b"\r\n");
        at += 2;
    }
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// A backend answers one request with these bytes.
fn backend(request: &str, bytes: &[u8], piece: usize) {
    let mut exchange = Exchange::new(Options::default());
    let (mut at, mut come, mut taken) = (0, 0, 0);
    let mut seen = Vec::new();
    let (mut to_client, mut to_backend) = (Vec::new(), Vec::new());
    let mut live = false;
    let mut end = Progress::Wait;
    for _ in 0..8 * bytes.len() + 64 {
        let client = View {
            bytes: &request.as_bytes()[taken..],
            ended: false,
        };
        let backend = live.then(|| View {
            bytes: &bytes[at..come],
            ended: come == bytes.len(),
        });
        let turn = exchange.poll(&about(), client, backend, &mut to_client, &mut to_backend);
        taken += turn.client;
        at += turn.backend;
        assert!(to_client.len() < 512 * 1024, "unbounded");
        seen.append(&mut to_client);
        let idle = turn.client == 0 && turn.backend == 0;
        match turn.progress {
            Progress::Wait if idle && come == bytes.len() => break,
            Progress::Wait if idle => come = bytes.len().min(come + piece),
            Progress::Wait => {}
            Progress::Connect { .. } => {
                exchange.connected(false, &mut to_backend);
                live = true;
            }
            over => {
                end = over;
                break;
            }
        }
    }
    answers(request, &seen, &end);
}

/// What the client has got: interim answers, then one answer, whole unless the end says otherwise.
fn answers(request: &str, seen: &[u8], end: &Progress) {
    let mut rest = seen;
    loop {
        let Some(length) = find(rest, b"\r\n\r\n") else {
            assert!(rest.is_empty(), "{:?}", seen.escape_ascii().to_string());
            return;
        };
        let head = String::from_utf8_lossy(&rest[..length]).into_owned();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(head.matches(['\r', '\n']).count() + 2, 2 * lines.len(), "{head:?}");
        rest = &rest[length + 4..];
        let status = lines[0].strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3));
        let status: u16 = status.and_then(|it| it.parse().ok()).expect("a status");
        if (100..200).contains(&status) && status != 101 {
            assert!(!request.contains("HTTP/1.0"));
            continue;
        }
        let named = |name: &str| {
            let mut lines = lines[1..].iter().filter_map(|line| line.split_once(": "));
            lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let length = named("Content-Length").map(|value| value.parse::<usize>().expect("a number"));
        let chunked = named("Transfer-Encoding").is_some();
        assert!(!(chunked && length.is_some()), "{head:?}");
        let empty = request.starts_with("HEAD") || status < 200 || matches!(status, 204 | 304);
        let whole = match (length, chunked) {
            _ if empty => rest.is_empty(),
            (Some(length), _) => rest.len() == length,
            (None, true) => chunks_of(rest) == Some(rest.len()),
            (None, false) => true,
        };
        let is_over = matches!(end, Progress::Release { .. } | Progress::End);
        assert!(whole || !is_over, "{:?} {end:?}", seen.escape_ascii().to_string());
        return;
    }
}

fn chunks_of(bytes: &[u8]) -> Option<usize> {
    (!bytes.is_empty()).then(|| chunks(bytes)).flatten()
}
