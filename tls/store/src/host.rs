//! One host's file: its certificates, keys and backend, as contruno writes them.
//!
//! The file has the host's name and lies at the repository's root:
//!
//! ```json
//! {"own_cert":[["<certificate PEM>","<issuer PEM>"],"<key PEM>"],"ip":"10.0.0.3","port":8080,"alpn":["h2"]}
//! ```
//!
//! `own_cert` is one such pair, a list of pairs, or a pair followed by a list of pairs, of which the
//! pair alone is the default. `port` is left out where it is 80 and `alpn` where it is both. contruno
//! itself writes each protocol as `{}` and reads every entry as HTTP/1.1; here they have their names,
//! which it reads likewise.
//!
//! More is ours: `"names": ["example.org"]`, further names that the certificate is for;
//! `"renew": false` where nobody but its owner replaces it; `"mode": "tcp"` where bytes are carried, not
//! requests of HTTP (`"http"`); and for these, `"hsts": SECONDS` and `"max_body": BYTES`. What else is in
//! a file stays in it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use serde_json::{Map, Value, json};

/// Most bytes of a file.
const MOST: usize = 1 << 20;

/// The port of a backend, unless the file says otherwise.
const DEFAULT_PORT: u16 = 80;

/// A certificate chain with its key. For debugging it displays how many certificates there are.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain, PEM, with the host's own certificate first; one text each.
    pub chain: Vec<String>,
    /// The private key, PEM (PKCS #8).
    pub key: String,
}

/// Protocols inside TLS that the backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/2.
    pub http2: bool,
    /// HTTP/1.1.
    pub http1: bool,
}

/// How a host's plaintext is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As bytes.
    Tcp,
    /// As requests of HTTP/1.1.
    Http,
}

/// A host and what is served for it. For debugging it displays neither keys nor what is not
/// understood.
#[derive(Clone, PartialEq)]
pub struct Host {
    /// Its certificates, the default first; never empty.
    pub pairs: Vec<Pair>,
    /// How the file lists them.
    form: Form,
    /// The backend's address.
    pub backend: IpAddr,
    /// The backend's port.
    pub port: u16,
    /// What the backend speaks.
    pub protocols: Protocols,
    /// Further names of the host, which its certificate is to have too.
    pub names: Vec<String>,
    /// Whether its certificate is to be renewed by an authority.
    pub renew: bool,
    /// How its plaintext is carried; `None`: as is usual.
    pub mode: Option<Mode>,
    /// For how many seconds browsers are to come by HTTPS alone (RFC 6797 §6.1.1).
    pub hsts: Option<u32>,
    /// Most bytes of a request's body.
    pub max_body: Option<u64>,
    /// What else is in the file.
    rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A pair.
    One,
    /// A list of pairs.
    Several,
    /// A pair and a list of pairs.
    Default,
}

/// What is wrong with a host's file. It never says what is in the file: there is a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// It has more bytes than any needs.
    TooLong,
    /// It is no JSON (RFC 8259): the line and column, from 1.
    Json {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// This is missing.
    Missing(&'static str),
    /// This is not what it should be.
    Wrong {
        /// What.
        what: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::TooLong => write!(f, "it has more than {MOST} bytes"),
            HostError::Json { line, column } => {
                write!(f, "it is no JSON at line {line}, column {column}")
            }
            HostError::Missing(what) => write!(f, "it has no \"{what}\""),
            HostError::Wrong { what, expected } => write!(f, "\"{what}\" is not {expected}"),
        }
    }
}

impl core::error::Error for HostError {}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates and a key", self.chain.len())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { backend, port, .. } = self;
        write!(f, "{:?} for {backend} port {port}", self.pairs)
    }
}

impl Protocols {
    /// Both.
    pub const ALL: Protocols = Protocols {
        http2: true,
        http1: true,
    };

    fn to_json(self) -> Value {
        let names = [(self.http2, "h2"), (self.http1, "http/1.1")];
        let offered = names.into_iter().filter(|(is_offered, _)| *is_offered);
        offered.map(|(_, name)| name).collect()
    }
}

impl Mode {
    /// As files say it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Tcp => "tcp",
            Mode::Http => "http",
        }
    }
}

