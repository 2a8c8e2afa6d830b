//! Telling an image over the network that its store has changed: the teller's end of
//! `stockade_store::notice`, on a socket.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use stockade_channel::OneLine;
use stockade_config::hosting::NOTICES_PORT;
use stockade_store::notice::{MOST_FRAME, NONCE, Outcome, Pass, TellError, Teller, Told};
use time::UtcDateTime;
use zeroize::Zeroizing;

/// How long one address may take to answer the connection, and the image to answer the challenge.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the image may take to read its store.
const OUTCOME: Duration = Duration::from_secs(120);

/// Most bytes of standard input that are read: more than a pass has.
const MOST_READ: u64 = 4096;

/// How far two clocks may be apart before that is worth a word, in seconds.
const APART: u64 = 300;

/// Where an image takes notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            _ if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, rest))) => (host, rest.strip_prefix(':')),
            Some(None) => ("", None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_address = host.parse::<Ipv6Addr>().is_ok();
        let is_odd = |letter: char| letter.is_whitespace() || letter.is_control();
        let has_host = !host.is_empty()
            && !host.contains(is_odd)
            && is_address == (host.contains(':') || text.starts_with('['));
        let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match port {
            None if text.ends_with(host) || text.ends_with(']') => Some(NOTICES_PORT),
            None => None,
            Some(port) if is_number(port) => port.parse().ok().filter(|port| *port != 0),
            Some(_) => None,
        };
        match port {
            Some(port) if has_host => Ok(Target {
                host: host.to_owned(),
                port,
            }),
            _ => Err(format!(
                "expected ADDRESS[:PORT], such as 10.0.0.2, [2001:db8::2]:{NOTICES_PORT} or a name"
            )),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The pass that an option means: `file:NAME` for a file's content, `-` for standard input's, each without
/// the end of its line; anything else is the pass itself.
///
/// # Errors
///
/// It can't be read, or is none. The error does not repeat it.
pub(crate) fn pass(text: &str) -> crate::Result<Pass> {
    let read = match (text, text.strip_prefix("file:")) {
        ("-", _) => {
            let mut bytes = Zeroizing::new(Vec::new());
            io::stdin()
                .take(MOST_READ)
                .read_to_end(&mut bytes)
                .map_err(|error| format!("--pass: standard input: {error}"))?;
            bytes
        }
        (_, Some(name)) => {
            let bytes = fs::read(name).map_err(|error| format!("--pass: {name}: {error}"))?;
            Zeroizing::new(bytes)
        }
        (_, None) => Zeroizing::new(text.as_bytes().to_vec()),
    };
    let bytes = read.strip_suffix(b"\n").unwrap_or(&read);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    Pass::new(bytes).map_err(|error| format!("--pass: {error}").into())
}

/// Why nobody could be told, or the outcome is not known.
#[derive(Debug)]
pub(crate) enum NotifyError {
    /// The name is no address's, or no address answers.
    Unreachable(io::Error),
    /// The connection broke.
    Broken(io::Error),
    /// It does not answer as an image does.
    Refused(TellError),
    /// The outcome has not come in time; the image may still be reading its store.
    TimedOut,
    /// There are no random numbers to be had.
    NoEntropy,
}

impl fmt::Display for NotifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotifyError::Unreachable(error) => write!(f, "it can't be reached: {error}"),
            NotifyError::Broken(error) => write!(f, "the connection broke: {error}"),
            NotifyError::Refused(error) => error.fmt(f),
            NotifyError::TimedOut => write!(
                f,
                "the image has not told the outcome within {} s; it may still be reading its store",
                OUTCOME.as_secs()
            ),
            NotifyError::NoEntropy => f.write_str("this system gives no random numbers"),
        }
    }
}

impl std::error::Error for NotifyError {}

