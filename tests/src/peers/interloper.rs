//! Who stands between a client of an authority and the authority: listens, and answers in its place
//! where a test wants an answer that no real one gives on request.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;
use stockade_tls::{
    Client, ClientOptions, Identity, Provider, Server, ServerOptions, VerifyMode, WallClock,
};

use crate::client::TlsStream;
use crate::peers::acme::{self, Authorities};
use crate::{PATIENCE, namespace};

/// Longest header section and longest content that are read, in bytes.
const MOST: u64 = 1 << 20;

/// A request that has come.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The header that its content is signed with (RFC 7515 §4); `Null` without one.
    pub protected: Value,
    /// What is signed; `Null` without any.
    pub payload: Value,
}

/// What is answered in the authority's place.
#[derive(Clone, Debug)]
pub enum Answer {
    /// An HTTP response: its status, further header lines, each with its end, and its content.
    Response(u16, String, String),
    /// Bytes that are no HTTP.
    Garbage,
    /// Nothing, for as long as the client waits.
    Silence,
    /// The end of the connection.
    End,
}

type Rule = Box<dyn Fn(&Heard) -> Option<Answer> + Send>;

struct Shared {
    server: Server,
    client: Client,
    authority: SocketAddr,
    rule: Mutex<Rule>,
    heard: Mutex<Vec<Heard>>,
}

/// A server of its own before an authority. Stops when the process ends; nobody else has its port.
pub struct Interloper {
    address: SocketAddr,
    trusted: String,
    directory: String,
    shared: Arc<Shared>,
}

impl Interloper {
    /// Listens on a free port of this address and passes everything on.
    pub fn start(host: Ipv4Addr, authority: &Authorities) -> Interloper {
        namespace::require();
        let (trusted, pair) = acme::own_certificate(host);
        let identity = Identity::from_pem(
            pair.certificate.as_bytes(),
            pair.key.as_bytes(),
            Provider::Ring,
        );
        let identity = identity.unwrap_or_else(|error| panic!("{error}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = WallClock::new(now.map_or(0, |time| time.as_secs()));
        let server = Server::new(ServerOptions::new(identity, clock.clone()));
        let options = ClientOptions {
            verify: VerifyMode::None,
            ..ClientOptions::new(Vec::new(), clock)
        };
        let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().expect("it is bound");
        let (_, path) = authority
            .directory
            .rsplit_once(&authority.address().to_string())
            .expect("the address is in it");
        let shared = Arc::new(Shared {
            server: server.unwrap_or_else(|error| panic!("{error}")),
            client: crate::client::build(options),
            authority: authority.address(),
            rule: Mutex::new(Box::new(|_| None)),
            heard: Mutex::default(),
        });
        let interloper = Interloper {
            address,
            trusted,
            directory: format!("https://{address}{path}"),
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // What goes wrong is the client's to tell: it has no answer then.
                thread::spawn(move || serve(stream, &shared));
            }
        });
        interloper
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the authority's directory through it.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// What its own certificate is trusted by, PEM.
    pub fn trusted(&self) -> &str {
        &self.trusted
    }

    /// From now on answers where the rule has an answer, and passes on the rest.
    pub fn answer(&self, rule: impl Fn(&Heard) -> Option<Answer> + Send + 'static) {
        *locked(&self.shared.rule) = Box::new(rule);
    }

    /// From now on passes on everything.
    pub fn pass(&self) {
        self.answer(|_| None);
    }

    /// The requests so far.
    pub fn heard(&self) -> Vec<Heard> {
        locked(&self.shared.heard).clone()
    }
}

impl Answer {
    /// A problem document (RFC 7807) as authorities send it, with further header lines.
    pub fn problem(status: u16, kind: &str, lines: &str) -> Answer {
        let content = format!(
            "{{\"type\":\"urn:ietf:params:acme:error:{kind}\",\"detail\":\"as the test wants it\",\
             \"status\":{status}}}"
        );
        let lines = format!("Content-Type: application/problem+json\r\n{lines}");
        Answer::Response(status, lines, content)
    }
}

fn serve(tcp: TcpStream, shared: &Shared) -> io::Result<()> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    let mut stream = TlsStream::accept(tcp, &shared.server)?;
    let (head, content) = read_request(&mut stream)?;
    let heard = heard(&head, &content);
    locked(&shared.heard).push(heard.clone());
    let answer = locked(&shared.rule)(&heard);
    match answer {
        None => pass(&mut stream, shared, &head, &content)?,
        Some(Answer::Response(status, lines, content)) => {
            let length = content.len();
            write!(
                stream,
                "HTTP/1.1 {status} As It Is\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n{lines}\r\n{content}"
            )?;
        }
        Some(Answer::Garbage) => stream.write_all(&[0x80; 300])?,
        Some(Answer::Silence) => {
            let _ = stream.read(&mut [0]);
            return Ok(());
        }
        Some(Answer::End) => {}
    }
    stream.finish()
}

/// The header section with the empty line, and the content.
fn read_request(stream: &mut TlsStream) -> io::Result<(String, Vec<u8>)> {
    let mut input = BufReader::new(stream.take(MOST));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if input.read_line(&mut head)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let length = field(&head, "content-length").map_or(Some(0), |length| length.parse().ok());
    let length = length.ok_or(ErrorKind::InvalidData)?;
    let mut content = Vec::new();
    input.take(length).read_to_end(&mut content)?;
    Ok((head, content))
}

/// Asks the authority, for whom the request is from us, and sends what it answers.
fn pass(stream: &mut TlsStream, shared: &Shared, head: &str, content: &[u8]) -> io::Result<()> {
    let mut authority = TlsStream::connect(shared.authority, &shared.client)?;
    let lines = head.trim_end().split("\r\n");
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let lines: Vec<&str> = kept.collect();
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    authority.write_all(&[head.as_bytes(), content].concat())?;
    io::copy(&mut authority, stream)?;
    Ok(())
}

fn heard(head: &str, content: &[u8]) -> Heard {
    let mut words = head.split(' ').map(str::to_owned);
    let signed: Value = serde_json::from_slice(content).unwrap_or_default();
    let part = |name: &str| {
        let text = signed.get(name)?.as_str()?;
        let bytes = Base64UrlUnpadded::decode_vec(text).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    Heard {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        protected: part("protected").unwrap_or_default(),
        payload: part("payload").unwrap_or_default(),
    }
}

/// The value of a header field (RFC 9112 §5).
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value.trim())
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().expect("nobody panics while holding it")
}
