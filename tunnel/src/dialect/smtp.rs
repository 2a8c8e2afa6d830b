//! SMTP with STARTTLS (RFC 3207; SMTP itself: RFC 5321), and AUTH for those who can't (RFC 4954).
//!
//! ```text
//! server mode                                  client mode
//! backend  > 220 mx ESMTP Postfix              server > 220 mx ESMTP Postfix
//! client  <  220 mx stockade for ESMTP Postfix server < EHLO localhost
//! client   > EHLO me                           server > 250-mx, 250 STARTTLS
//! client  <  250-mx, 250 STARTTLS              server < STARTTLS
//! client   > STARTTLS                          server > 220 ready, then TLS
//! client  <  220 Go ahead, then TLS            server < EHLO localhost, AUTH PLAIN …
//!                                              server > 235
//!                                              application < 220 mx ESMTP Postfix
//! ```
//!
//! In client mode the application hears the greeting when there is TLS and, if it was asked for, the
//! server has taken the credentials. Else it is told to try again later (421), whatever the server
//! has said: as long as that came in the clear, anyone could have said it, and an application that
//! believes in a permanent failure gives mail back.

use alloc::{
    boxed::Box,
    string::String,
    vec::{self, Vec},
};

use base64ct::{Base64, Encoding};
use config::Zeroizing;

use super::{
    About, Authentication, Dialect, End, Ends, Fault, Progress, Setup, Stage, Wire,
    lines::{self, Gate, Lines, Said, Speech},
};

/// Most bytes of a greeting that waits for TLS, and most of a server's name that are repeated.
const GREETING: usize = 4096;
const NAME: usize = 255;

pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Gate::open(Box::new(Server {
        name: Box::new(*b"localhost"),
        greeted: false,
    }))
}

pub(super) fn client(setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client {
        lines: Lines::new(lines::REPLIES),
        name: setup.host.as_deref().unwrap_or("localhost").into(),
        credentials: credentials(setup).into_iter(),
        greeting: Vec::new(),
        state: State::Greeting,
    })
}

struct Server {
    /// The backend's name, as it has said it.
    name: Box<[u8]>,
    greeted: bool,
}

impl Speech for Server {
    fn greet(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<bool, Fault> {
        let reply = Reply::expect(line, b"220")
            .ok_or_else(|| Fault::with(End::Backend, "Unknown server welcome", line))?;
        if self.greeted {
            client.send_line(&[line]);
            return Ok(reply.last);
        }
        self.greeted = true;
        let (name, text) = lines::word(reply.text);
        if (1..=NAME).contains(&name.len()) {
            self.name = name.into();
        }
        client.send(if reply.last { b"220 " } else { b"220-" });
        client.send(&self.name);
        client.send(b" stockade");
        if !text.is_empty() {
            client.send(b" for ");
        }
        client.send_line(&[text]);
        Ok(reply.last)
    }

    fn command(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<Said, Fault> {
        let (verb, argument) = lines::word(line);
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        if is(b"STARTTLS") && argument.is_empty() {
            return Ok(Said::Begin);
        }
        if is(b"QUIT") {
            client.send_line(&[b"221 2.0.0 Bye"]);
            return Ok(Said::Quit);
        }
        if is(b"EHLO") {
            client.send_line(&[b"250-", &self.name, b"\r\n250 STARTTLS"]);
        } else if is(b"HELO") {
            client.send_line(&[b"250 ", &self.name]);
        } else {
            // RFC 3207 §4: the answer to every command but EHLO, STARTTLS, NOOP and QUIT.
            client.send_line(&[match () {
                () if is(b"STARTTLS") => b"501 5.5.4 No parameters allowed",
                () if is(b"NOOP") => b"250 2.0.0 Ok",
                () => b"530 5.7.0 Must issue a STARTTLS command first",
            }]);
        }
        Ok(Said::Answered)
    }

    fn go_ahead(&mut self, client: &mut Wire<'_>) {
        client.send_line(&[b"220 Go ahead"]);
    }

    fn unavailable(&self) -> &'static [u8] {
        b"421 4.3.2 The server is not available"
    }

    fn quit(&self) -> &'static [u8] {
        b"QUIT"
    }
}

struct Client {
    lines: Lines,
    /// What the server is told to be greeted by.
    name: Box<str>,
    /// What is still to be sent so that the server knows its client.
    credentials: vec::IntoIter<Zeroizing<String>>,
    /// The server's, with the ends of its lines.
    greeting: Vec<u8>,
    state: State,
}

/// What the server is expected to say, or what comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Greeting,
    Hello,
    GoAhead,
    /// TLS begins.
    Agreed,
    /// Inside TLS from here on.
    HelloAgain,
    /// An answer to a line of the credentials.
    Challenge,
    /// The application was greeted.
    Over,
}

