//! What a program of the host learns of its client: the image says it ahead of the first byte.
//!
//! The length of the rest, 2 bytes, most significant first; then texts, each with a NUL behind it: the
//! client's address and port, and those of its certificate's subject and issuer where it has shown
//! one.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest introduction in bytes, its length included: two names of 512 characters, and some.
pub const MAX_LENGTH: usize = 4352;

/// Bytes of the length.
const HEAD: usize = 2;

/// Who a program's client is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// The client's address; `None` when it has none.
    pub host: Option<String>,
    /// Its port; empty for one of a UNIX socket.
    pub port: String,
    /// The subject and the issuer of its certificate, as stunnel writes them.
    pub names: Option<(String, String)>,
}

/// What was found at the front of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// More have to come.
    Incomplete,
    /// This, in so many bytes.
    Whole(Introduction, usize),
    /// No introduction.
    Malformed,
}

impl Introduction {
    /// Its bytes. A text with a NUL can't be told, nor names that are too long together: they are left
    /// out.
    pub fn encode(&self) -> Vec<u8> {
        let whole = self.bytes(self.names.as_ref());
        match whole.len() <= MAX_LENGTH {
            true => whole,
            false => self.bytes(None),
        }
    }

    fn bytes(&self, names: Option<&(String, String)>) -> Vec<u8> {
        let mut bytes = [0; HEAD].to_vec();
        let names = names
            .into_iter()
            .flat_map(|(subject, issuer)| [subject, issuer]);
        let texts = [self.host.as_deref().unwrap_or_default(), &self.port];
        for text in texts.into_iter().chain(names.map(String::as_str)) {
            let text = if text.contains('\0') { "" } else { text };
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        let length = u16::try_from(bytes.len() - HEAD).unwrap_or(u16::MAX);
        for (place, byte) in bytes.iter_mut().zip(length.to_be_bytes()) {
            *place = byte;
        }
        bytes
    }

    /// Reads one from the front of `bytes`.
    pub fn decode(bytes: &[u8]) -> Found {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Found::Incomplete;
        };
        let length = usize::from(u16::from_be_bytes(*head));
        if length + HEAD > MAX_LENGTH {
            return Found::Malformed;
        }
        let Some(body) = rest.get(..length) else {
            return Found::Incomplete;
        };
        let texts = core::str::from_utf8(body).ok();
        let texts = texts.and_then(|texts| texts.strip_suffix('\0'));
        let Some(texts) = texts else {
            return Found::Malformed;
        };
        let texts: Vec<&str> = texts.split('\0').collect();
        let (host, port, names) = match texts[..] {
            [host, port] => (host, port, None),
            [host, port, subject, issuer] => (host, port, Some((subject.into(), issuer.into()))),
            _ => return Found::Malformed,
        };
        let introduction = Introduction {
            host: (!host.is_empty()).then(|| host.into()),
            port: port.into(),
            names,
        };
        Found::Whole(introduction, length + HEAD)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn known(subject: &str) -> Introduction {
        Introduction {
            host: Some("192.0.2.1".into()),
            port: "40000".into(),
            names: Some((subject.into(), "CN=authority".into())),
        }
    }

    #[test]
    fn what_was_told_is_what_is_read() {
        let unknown = Introduction::default();
        let plain = Introduction {
            names: None,
            ..known("")
        };
        for told in [unknown, plain, known(""), known("C=PL, CN=\u{e9}")] {
            let mut bytes = told.encode();
            for end in 0..bytes.len() {
                assert_eq!(Introduction::decode(&bytes[..end]), Found::Incomplete);
            }
            let length = bytes.len();
            bytes.extend_from_slice(b"and what follows");
            assert_eq!(Introduction::decode(&bytes), Found::Whole(told, length));
        }
    }

    #[test]
    fn names_that_cannot_be_told_are_left_out() {
        let long = known(&"x".repeat(MAX_LENGTH));
        let Found::Whole(read, length) = Introduction::decode(&long.encode()) else {
            panic!("it is whole");
        };
        assert_eq!((read.names, length < 64), (None, true));
        // A NUL would be the end of the text, and the rest a text of its own.
        let Found::Whole(read, _) = Introduction::decode(&known("CN=a\0CN=b").encode()) else {
            panic!("it is whole");
        };
        assert_eq!(read.names.map(|names| names.0), Some("".to_string()));
    }

    #[test]
    fn anything_else_is_no_introduction() {
        let long = u16::try_from(MAX_LENGTH).unwrap().to_be_bytes();
        for bytes in [
            &b"\0\0"[..],
            b"\0\x01\0",
            b"\0\x02ab",
            b"\0\x03a\0b",
            b"\0\x03a\0\xff",
            b"\0\x06a\0b\0c\0",
            b"\0\x0aa\0b\0c\0d\0e\0",
            &long,
        ] {
            assert_eq!(Introduction::decode(bytes), Found::Malformed, "{bytes:?}");
        }
    }
}
