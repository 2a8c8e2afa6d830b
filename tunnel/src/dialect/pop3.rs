//! POP3 with STLS (RFC 2595 §4; POP3 itself: RFC 1939, its capabilities: RFC 2449).
//!
//! ```text
//! server mode                            client mode
//! backend  > +OK ready <1@x>             server > +OK ready <1@x>
//! client  <  +OK ready <1@x> + stockade  server < STLS
//! client   > CAPA                        server > +OK
//! client  <  +OK … STLS .                         (TLS)
//! client   > STLS                        application < +OK ready <1@x>
//! client  <  +OK, then TLS
//! ```
//!
//! In client mode the application hears the server's greeting, which may hold the timestamp of APOP,
//! once TLS is there: without TLS it hears `-ERR`.

use alloc::{boxed::Box, vec::Vec};

use super::{
    About, Dialect, End, Ends, Fault, Progress, Setup, Stage, Wire,
    lines::{self, Gate, Lines, Said, Speech},
};

pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Gate::open(Box::new(Server))
}

pub(super) fn client(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client {
        lines: Lines::new(lines::REPLIES),
        greeting: Vec::new(),
        state: State::Greeting,
    })
}

struct Server;

impl Speech for Server {
    fn greet(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<bool, Fault> {
        agreed(line, "Unknown server welcome")?;
        client.send_line(&[line, b" + stockade"]);
        Ok(true)
    }

    fn command(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<Said, Fault> {
        let (verb, argument) = lines::word(line);
        if verb.eq_ignore_ascii_case(b"STLS") && argument.is_empty() {
            return Ok(Said::Begin);
        }
        if verb.eq_ignore_ascii_case(b"QUIT") {
            client.send_line(&[b"+OK Bye"]);
            return Ok(Said::Quit);
        }
        // RFC 2449 §5: the list ends with a dot.
        client.send_line(&[match verb.eq_ignore_ascii_case(b"CAPA") {
            true => b"+OK Capability list follows\r\nSTLS\r\n.",
            false => b"-ERR Must issue a STLS command first",
        }]);
        Ok(Said::Answered)
    }

    fn go_ahead(&mut self, client: &mut Wire<'_>) {
        client.send_line(&[b"+OK Begin TLS negotiation"]);
    }

    fn unavailable(&self) -> &'static [u8] {
        b"-ERR [SYS/TEMP] The server is not available"
    }

    fn quit(&self) -> &'static [u8] {
        b"QUIT"
    }
}

struct Client {
    lines: Lines,
    /// A line, which is bounded.
    greeting: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server greets.
    Greeting,
    /// It was asked for TLS.
    Asked,
    /// TLS begins.
    Agreed,
    /// The application was greeted.
    Over,
}

impl Client {
    fn ask(&mut self, backend: &mut Wire<'_>) -> Result<Progress, Fault> {
        while matches!(self.state, State::Greeting | State::Asked) {
            let Some(line) = self.lines.next(backend)? else {
                return Ok(Progress::Wait);
            };
            if self.state == State::Greeting {
                agreed(line, "Unknown server welcome")?;
                self.greeting.extend_from_slice(line);
                backend.send_line(&[b"STLS"]);
                self.state = State::Asked;
            } else {
                agreed(line, "Server does not support TLS")?;
                backend.refuse_early()?;
                self.state = State::Agreed;
            }
        }
        Ok(Progress::Next)
    }
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage == Stage::Clear {
            let progress = self.ask(&mut ends.backend);
            if progress.is_err() {
                let sorry = b"-ERR [SYS/TEMP] There is no TLS with the server";
                ends.client.send_line(&[sorry]);
            }
            return progress;
        }
        if self.state == State::Agreed {
            ends.client.send_line(&[&self.greeting]);
            self.state = State::Over;
        }
        Ok(Progress::Next)
    }
}

/// RFC 1939 §3: a server says `+OK` or `-ERR`.
fn agreed(line: &[u8], otherwise: &'static str) -> Result<(), Fault> {
    match lines::begins(line, b"+OK") {
        true => Ok(()),
        false => Err(Fault::with(End::Backend, otherwise, line)),
    }
}

#[cfg(test)]
mod tests;