impl Client {
    /// Takes lines of a reply, and tells whether it is there as a whole.
    fn expect(
        &mut self,
        backend: &mut Wire<'_>,
        code: &'static [u8; 3],
        otherwise: &'static str,
    ) -> Result<bool, Fault> {
        while let Some(line) = self.lines.next(backend)? {
            let Some(reply) = Reply::expect(line, code) else {
                // A server might repeat what it can't understand of our credentials.
                let shown = match self.state {
                    State::Challenge => line.get(..3).filter(|code| is_code(code)),
                    _ => Some(line),
                };
                return Err(Fault::with(End::Backend, otherwise, shown.unwrap_or(b"?")));
            };
            if self.state == State::Greeting {
                if self.greeting.len() + line.len() + 2 > GREETING {
                    return Err(Fault::new(End::Backend, "The greeting is too long"));
                }
                self.greeting.extend_from_slice(line);
                self.greeting.extend_from_slice(b"\r\n");
            }
            if reply.last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ask(&mut self, backend: &mut Wire<'_>) -> Result<Progress, Fault> {
        loop {
            let (code, otherwise) = match self.state {
                State::Greeting => (b"220", "Unknown server welcome"),
                State::Hello => (b"250", "Remote server is not RFC 1425 compliant"),
                State::GoAhead => (b"220", "Remote server is not RFC 2487 compliant"),
                _ => return Ok(Progress::Next),
            };
            if !self.expect(backend, code, otherwise)? {
                return Ok(Progress::Wait);
            }
            self.state = match self.state {
                State::Greeting => {
                    backend.send_line(&[b"EHLO ", self.name.as_bytes()]);
                    State::Hello
                }
                State::Hello => {
                    backend.send_line(&[b"STARTTLS"]);
                    State::GoAhead
                }
                _ => {
                    backend.refuse_early()?;
                    State::Agreed
                }
            };
        }
    }

    /// Inside TLS alone.
    fn authenticate(&mut self, backend: &mut Wire<'_>) -> Result<Progress, Fault> {
        if self.state == State::Agreed && self.credentials.len() > 0 {
            // RFC 4954 §4: AUTH is for those who have said EHLO, and what was said before TLS has
            // no effect behind it (RFC 3207 §4.2).
            backend.send_line(&[b"EHLO ", self.name.as_bytes()]);
            self.state = State::HelloAgain;
        }
        loop {
            let left = self.credentials.len();
            let (code, otherwise) = match (self.state, left) {
                (State::HelloAgain, _) => (b"250", "Remote server is not RFC 1425 compliant"),
                (State::Challenge, 0) => (b"235", "The server did not take the credentials"),
                (State::Challenge, 2) => (
                    b"334",
                    "Remote server does not support LOGIN authentication",
                ),
                (State::Challenge, _) => (b"334", "LOGIN authentication failed"),
                _ => return Ok(Progress::Next),
            };
            if !self.expect(backend, code, otherwise)? {
                return Ok(Progress::Wait);
            }
            let Some(line) = self.credentials.next() else {
                self.state = State::Agreed;
                return Ok(Progress::Next);
            };
            backend.send_line(&[line.as_bytes()]);
            self.state = State::Challenge;
        }
    }
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        let progress = match stage {
            Stage::Clear => self.ask(&mut ends.backend),
            _ => self.authenticate(&mut ends.backend),
        };
        if progress.is_err() {
            let sorry = b"421 4.7.0 There is no TLS with the server, or it does not know us";
            ends.client.send_line(&[sorry]);
        }
        if progress == Ok(Progress::Next) && stage != Stage::Clear && self.state == State::Agreed {
            ends.client.send(&self.greeting);
            self.state = State::Over;
        }
        progress
    }
}

/// A line of a reply (RFC 5321 §4.2).
struct Reply<'a> {
    /// Whether no other line follows.
    last: bool,
    text: &'a [u8],
}

impl<'a> Reply<'a> {
    /// A line of a reply with this code.
    fn expect(line: &'a [u8], code: &[u8; 3]) -> Option<Reply<'a>> {
        let rest = line.strip_prefix(code)?;
        let (last, text) = match rest {
            [] => (true, rest),
            [b' ', text @ ..] => (true, text),
            [b'-', text @ ..] => (false, text),
            _ => return None,
        };
        Some(Reply { last, text })
    }
}

fn is_code(code: &[u8]) -> bool {
    code.iter().all(u8::is_ascii_digit)
}

/// The lines that make a client known. AUTH PLAIN takes everything in one, as an initial response
/// (RFC 4954 §4, RFC 4616 §2); AUTH LOGIN asks for the name, then the password.
fn credentials(setup: &Setup) -> Vec<Zeroizing<String>> {
    let (Some(username), Some(password)) = (&setup.username, &setup.password) else {
        return Vec::new();
    };
    let encode = |bytes: &[u8]| Zeroizing::new(Base64::encode_string(bytes));
    if setup.authentication == Authentication::Login {
        return Vec::from([
            Zeroizing::new(String::from("AUTH LOGIN")),
            encode(username.as_bytes()),
            encode(password.as_bytes()),
        ]);
    }
    let parts = [username.as_bytes(), password.as_bytes()];
    let length = parts.iter().map(|part| 1 + part.len()).sum();
    let mut message = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        message.push(0);
        message.extend_from_slice(part);
    }
    let message = encode(&message);
    let mut line = Zeroizing::new(String::with_capacity("AUTH PLAIN ".len() + message.len()));
    line.push_str("AUTH PLAIN ");
    line.push_str(&message);
    Vec::from([line])
}

#[cfg(test)]
mod tests;