impl Host {
    /// A host with one certificate.
    pub fn new(pair: Pair, backend: IpAddr, port: u16) -> Host {
        Host {
            pairs: alloc::vec![pair],
            form: Form::One,
            backend,
            port,
            protocols: Protocols::ALL,
            names: Vec::new(),
            renew: true,
            mode: None,
            hsts: None,
            max_body: None,
            rest: Map::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(file: &[u8]) -> Result<Host, HostError> {
        if file.len() > MOST {
            return Err(HostError::TooLong);
        }
        let mut rest: Map<String, Value> =
            serde_json::from_slice(file).map_err(|error| HostError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let own_cert = rest
            .remove("own_cert")
            .ok_or(HostError::Missing("own_cert"))?;
        let (form, pairs) = certificates(&own_cert).ok_or(HostError::Wrong {
            what: "own_cert",
            expected: "a pair of certificates and key, nor a list of such pairs",
        })?;
        let ip = rest.remove("ip").ok_or(HostError::Missing("ip"))?;
        let backend = ip.as_str().and_then(|text| text.parse().ok());
        let backend = backend.ok_or(HostError::Wrong {
            what: "ip",
            expected: "an address",
        })?;
        let port = optional(&mut rest, "port", "a port from 1 to 65535", port)?;
        let protocols = "a list of \"h2\" and \"http/1.1\"";
        let protocols = optional(&mut rest, "alpn", protocols, self::protocols)?;
        let names = optional(&mut rest, "names", "a list of names", texts)?;
        let renew = optional(&mut rest, "renew", "true or false", Value::as_bool)?;
        let mode = optional(&mut rest, "mode", "\"http\" or \"tcp\"", mode)?;
        let hsts = optional(&mut rest, "hsts", "a number of seconds", |hsts| {
            u32::try_from(hsts.as_u64()?).ok()
        })?;
        let max_body = optional(&mut rest, "max_body", "a number of bytes", Value::as_u64)?;
        let host = Host {
            pairs,
            form,
            backend,
            port: port.unwrap_or(DEFAULT_PORT),
            protocols: protocols.unwrap_or(Protocols::ALL),
            names: names.unwrap_or_default(),
            renew: renew.unwrap_or(true),
            mode,
            hsts,
            max_body,
            rest,
        };
        host.check().map(|()| host)
    }

    /// Whether what is said of requests goes together.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn check(&self) -> Result<(), HostError> {
        let is_held = self.hsts.is_some() || self.max_body.is_some();
        if is_held && self.mode == Some(Mode::Tcp) {
            return Err(HostError::Wrong {
                what: "mode",
                expected: "\"http\", without which \"hsts\" and \"max_body\" mean nothing",
            });
        }
        if (is_held || self.mode == Some(Mode::Http)) && !self.protocols.http1 {
            return Err(HostError::Wrong {
                what: "alpn",
                expected: "a list with \"http/1.1\", which is what the mode http carries",
            });
        }
        Ok(())
    }

    /// Puts this certificate in the place of the default one.
    pub fn replace(&mut self, pair: Pair) {
        match self.pairs.first_mut() {
            Some(first) => *first = pair,
            None => self.pairs.push(pair),
        }
    }

    /// The file.
    pub fn to_file(&self) -> Vec<u8> {
        let pair = |pair: &Pair| json!([pair.chain, pair.key]);
        let mut pairs: Vec<Value> = self.pairs.iter().map(pair).collect();
        let own_cert = match self.form {
            Form::Several => Value::Array(pairs),
            Form::One if pairs.len() == 1 => pairs.remove(0),
            Form::One | Form::Default => {
                let others = pairs.split_off(pairs.len().min(1));
                pairs.push(Value::Array(others));
                Value::Array(pairs)
            }
        };
        let mut file = self.rest.clone();
        file.insert("own_cert".into(), own_cert);
        file.insert("ip".into(), json!(self.backend));
        if self.port != DEFAULT_PORT {
            file.insert("port".into(), json!(self.port));
        }
        if self.protocols != Protocols::ALL {
            file.insert("alpn".into(), self.protocols.to_json());
        }
        if !self.names.is_empty() {
            file.insert("names".into(), json!(self.names));
        }
        if !self.renew {
            file.insert("renew".into(), json!(false));
        }
        if let Some(mode) = self.mode {
            file.insert("mode".into(), json!(mode.name()));
        }
        if let Some(seconds) = self.hsts {
            file.insert("hsts".into(), json!(seconds));
        }
        if let Some(bytes) = self.max_body {
            file.insert("max_body".into(), json!(bytes));
        }
        alloc::format!("{}", Value::Object(file)).into_bytes()
    }
}

/// See [`Form`].
fn certificates(value: &Value) -> Option<(Form, Vec<Pair>)> {
    let list = value.as_array()?;
    if let Some(pair) = pair(value) {
        return Some((Form::One, alloc::vec![pair]));
    }
    if let [default, Value::Array(others)] = list.as_slice()
        && let Some(default) = pair(default)
        && let Some(others) = others.iter().map(pair).collect::<Option<Vec<Pair>>>()
    {
        let all = core::iter::once(default).chain(others);
        return Some((Form::Default, all.collect()));
    }
    let pairs: Vec<Pair> = list.iter().map(pair).collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some((Form::Several, pairs))
}

fn pair(value: &Value) -> Option<Pair> {
    let [chain, key] = value.as_array()?.as_slice() else {
        return None;
    };
    let chain = texts(chain)?;
    let key = key.as_str()?.into();
    (!chain.is_empty()).then_some(Pair { chain, key })
}

/// What a file need not say.
fn optional<T>(
    rest: &mut Map<String, Value>,
    what: &'static str,
    expected: &'static str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, HostError> {
    let value = rest.remove(what);
    let read = value.map(|value| read(&value).ok_or(HostError::Wrong { what, expected }));
    read.transpose()
}

fn mode(value: &Value) -> Option<Mode> {
    let all = [Mode::Tcp, Mode::Http].into_iter();
    all.into_iter()
        .find(|mode| value.as_str() == Some(mode.name()))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(String::from);
    value.as_array()?.iter().map(text).collect()
}

/// A port; contruno keeps it in 16 bits with a sign, so those beyond 32,767 may have come out
/// negative.
fn port(value: &Value) -> Option<u16> {
    let number = value.as_i64()?;
    let number = match number {
        -32_768..=-1 => number + 65_536,
        _ => number,
    };
    u16::try_from(number).ok().filter(|port| *port != 0)
}

fn protocols(value: &Value) -> Option<Protocols> {
    let mut protocols = Protocols {
        http2: false,
        http1: false,
    };
    for name in value.as_array()? {
        match name {
            Value::Object(_) => protocols.http1 = true,
            Value::String(name) if name == "http/1.1" => protocols.http1 = true,
            Value::String(name) if name == "h2" => protocols.http2 = true,
            _ => return None,
        }
    }
    Some(protocols)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    const PAIR: &str = r#"[["A","B"],"K"]"#;
    const OTHER: &str = r#"[["C"],"L"]"#;

    fn file(own_cert: &str, rest: &str) -> String {
        format!(r#"{{"ip":"10.0.0.3","own_cert":{own_cert}{rest}}}"#)
    }

    fn read(file: &str) -> Host {
        Host::parse(file.as_bytes()).unwrap()
    }

    #[test]
    fn every_form_is_read_and_written_as_it_was() {
        for (own_cert, count) in [
            (PAIR.to_string(), 1),
            (format!("[{PAIR}]"), 1),
            (format!("[{PAIR},{OTHER}]"), 2),
            (format!("[{PAIR},{OTHER},{OTHER}]"), 3),
            (format!("[{PAIR},[{OTHER}]]"), 2),
            (format!("[{PAIR},[]]"), 1),
            (format!("[{PAIR},[{OTHER},{OTHER}]]"), 3),
        ] {
            let text = file(&own_cert, "");
            let host = read(&text);
            assert_eq!(host.pairs.len(), count, "{own_cert}");
            assert_eq!(host.pairs[0].chain, ["A", "B"]);
            assert_eq!(host.pairs[0].key, "K");
            assert_eq!((host.port, host.protocols), (80, Protocols::ALL));
            assert_eq!(String::from_utf8(host.to_file()).unwrap(), text);
        }
    }

    #[test]
    fn ports_of_all_16_bits_are_kept() {
        for (written, port) in [
            ("1", 1),
            ("32768", 32_768),
            ("65535", 65_535),
            ("-32768", 32_768),
            ("-1", 65_535),
        ] {
            let host = read(&file(PAIR, &format!(r#","port":{written}"#)));
            assert_eq!(host.port, port);
            let again = Host::parse(&host.to_file()).unwrap();
            assert_eq!(again, host);
        }
    }

    #[test]
    fn protocols_are_read_as_contruno_reads_them() {
        for (written, expected) in [
            ("[]", "[]"),
            ("[{}]", r#"["http/1.1"]"#),
            ("[{},{}]", r#"["http/1.1"]"#),
            (r#"["http/1.1"]"#, r#"["http/1.1"]"#),
            (r#"["h2"]"#, r#"["h2"]"#),
        ] {
            let host = read(&file(PAIR, &format!(r#","alpn":{written}"#)));
            assert_eq!(host.protocols.to_json().to_string(), expected);
            assert_eq!(Host::parse(&host.to_file()), Ok(host));
        }
        let both = read(&file(PAIR, r#","alpn":["http/1.1","h2"]"#));
        assert_eq!(both.protocols, Protocols::ALL);
    }

    #[test]
    fn what_is_ours_is_written_where_it_says_something() {
        let ours = r#","names":["a.example","*.b.example"],"renew":false"#;
        let host = read(&file(PAIR, ours));
        assert_eq!(host.names, ["a.example", "*.b.example"]);
        assert!(!host.renew);
        assert_eq!(Host::parse(&host.to_file()), Ok(host));
        let host = read(&file(PAIR, r#","names":[],"renew":true"#));
        let text = file(PAIR, "");
        assert_eq!(String::from_utf8(host.to_file()).unwrap(), text);
    }

    #[test]
    fn what_is_said_of_requests_goes_together() {
        let host = read(&file(
            PAIR,
            r#","mode":"http","hsts":31536000,"max_body":1048576"#,
        ));
        assert_eq!(host.mode, Some(Mode::Http));
        assert_eq!(
            (host.hsts, host.max_body),
            (Some(31_536_000), Some(1 << 20))
        );
        assert_eq!(Host::parse(&host.to_file()), Ok(host));
        let host = read(&file(PAIR, r#","alpn":["h2"],"mode":"tcp""#));
        assert_eq!(Host::parse(&host.to_file()).unwrap().mode, Some(Mode::Tcp));
        for (rest, expected) in [
            (r#","mode":"https""#, r#""mode" is not "http" or "tcp""#),
            (r#","hsts":"1""#, r#""hsts" is not a number of seconds"#),
            (
                r#","hsts":4294967296"#,
                r#""hsts" is not a number of seconds"#,
            ),
            (
                r#","max_body":-1"#,
                r#""max_body" is not a number of bytes"#,
            ),
            (
                r#","mode":"tcp","hsts":1"#,
                r#""mode" is not "http", without which "hsts" and "max_body" mean nothing"#,
            ),
            (
                r#","alpn":["h2"],"max_body":1"#,
                r#""alpn" is not a list with "http/1.1", which is what the mode http carries"#,
            ),
        ] {
            let error = Host::parse(file(PAIR, rest).as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_not_understood_stays() {
        let rest = r#","alpn":["h2"],"note":{"a":[1,0.10000000000000000001]},"port":8080"#;
        let mut host = read(&file(PAIR, rest));
        assert!(host.protocols.http2 && !host.protocols.http1);
        let chain = alloc::vec!["N".to_string()];
        host.replace(Pair {
            chain,
            key: "M".into(),
        });
        let text = String::from_utf8(host.to_file()).unwrap();
        assert!(
            text.contains(r#""note":{"a":[1,0.10000000000000000001]}"#),
            "{text}"
        );
        assert!(text.contains(r#""own_cert":[["N"],"M"]"#), "{text}");
        assert!(text.contains(r#""alpn":["h2"]"#), "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_without_what_is_in_it() {
        let wrong = |file: &str| Host::parse(file.as_bytes()).unwrap_err().to_string();
        assert_eq!(wrong("{}"), "it has no \"own_cert\"");
        assert_eq!(wrong("{\n  ]"), "it is no JSON at line 2, column 3");
        assert_eq!(wrong("[1]"), "it is no JSON at line 1, column 0");
        assert_eq!(
            wrong(&format!(r#"{{"own_cert":{PAIR}}}"#)),
            "it has no \"ip\""
        );
        let secret = r#"[["A"],{"secret":"K"}]"#;
        assert!(wrong(&file(secret, "")).starts_with("\"own_cert\" is not a pair"));
        for (own_cert, rest) in [
            ("[]", ""),
            (r#"[[],"K"]"#, ""),
            ("7", ""),
            (PAIR, r#","port":0"#),
            (PAIR, r#","port":65536"#),
            (PAIR, r#","port":-32769"#),
            (PAIR, r#","port":"80""#),
            (PAIR, r#","alpn":["h3"]"#),
            (PAIR, r#","alpn":"h2""#),
            (PAIR, r#","alpn":[null]"#),
            (PAIR, r#","names":"a""#),
            (PAIR, r#","names":[1]"#),
            (PAIR, r#","renew":1"#),
        ] {
            wrong(&file(own_cert, rest));
        }
        let long = alloc::vec![b' '; MOST + 1];
        assert_eq!(Host::parse(&long), Err(HostError::TooLong));
        let deep = "[".repeat(100_000);
        wrong(&file(&deep, ""));
    }

    #[test]
    fn no_secret_is_displayed() {
        let host = read(&file(PAIR, r#","token":"KEEP""#));
        assert_eq!(
            format!("{host:?}"),
            "[2 certificates and a key] for 10.0.0.3 port 80"
        );
    }
}
