//! Bodies: where they end, and how chunks are read and written anew (RFC 9112 §6, §7.1).

use alloc::vec::Vec;
use core::fmt;

/// Most bytes of a chunk's first line: sixteen digits, and an extension that is passed over.
const MAX_SIZE_LINE: usize = 256;

/// Most bytes of a trailer section, its last empty line included.
const MAX_TRAILERS: usize = 4 * 1024;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// It has so many bytes.
    Length(u64),
    /// Each chunk says its length; the last one has none.
    Chunked,
    /// It ends with the connection; responses alone.
    UntilClose,
}

/// A body that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    /// A chunk's first line comes.
    Size,
    /// So many bytes of a chunk.
    Data(u64),
    /// CR and LF behind it.
    DataEnd,
    Trailers,
    UntilClose,
    Done,
}

impl State {
    fn new(framing: Framing) -> State {
        match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::UntilClose => State::UntilClose,
        }
    }
}

/// What a body's next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// More have to come.
    More,
    /// So many bytes are framing: drop them.
    Framing(usize),
    /// So many bytes are content.
    Content(usize),
    /// So many bytes are the trailer section, its empty line included, which ends the body.
    Trailers(usize),
    /// The body is over; the bytes are no more of it.
    End,
}

/// Why a body can't be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk's length is none, or what follows a chunk is not a line's end.
    Chunk,
    /// The trailer section is none.
    Trailers,
    /// A chunk's first line or the trailer section is longer than any honest one.
    TooLong,
    /// The connection ended before the body did.
    Cut,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyError::Chunk => "a chunk is malformed",
            BodyError::Trailers => "the trailer fields are malformed",
            BodyError::TooLong => "a chunk's first line or the trailer fields are too long",
            BodyError::Cut => "the connection ended before the message did",
        })
    }
}

impl core::error::Error for BodyError {}

impl Body {
    /// A body that begins.
    pub fn new(framing: Framing) -> Body {
        Body {
            state: State::new(framing),
        }
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes are still to come, all of them content, where its head has told how many.
    pub(crate) fn left(&self) -> u64 {
        match self.state {
            State::Length(left) => left,
            _ => 0,
        }
    }

    /// The same, or how many of a chunk are still to come.
    pub(crate) fn due(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Data(left) => left,
            _ => 0,
        }
    }

    /// So many of those bytes have been taken.
    pub(crate) fn skip(&mut self, count: u64) {
        if let State::Length(left) = self.state {
            self.state = State::new(Framing::Length(left.saturating_sub(count)));
        }
    }

    /// What the first of these bytes are. The caller takes them all at once or, of content, a part:
    /// it says how many by [`took`](Self::took).
    ///
    /// # Errors
    ///
    /// The chunks are malformed.
    pub fn next(&self, bytes: &[u8]) -> Result<Piece, BodyError> {
        let most = |left: u64| {
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            match bytes.len().min(left) {
                0 => Piece::More,
                count => Piece::Content(count),
            }
        };
        match self.state {
            State::Length(left) | State::Data(left) => Ok(most(left)),
            State::UntilClose => Ok(most(u64::MAX)),
            State::Size => match line(bytes, MAX_SIZE_LINE, BodyError::Chunk)? {
                None => Ok(Piece::More),
                Some(line) => size(line).map(|_| Piece::Framing(line.len() + 2)),
            },
            State::DataEnd => match bytes {
                [b'\r', b'\n', ..] => Ok(Piece::Framing(2)),
                [] | [b'\r'] => Ok(Piece::More),
                _ => Err(BodyError::Chunk),
            },
            State::Trailers => trailers(bytes),
            State::Done => Ok(Piece::End),
        }
    }

    /// The caller has taken what [`next`](Self::next) said of these bytes: of content, `count` of
    /// them.
    pub fn took(&mut self, bytes: &[u8], piece: Piece, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.state = match (&self.state, piece) {
            (State::Length(left), Piece::Content(_)) => match left.saturating_sub(count) {
                0 => State::Done,
                left => State::Length(left),
            },
            (State::Data(left), Piece::Content(_)) => match left.saturating_sub(count) {
                0 => State::DataEnd,
                left => State::Data(left),
            },
            (State::Size, Piece::Framing(_)) => {
                let line = line(bytes, MAX_SIZE_LINE, BodyError::Chunk);
                match size(line.ok().flatten().unwrap_or_default()) {
                    Ok(0) | Err(_) => State::Trailers,
                    Ok(size) => State::Data(size),
                }
            }
            (State::DataEnd, Piece::Framing(_)) => State::Size,
            (State::Trailers, Piece::Trailers(_)) => State::Done,
            (state, _) => (*state).clone(),
        };
    }

