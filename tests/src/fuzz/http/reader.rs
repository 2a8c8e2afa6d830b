//! A reader of HTTP/1.1 messages that shares nothing with the product's, in several manners: those in
//! which servers and proxies are known to differ where a message is not written as it should be.

/// What a reader makes of doubtful bytes.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// What else than CR LF ends a line.
    ends: &'static [u8],
    /// A line that begins with a blank goes on with the field before it; else it is a field itself.
    folds: bool,
    /// Of lengths that are there more than once the last counts; else the first.
    last: bool,
    /// `chunked` counts wherever it stands; else only as the whole last word.
    any_chunked: bool,
    /// `Transfer-Encoding` counts in HTTP/1.0.
    old_chunks: bool,
    /// `Content-Length` counts before `Transfer-Encoding`.
    length_first: bool,
    /// A name's `_` and `.` and the like are read as `-`.
    cgi: bool,
}

const STRICT: Manner = Manner {
    ends: b"",
    folds: false,
    last: false,
    any_chunked: false,
    old_chunks: true,
    length_first: false,
    cgi: false,
};

/// How senders' own bytes may be read.
pub const MANNERS: [Manner; 4] = [
    STRICT,
    Manner {
        ends: b"\n",
        folds: true,
        last: true,
        any_chunked: true,
        ..STRICT
    },
    Manner {
        ends: b"\r\n",
        length_first: true,
        any_chunked: true,
        ..STRICT
    },
    Manner {
        ends: b"\n",
        last: true,
        old_chunks: false,
        ..STRICT
    },
];

/// And what we send on, by those who read names in their own way, too.
pub const MANNERS_BEHIND: [Manner; 5] = [
    STRICT,
    MANNERS[1],
    MANNERS[2],
    MANNERS[3],
    Manner {
        cgi: true,
        ..MANNERS[1]
    },
];

/// Whose message it is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    Request,
    /// In answer to this method; `ended`: nothing comes behind the bytes.
    Response {
        method: &'a str,
        ended: bool,
    },
}

pub type Field = (String, Vec<u8>);

/// A message; names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub words: Vec<String>,
    pub fields: Vec<Field>,
    pub content: Vec<u8>,
    pub trailers: Vec<Field>,
    /// Bytes of it.
    pub length: usize,
    /// All of it is there.
    pub whole: bool,
    /// Its end is known without the connection's.
    pub delimited: bool,
}

impl Message {
    /// The values of a field.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.fields.iter().filter(move |field| field.0 == name);
        named.map(|field| &*field.1)
    }

    pub fn method(&self) -> &str {
        self.words.first().map_or("", |word| word)
    }

    pub fn is_old(&self) -> bool {
        self.words.last().is_some_and(|word| word == "HTTP/1.0")
    }

    pub fn status(&self) -> u16 {
        let word = self.words.get(1);
        word.and_then(|word| word.parse().ok()).expect("a status")
    }
}

/// The message that `bytes` begin with; `None`: its head is not whole.
pub fn read(bytes: &[u8], kind: Kind<'_>, manner: Manner) -> Option<Message> {
    let mut at = 0;
    let mut first: &[u8] = b"";
    while first.is_empty() {
        let (line, length) = line(&bytes[at..], manner)?;
        (first, at) = (line, at + length);
    }
    let text = String::from_utf8_lossy(first);
    let mut message = Message {
        words: text.split(' ').map(String::from).collect(),
        whole: true,
        delimited: true,
        ..Message::default()
    };
    (message.fields, message.length) = fields(bytes, at, manner)?;
    let rest = &bytes[message.length..];
    let is_old = match kind {
        Kind::Request => message.is_old(),
        Kind::Response { .. } => text.starts_with("HTTP/1.0"),
    };
    let chunked = is_chunked(&message, manner) && (!is_old || manner.old_chunks);
    let length = length(&message, manner);
    let has_none = match kind {
        Kind::Request => false,
        Kind::Response { method, .. } => {
            let status = message.status();
            method == "HEAD" || status < 200 || matches!(status, 204 | 304)
        }
    };
    match (chunked, length) {
        _ if has_none => {}
        (true, length) if !(manner.length_first && length.is_some()) => {
            message.chunks(rest, manner);
        }
        (_, Some(length)) => {
            message.whole = rest.len() >= length;
            message.content = rest[..length.min(rest.len())].to_vec();
            message.length += message.content.len();
        }
        (_, None) => {
            if let Kind::Response { ended, .. } = kind {
                message.content = rest.to_vec();
                message.length += rest.len();
                message.whole = ended;
                message.delimited = false;
            }
        }
    }
    Some(message)
}

