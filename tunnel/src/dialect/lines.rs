//! What the mail protocols share: bounded lines, and the clear part of a connection that they begin.
//!
//! [`Gate`] is the server's side of all three. It passes the backend's greeting on, answers the few
//! commands that make sense without TLS by itself, and lets nothing else happen before TLS: no byte
//! of the client's reaches the backend in the clear, and no capability that the backend lists reaches
//! the client. The list that counts is the one that the client has to ask for inside TLS
//! (RFC 3207 §4.2, RFC 9051 §6.2.1, RFC 2595 §4). A backend that still offers STARTTLS in it is the
//! one who configures the backend's to settle.
//!
//! A client may also begin TLS at once, as on the ports that are for TLS alone: its first byte tells.
//! Nobody is kept waiting to find out, as the greeting goes out as soon as the backend has given it.
//! So this is for clients whose first record is here before that.

use alloc::boxed::Box;

use super::{About, Dialect, End, Ends, Fault, Progress, Stage, Wire};

/// Most bytes of a line with its end. SMTP and POP3 allow 512 (RFC 5321 §4.5.3.1, RFC 2449 §4),
/// which servers exceed in greetings and in lists of capabilities.
const LINE: usize = 2048;

/// Most lines that a server says until TLS is there and it knows its client: several greetings of a
/// talkative one.
pub(super) const REPLIES: u8 = 100;

/// Most commands without TLS: some clients ask twice, and some try to do without.
const COMMANDS: u8 = 20;

/// The type of a record with a handshake message, which every TLS connection begins with
/// (RFC 8446 §5.1). No command begins with this control character.
const HANDSHAKE: u8 = 22;

/// The lines of a peer, so many that only a broken or hostile one says more.
pub(super) struct Lines {
    left: u8,
}

impl Lines {
    /// At most `limit` lines.
    pub(super) fn new(limit: u8) -> Lines {
        Lines { left: limit }
    }

    /// The next line, once it is whole.
    ///
    /// # Errors
    /// It is too long, one too many, cut off, or holds a control character: passed on, a lone CR
    /// would be a line's end to some and none to others.
    pub(super) fn next<'a>(&mut self, wire: &mut Wire<'a>) -> Result<Option<&'a [u8]>, Fault> {
        let end = wire.end();
        let Some(line) = wire.line(LINE)? else {
            return match wire.has_ended() {
                true => Err(Fault::new(end, "Unexpected socket close")),
                false => Ok(None),
            };
        };
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Fault::new(end, "There are too many lines"));
        };
        self.left = left;
        match line
            .iter()
            .any(|byte| byte.is_ascii_control() && *byte != b'\t')
        {
            true => Err(Fault::new(end, "A line has a control character")),
            false => Ok(Some(line)),
        }
    }
}

/// Whether a line begins with a word, in whatever case.
pub(super) fn begins(line: &[u8], word: &[u8]) -> bool {
    let (first, rest) = line.split_at(word.len().min(line.len()));
    first.eq_ignore_ascii_case(word) && matches!(rest.first(), None | Some(b' '))
}

/// The first word of a line, and what follows it.
pub(super) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let first = parts.next().unwrap_or_default();
    (first, parts.next().unwrap_or_default().trim_ascii())
}

/// What a client has said in the clear.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Something that is answered already.
    Answered,
    /// That TLS shall begin; this tells it to go ahead.
    Begin,
    /// Good-bye, which is answered already.
    Quit,
}

/// What differs between the protocols on the server's side.
pub(super) trait Speech {
    /// Passes a line of the backend's greeting on, and tells whether it was the last one.
    fn greet(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<bool, Fault>;
    /// Answers a command, unless it is the one that TLS begins with. `client` takes the answer.
    fn command(&mut self, line: &[u8], client: &mut Wire<'_>) -> Result<Said, Fault>;
    /// Tells the client that TLS may begin.
    fn go_ahead(&mut self, client: &mut Wire<'_>);
    /// What a client is greeted with whose backend does not greet.
    fn unavailable(&self) -> &'static [u8];
    /// Good-bye to a backend.
    fn quit(&self) -> &'static [u8];
}

/// The server's side, until TLS begins.
pub(super) struct Gate {
    speech: Box<dyn Speech>,
    greeting: Lines,
    commands: Lines,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was said yet.
    Silent,
    /// A greeting of several lines is on its way.
    Greeting,
    /// The client's commands come.
    Commands,
    /// TLS has begun.
    Over,
}

impl Gate {
    /// The server's side of a new connection.
    pub(super) fn open(speech: Box<dyn Speech>) -> Box<dyn Dialect> {
        Box::new(Gate {
            speech,
            greeting: Lines::new(REPLIES),
            commands: Lines::new(COMMANDS),
            state: State::Silent,
        })
    }

    fn greet(&mut self, ends: &mut Ends<'_>) -> Result<Progress, Fault> {
        while matches!(self.state, State::Silent | State::Greeting) {
            if self.state == State::Silent && begins_tls(&ends.client) {
                self.state = State::Over;
                return Ok(Progress::Next);
            }
            let Some(line) = self.greeting.next(&mut ends.backend)? else {
                return Ok(Progress::Wait);
            };
            self.state = match self.speech.greet(line, &mut ends.client)? {
                true => State::Commands,
                false => State::Greeting,
            };
        }
        self.obey(ends)
    }

    fn obey(&mut self, ends: &mut Ends<'_>) -> Result<Progress, Fault> {
        loop {
            if begins_tls(&ends.client) {
                return Err(Fault::new(
                    End::Client,
                    "The client began TLS when it had been greeted in the clear already",
                ));
            }
            let Some(line) = self.commands.next(&mut ends.client)? else {
                return Ok(Progress::Wait);
            };
            match self.speech.command(line, &mut ends.client)? {
                Said::Answered => {}
                Said::Begin => {
                    ends.client.refuse_early()?;
                    self.speech.go_ahead(&mut ends.client);
                    self.state = State::Over;
                    return Ok(Progress::Next);
                }
                Said::Quit => {
                    ends.backend.send_line(&[self.speech.quit()]);
                    return Err(Fault::new(End::Client, "Client does not want TLS"));
                }
            }
        }
    }
}

impl Dialect for Gate {
    fn dials_first(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Clear || self.state == State::Over {
            return Ok(Progress::Next);
        }
        let progress = self.greet(ends);
        if progress.is_err() && self.state == State::Silent {
            ends.client.send_line(&[self.speech.unavailable()]);
        }
        progress
    }
}

fn begins_tls(client: &Wire<'_>) -> bool {
    client.rest().first() == Some(&HANDSHAKE)
}

#[cfg(test)]
pub(super) mod tests;
