//! NNTP STARTTLS (RFC 4642 §2.2), client mode.
//!
//! The server speaks first. Its greeting goes on to the application, which would wait for it under
//! TLS in vain: there is none.

use alloc::boxed::Box;

use super::{About, Dialect, End, Ends, Fault, Progress, Setup, Stage};

#[cfg(test)]
mod tests;

/// "the initial response line [...] MUST NOT exceed 512 octets" (RFC 3977 §3.1); some are talkative.
const MAX_LINE: usize = 1024;

/// Posting is allowed, and it is not (RFC 3977 §5.1.1).
const GREETINGS: [&[u8]; 2] = [b"200", b"201"];

/// Continue with TLS negotiation (RFC 4642 §2.2.1).
const CONTINUE: [&[u8]; 1] = [b"382"];

/// A client of a news server.
pub(super) fn client(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client { greeted: false })
}

struct Client {
    greeted: bool,
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Clear {
            return Ok(Progress::Next);
        }
        if !self.greeted {
            let Some(line) = ends.backend.line(MAX_LINE)? else {
                return ends.backend.more();
            };
            // Passed on, a control character could be more than the end of a line is here.
            if !answers(line, &GREETINGS) || line.iter().any(u8::is_ascii_control) {
                return Err(Fault::with(End::Backend, "Unknown server welcome", line));
            }
            self.greeted = true;
            ends.client.send_line(&[line]);
            ends.backend.send(b"STARTTLS\r\n");
        }
        let Some(line) = ends.backend.line(MAX_LINE)? else {
            return ends.backend.more();
        };
        if !answers(line, &CONTINUE) {
            return Err(Fault::with(
                End::Backend,
                "Server does not support TLS",
                line,
            ));
        }
        ends.backend.refuse_early()?;
        Ok(Progress::Next)
    }
}

/// Whether a response has one of these codes; a comment may follow (RFC 3977 §3.1).
fn answers(line: &[u8], codes: &[&[u8]]) -> bool {
    line.get(..3).is_some_and(|code| codes.contains(&code))
        && matches!(line.get(3), None | Some(b' '))
}