    /// The connection has ended.
    ///
    /// # Errors
    ///
    /// The body has not.
    pub fn ended(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(BodyError::Cut),
        }
    }
}

/// The first line without its end; `None`: it has not come.
///
/// # Errors
///
/// It has more than `most` bytes; or a CR that is not before its LF, or the other way round: `fault`.
fn line(bytes: &[u8], most: usize, fault: BodyError) -> Result<Option<&[u8]>, BodyError> {
    let head = bytes.get(..bytes.len().min(most)).unwrap_or_default();
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return match head.iter().rev().skip(1).any(|byte| *byte == b'\r') {
            true => Err(fault),
            false if bytes.len() >= most => Err(BodyError::TooLong),
            false => Ok(None),
        };
    };
    let line = head.get(..end).unwrap_or_default();
    match line.strip_suffix(b"\r") {
        Some(line) if !line.contains(&b'\r') => Ok(Some(line)),
        _ => Err(fault),
    }
}

/// A chunk's length: hexadecimal digits, then perhaps an extension.
fn size(line: &[u8]) -> Result<u64, BodyError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let count = digits.count();
    let (digits, rest) = line.split_at_checked(count).ok_or(BodyError::Chunk)?;
    let is_extension = |rest: &[u8]| {
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
        let rest = start.and_then(|start| rest.get(start..));
        let is_text = |byte: &u8| *byte == b'\t' || (0x20..0x7f).contains(byte);
        rest.is_some_and(|rest| rest.starts_with(b";") && rest.iter().all(is_text))
    };
    if !(1..=16).contains(&count) || !(rest.is_empty() || is_extension(rest)) {
        return Err(BodyError::Chunk);
    }
    let text = core::str::from_utf8(digits).map_err(|_| BodyError::Chunk)?;
    u64::from_str_radix(text, 16).map_err(|_| BodyError::Chunk)
}

/// The trailer section, once it is whole.
fn trailers(bytes: &[u8]) -> Result<Piece, BodyError> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let most = MAX_TRAILERS.saturating_sub(at);
        let Some(line) = line(rest, most, BodyError::Trailers)? else {
            return Ok(Piece::More);
        };
        at += line.len() + 2;
        if line.is_empty() {
            break;
        }
    }
    let section = bytes.get(..at).unwrap_or_default();
    let mut fields = [httparse::EMPTY_HEADER; 32];
    match httparse::parse_headers(section, &mut fields) {
        Ok(httparse::Status::Complete(_)) => Ok(Piece::Trailers(at)),
        _ => Err(BodyError::Trailers),
    }
}

/// Writes one chunk around `content`; of no content, nothing, as that would be the last chunk.
pub fn write_chunk(out: &mut Vec<u8>, content: &[u8]) {
    if content.is_empty() {
        return;
    }
    crate::field::write_number(out, u64::try_from(content.len()).unwrap_or(u64::MAX), 16);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and those trailer fields that may follow a body (RFC 9110 §6.5.1):
/// `section` is what [`Piece::Trailers`] stood for, or nothing.
pub fn write_end(out: &mut Vec<u8>, section: &[u8]) {
    out.extend_from_slice(b"0\r\n");
    let mut fields = [httparse::EMPTY_HEADER; 32];
    if let Ok(httparse::Status::Complete((_, fields))) =
        httparse::parse_headers(section, &mut fields)
    {
        for field in fields.iter().filter(|field| may_follow(field.name)) {
            crate::field::write(out, field.name, field.value);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Fields that say how a message is read, routed or judged may not come behind it.
fn may_follow(name: &str) -> bool {
    const NEVER: [&str; 16] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let is_ours = crate::request::is_forwarding(name);
    !is_ours
        && crate::request::is_plain(name)
        && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never))
}

#[cfg(test)]
mod tests;