/// Tells the image at `target` that its store has changed, and waits until it has read it. `told` is
/// called when the image has the notice, before the wait.
///
/// # Errors
///
/// It does not know of the change, or not for certain.
pub(crate) fn notify(
    target: &Target,
    pass: &Pass,
    told: impl FnOnce(),
) -> Result<Told, NotifyError> {
    let mut nonce = [0; NONCE];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| NotifyError::NoEntropy)?;
    let mut stream = connect(target)?;
    let mut teller = Teller::new(pass.clone(), nonce, unix_now());
    let mut until = Instant::now() + ANSWER;
    let mut told = Some(told);
    let mut bytes = vec![0; MOST_FRAME];
    loop {
        let departing = teller.departing();
        if !departing.is_empty() {
            stream.write_all(&departing).map_err(broken)?;
        }
        if teller.has_told()
            && let Some(told) = told.take()
        {
            until = Instant::now() + OUTCOME;
            told();
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(NotifyError::TimedOut);
        }
        stream.set_read_timeout(Some(left)).map_err(broken)?;
        match stream.read(&mut bytes) {
            Ok(0) => {
                teller.receive_end().map_err(NotifyError::Refused)?;
                return Err(NotifyError::Refused(TellError::Ended));
            }
            Ok(count) => {
                let answer = teller.receive(&bytes[..count]);
                if let Some(answer) = answer.map_err(NotifyError::Refused)? {
                    return Ok(answer);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
}

/// Sends the bare pass, as contruno's own tools do: whoever listens can read it, and nobody tells what
/// comes of it.
///
/// # Errors
///
/// It could not be sent.
pub(crate) fn notify_bare(target: &Target, pass: &Pass) -> Result<(), NotifyError> {
    let mut stream = connect(target)?;
    stream.write_all(pass.bare()).map_err(broken)?;
    stream.shutdown(Shutdown::Write).map_err(broken)?;
    // Nothing is answered; the other side closes when it has read all.
    stream.set_read_timeout(Some(ANSWER)).map_err(broken)?;
    match stream.read(&mut [0; 64]) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(broken(error)),
        _ => Ok(()),
    }
}

fn connect(target: &Target) -> Result<TcpStream, NotifyError> {
    let place = (target.host.as_str(), target.port);
    let addresses = place.to_socket_addrs().map_err(NotifyError::Unreachable)?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(stream) => {
                stream.set_write_timeout(Some(ANSWER)).map_err(broken)?;
                stream.set_nodelay(true).map_err(broken)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(NotifyError::Unreachable(last))
}

fn broken(error: io::Error) -> NotifyError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => NotifyError::TimedOut,
        _ => NotifyError::Broken(error),
    }
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Lines that tell what has come of a notice: first the outcome, then what is to be looked at.
pub(crate) fn described(told: &Told) -> Vec<String> {
    described_at(told, unix_now())
}

fn described_at(told: &Told, now: u64) -> Vec<String> {
    let mut lines = Vec::new();
    match &told.outcome {
        Outcome::Failed(why) => lines.push(format!(
            "the store could not be read, and what was served is served on: {}",
            OneLine(why)
        )),
        Outcome::Done {
            hosts,
            troubles,
            more,
        } => {
            let plural = if *hosts == 1 { "" } else { "s" };
            lines.push(format!("the store was read; {hosts} host{plural} served"));
            for trouble in troubles {
                lines.push(format!(
                    "{}: {}",
                    OneLine(&trouble.host),
                    OneLine(&trouble.why)
                ));
            }
            if *more > 0 {
                lines.push(format!(
                    "and {more} more with troubles: the image's log names them"
                ));
            }
        }
    }
    if told.time.abs_diff(now) > APART {
        lines.push(format!(
            "the image's clock shows {}, this one {}: one of them is wrong, and certificates are \
             judged by the image's",
            date(told.time),
            date(now)
        ));
    }
    lines
}

/// `2026-11-22 07:00:00 UTC`.
fn date(unix: u64) -> String {
    let since = time::Duration::seconds(i64::try_from(unix).unwrap_or(i64::MAX));
    let at = UtcDateTime::UNIX_EPOCH.saturating_add(since);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

#[cfg(test)]
mod tests;