/// A line without its end, and its length with it.
fn line(bytes: &[u8], manner: Manner) -> Option<(&[u8], usize)> {
    for (index, byte) in bytes.iter().enumerate() {
        if bytes[index..].starts_with(b"\r\n") {
            return Some((&bytes[..index], index + 2));
        }
        // Where CR alone may end a line, one at the very end may still become CR LF.
        let is_last = *byte == b'\r' && index + 1 == bytes.len();
        if manner.ends.contains(byte) && !is_last {
            return Some((&bytes[..index], index + 1));
        }
    }
    None
}

/// Fields up to an empty line, and where that ends.
fn fields(bytes: &[u8], mut at: usize, manner: Manner) -> Option<(Vec<Field>, usize)> {
    let mut fields: Vec<Field> = Vec::new();
    loop {
        let (line, length) = line(&bytes[at..], manner)?;
        at += length;
        if line.is_empty() {
            return Some((fields, at));
        }
        let folded = manner.folds && line.starts_with(b" ") | line.starts_with(b"\t");
        if let Some((_, value)) = fields.last_mut().filter(|_| folded) {
            value.push(b' ');
            value.extend_from_slice(blank_trimmed(line));
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = String::from_utf8_lossy(blank_trimmed(&line[..colon])).to_ascii_lowercase();
        let name = match manner.cgi {
            true => name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
            false => name,
        };
        fields.push((name, blank_trimmed(&line[colon + 1..]).to_vec()));
    }
}

/// Blanks of every sort.
fn blank_trimmed(bytes: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = bytes.iter().position(|byte| !is_blank(byte));
    let end = bytes.iter().rposition(|byte| !is_blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => &bytes[start..=end],
        _ => &[],
    }
}

fn is_chunked(message: &Message, manner: Manner) -> bool {
    let Some(last) = message.values("transfer-encoding").last() else {
        return false;
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).to_ascii_lowercase();
    if manner.any_chunked {
        let mut all = message.values("transfer-encoding");
        return all.any(|value| text(value).contains("chunked"));
    }
    text(last).rsplit(',').next().map(str::trim) == Some("chunked")
}

/// As `atoi` would have it.
fn length(message: &Message, manner: Manner) -> Option<usize> {
    let mut all = message.values("content-length");
    let value = if manner.last { all.last() } else { all.next() }?;
    let value = value.strip_prefix(b"+").unwrap_or(value);
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0_usize, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(usize::from(digit - b'0'))
    }))
}

impl Message {
    fn chunks(&mut self, bytes: &[u8], manner: Manner) {
        let mut at = 0;
        self.whole = false;
        while let Some((size_line, length)) = line(&bytes[at..], manner) {
            let digits = size_line.iter().take_while(|byte| byte.is_ascii_hexdigit());
            let size = digits.fold(0_usize, |sum, digit| {
                let digit = char::from(*digit).to_digit(16).expect("a digit");
                sum.saturating_mul(16).saturating_add(digit as usize)
            });
            at += length;
            if size == 0 {
                if let Some((trailers, end)) = fields(bytes, at, manner) {
                    (self.trailers, at, self.whole) = (trailers, end, true);
                }
                break;
            }
            let data = &bytes[at..bytes.len().min(at.saturating_add(size))];
            self.content.extend_from_slice(data);
            at += data.len();
            let Some((b"", end)) = line(&bytes[at..], manner) else {
                break;
            };
            at += end;
        }
        self.length += at;
    }
}
