//! IMAP with STARTTLS (RFC 9051 §6.2.1, RFC 2595 §3).
//!
//! ```text
//! server mode                              client mode
//! backend  > * OK [CAPABILITY …] ready     server > * OK ready
//! client  <  * OK ready (stockade)         server < stockade STARTTLS
//! client   > a CAPABILITY                  server > stockade OK
//! client  <  * CAPABILITY IMAP4rev1 …               (TLS)
//! client  <  a OK                          application < * OK Connected.
//! client   > b STARTTLS
//! client  <  b OK, then TLS
//! ```
//!
//! In server mode the client is offered nothing but STARTTLS before TLS, and is told not to log in
//! (LOGINDISABLED, RFC 9051 §6.2.3): what the backend is capable of, it asks inside TLS. In client
//! mode the application hears no word of the server's that came in the clear.

use alloc::boxed::Box;

use super::{
    About, Dialect, End, Ends, Fault, Progress, Setup, Stage, Wire,
    lines::{self, Gate, Lines, Said, Speech},
};

/// Most bytes of a tag that are repeated.
const TAG: usize = 64;

pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Gate::open(Box::new(Server { tag: Box::new([]) }))
}

pub(super) fn client(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client {
        lines: Lines::new(lines::REPLIES),
        state: State::Greeting,
    })
}

struct Server {
    /// The tag of the last command.
    tag: Box<[u8]>,
}

impl Speech for Server {
    fn greet(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<bool, Fault> {
        let text = welcome(line)?;
        // RFC 9051 §7.1: the list would come before the text, in a response code.
        let listed = text.get(.."[CAPABILITY".len());
        let text = match listed.is_some_and(|code| code.eq_ignore_ascii_case(b"[CAPABILITY")) {
            true => text.splitn(2, |byte| *byte == b']').nth(1),
            false => Some(text),
        };
        client.send(b"* OK");
        match text.unwrap_or_default().trim_ascii() {
            [] => {}
            text => {
                client.send(b" ");
                client.send(text);
            }
        }
        client.send_line(&[b" (stockade)"]);
        Ok(true)
    }

    fn command(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<Said, Fault> {
        let (tag, command) = lines::word(line);
        let (verb, argument) = lines::word(command);
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name) && argument.is_empty();
        if !is_tag(tag) || verb.is_empty() {
            client.send_line(&[b"* BAD A tag and a command are needed"]);
        } else if is(b"STARTTLS") {
            self.tag = tag.into();
            return Ok(Said::Begin);
        } else if is(b"LOGOUT") {
            client.send_line(&[b"* BYE Logging out\r\n", tag, b" OK LOGOUT completed"]);
            return Ok(Said::Quit);
        } else if is(b"CAPABILITY") {
            client.send(b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n");
            client.send_line(&[tag, b" OK CAPABILITY completed"]);
        } else if is(b"NOOP") {
            client.send_line(&[tag, b" OK NOOP completed"]);
        } else if line.ends_with(b"}") {
            // What follows would be a literal (RFC 9051 §4.3), and may come unasked: not a command,
            // perhaps a password.
            client.send_line(&[b"* BYE STARTTLS must come first"]);
            return Err(Fault::new(End::Client, "Unexpected client command"));
        } else {
            // RFC 5530 §3.
            client.send_line(&[tag, b" NO [PRIVACYREQUIRED] STARTTLS must come first"]);
        }
        Ok(Said::Answered)
    }

    fn go_ahead(&mut self, client: &mut Wire<'_>) {
        client.send_line(&[&self.tag, b" OK Begin TLS negotiation now"]);
    }

    fn unavailable(&self) -> &'static [u8] {
        b"* BYE The server is not available"
    }

    fn quit(&self) -> &'static [u8] {
        b"stockade LOGOUT"
    }
}

struct Client {
    lines: Lines,
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
                // Not PREAUTH: a session that someone has logged in already can't get TLS any more.
                welcome(line)?;
                backend.send_line(&[b"stockade STARTTLS"]);
                self.state = State::Asked;
            } else if lines::begins(line, b"stockade OK") {
                backend.refuse_early()?;
                self.state = State::Agreed;
            } else if !line.starts_with(b"* ") || lines::begins(line, b"* BYE") {
                return Err(Fault::with(
                    End::Backend,
                    "Server does not support TLS",
                    line,
                ));
            }
            // Anything else that begins with an asterisk is news that nobody has asked for
            // (RFC 9051 §7): it is dropped.
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
                let sorry = b"* BYE There is no TLS with the server";
                ends.client.send_line(&[sorry]);
            }
            return progress;
        }
        if self.state == State::Agreed {
            ends.client.send_line(&[b"* OK Connected."]);
            self.state = State::Over;
        }
        Ok(Progress::Next)
    }
}

/// The text of a server's greeting.
fn welcome(line: &[u8]) -> Result<&[u8], Fault> {
    match lines::begins(line, b"* OK") {
        true => Ok(line.get("* OK".len()..).unwrap_or_default().trim_ascii()),
        false => Err(Fault::with(End::Backend, "Unknown server welcome", line)),
    }
}

/// RFC 9051 §9: `tag`, which is `ASTRING-CHAR` without `+`.
fn is_tag(tag: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\+".contains(byte);
    (1..=TAG).contains(&tag.len()) && tag.iter().all(valid)
}

#[cfg(test)]
mod tests;
