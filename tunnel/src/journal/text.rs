//! A line's text: escaped, and never longer than a log can take.

use core::fmt::{self, Write};

/// Most bytes of a line's text: with a syslog header it stays far below the smallest MTU of IPv6,
/// 1,280 bytes (RFC 8200 §5), so that no datagram is fragmented.
const MAX_TEXT: usize = 960;

/// What ends a text that was cut.
const CUT: &str = "...";

/// A line's text without a heap. Control characters, and others that are not seen, are escaped, so
/// that nobody can forge a line or drive a terminal.
pub(super) struct Text {
    bytes: [u8; MAX_TEXT],
    length: usize,
    cut: bool,
}

impl Text {
    /// The text of `arguments`.
    pub(super) fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self {
            bytes: [0; MAX_TEXT],
            length: 0,
            cut: false,
        };
        // Fails when the text is cut, and that is marked.
        let _ = text.write_fmt(arguments);
        text
    }

    pub(super) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        // Only whole characters were put in.
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    fn put(&mut self, text: &str, limit: usize) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end.min(limit));
        match place.filter(|place| place.len() == text.len()) {
            Some(place) => place.copy_from_slice(text.as_bytes()),
            None => return Err(fmt::Error),
        }
        self.length = end;
        Ok(())
    }

    fn push(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Err(fmt::Error);
        }
        let result = self.put(text, MAX_TEXT - CUT.len());
        if result.is_err() {
            self.cut = true;
            let _ = self.put(CUT, MAX_TEXT);
        }
        result
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !text.is_empty() {
            // By far the most pieces; those that do not fit go one by one.
            if !self.cut && self.length + text.len() <= MAX_TEXT - CUT.len() {
                return self.push(text);
            }
        }
        text.chars().try_for_each(|character| {
            let mut bytes = [0; 4];
            match is_seen(character) {
                true => self.push(character.encode_utf8(&mut bytes)),
                false => character
                    .escape_default()
                    .try_for_each(|escape| self.push(escape.encode_utf8(&mut bytes))),
            }
        })
    }
}

/// Whether a character is shown as it is. `escape_debug` knows which are printable; quotes and
/// backslashes, which it escapes too, are.
fn is_seen(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

/// Most characters shown of what a peer sent: a host name has 253 at most (RFC 1035 §2.3.4).
const MAX_SHOWN: usize = 255;

/// Shows what a peer sent, shortened, so that it leaves room for the rest of the line.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_SHOWN) {
            None => f.write_str(self.0),
            Some((end, _)) => {
                f.write_str(self.0.get(..end).unwrap_or_default())?;
                f.write_str(CUT)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn check(text: &str, expected: &str) {
        assert_eq!(Text::new(format_args!("{text}")).as_str(), expected);
    }

    #[test]
    fn plain_text_stays_as_it_is() {
        check("", "");
        check("O=\"A\\B\", CN=it's", "O=\"A\\B\", CN=it's");
        check("naïve 例", "naïve 例");
    }

    #[test]
    fn what_forges_lines_or_drives_terminals_is_escaped() {
        check("a\nb\r\tc", "a\\nb\\r\\tc");
        check("\x1b[2J\x07\x7f\0", "\\u{1b}[2J\\u{7}\\u{7f}\\u{0}");
        check("\u{9b}31m", "\\u{9b}31m");
        check("a\u{202e}b\u{2028}c", "a\\u{202e}b\\u{2028}c");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "x".repeat(2000);
        let text = Text::new(format_args!("{long}"));
        assert_eq!(text.as_str().len(), MAX_TEXT);
        assert!(text.as_str().ends_with("xx..."));
        let long = "ä".repeat(2000);
        let text = Text::new(format_args!("z{long} more"));
        assert!(text.as_str().len() <= MAX_TEXT);
        assert!(text.as_str().ends_with("ää..."));
        let fits: String = "y".repeat(MAX_TEXT - CUT.len());
        check(&fits, &fits);
    }

    #[test]
    fn nothing_follows_a_cut() {
        let long = "x".repeat(2000);
        let text = Text::new(format_args!("{long}{}", "tail"));
        assert!(!text.as_str().contains("tail"));
    }

    #[test]
    fn what_peers_send_is_shortened() {
        assert_eq!(Shown("short").to_string(), "short");
        let long = "é".repeat(400);
        let shown = Shown(&long).to_string();
        assert_eq!(shown.chars().count(), MAX_SHOWN + 3);
        assert!(shown.ends_with("é..."));
    }
}
