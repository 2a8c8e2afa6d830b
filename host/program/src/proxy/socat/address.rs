//! One address of socat's command line (socat(1), "ADDRESS SPECIFICATIONS").

/// An address: `KEYWORD:PARAMETER:…,OPTION=VALUE,…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// In capitals.
    pub(super) keyword: String,
    pub(super) parameters: Vec<String>,
    pub(super) options: Vec<Choice>,
}

/// An option of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// In small letters.
    pub(super) name: String,
    pub(super) value: Option<String>,
}

/// How deep brackets may be in each other.
const MOST_BRACKETS: usize = 32;

impl Address {
    /// Takes a word apart. Quotes and backslashes take the meaning of `:`, `,` and `!!` away, and so do
    /// brackets, which stay; options without a name are passed over, as by socat.
    ///
    /// # Errors
    ///
    /// A quote or a bracket is not closed, or there are two addresses for one side.
    pub(super) fn read(text: &str) -> Result<Address, String> {
        let mut pieces = Pieces::new(text);
        let (first, mut end) = pieces.next(&[':', ','])?;
        let mut address = Address {
            keyword: first.to_ascii_uppercase(),
            parameters: Vec::new(),
            options: Vec::new(),
        };
        while end == Some(':') {
            let (parameter, next) = pieces.next(&[':', ','])?;
            address.parameters.push(parameter);
            end = next;
        }
        while end == Some(',') {
            let (name, next) = pieces.next(&['=', ','])?;
            end = next;
            let value = match end {
                Some('=') => {
                    let (value, next) = pieces.next(&[','])?;
                    end = next;
                    Some(value)
                }
                _ => None,
            };
            if !name.is_empty() || value.is_some() {
                let name = name.to_ascii_lowercase();
                address.options.push(Choice { name, value });
            }
        }
        Ok(address)
    }

    /// The only parameter.
    ///
    /// # Errors
    ///
    /// There are none, or more.
    pub(super) fn one(&self) -> Result<&str, String> {
        match self.parameters.as_slice() {
            [one] => Ok(one),
            others => Err(self.wrong(others.len(), 1)),
        }
    }

    /// Both parameters.
    ///
    /// # Errors
    ///
    /// There are fewer or more.
    pub(super) fn two(&self) -> Result<(&str, &str), String> {
        match self.parameters.as_slice() {
            [one, two] => Ok((one, two)),
            others => Err(self.wrong(others.len(), 2)),
        }
    }

    fn wrong(&self, found: usize, wanted: usize) -> String {
        let keyword = &self.keyword;
        format!("{keyword}: wrong number of parameters ({found} instead of {wanted})")
    }
}

/// A word that is being taken apart.
struct Pieces<'a> {
    whole: &'a str,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl<'a> Pieces<'a> {
    fn new(whole: &'a str) -> Pieces<'a> {
        let rest = whole.chars().peekable();
        Pieces { whole, rest }
    }

    /// What stands before the next of these characters, and which it is.
    fn next(&mut self, ends: &[char]) -> Result<(String, Option<char>), String> {
        let mut piece = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                found if ends.contains(&found) => return Ok((piece, Some(found))),
                '\\' => piece.push(self.escaped()?),
                '"' => self.quoted(&mut piece)?,
                '\'' => self.nested('\'', &mut piece, 0)?,
                '(' | '[' | '{' => {
                    piece.push(character);
                    self.nested(closing(character), &mut piece, 0)?;
                    piece.push(closing(character));
                }
                '!' if self.rest.peek() == Some(&'!') => {
                    return Err(format!(
                        "\"{}\": two addresses for one side (!!) are not supported; name one for both directions",
                        self.whole
                    ));
                }
                other => piece.push(other),
            }
        }
        Ok((piece, None))
    }

    /// The character behind a backslash; some letters stand for others, as in C.
    fn escaped(&mut self) -> Result<char, String> {
        let character = self.rest.next().ok_or_else(|| self.unfinished())?;
        Ok(match character {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'b' => '\u{8}',
            'a' => '\u{7}',
            'v' => '\u{b}',
            '0' => '\0',
            other => other,
        })
    }

    fn quoted(&mut self, piece: &mut String) -> Result<(), String> {
        loop {
            match self.rest.next().ok_or_else(|| self.unfinished())? {
                '"' => return Ok(()),
                '\\' => piece.push(self.escaped()?),
                other => piece.push(other),
            }
        }
    }

    /// All up to the closing bracket or quote, which is left out.
    fn nested(&mut self, end: char, piece: &mut String, depth: usize) -> Result<(), String> {
        if depth > MOST_BRACKETS {
            return Err(format!("\"{}\": too many brackets", self.whole));
        }
        loop {
            match self.rest.next().ok_or_else(|| self.unfinished())? {
                found if found == end => return Ok(()),
                '\\' => piece.push(self.escaped()?),
                open @ ('(' | '[' | '{') if end != '\'' => {
                    piece.push(open);
                    self.nested(closing(open), piece, depth + 1)?;
                    piece.push(closing(open));
                }
                other => piece.push(other),
            }
        }
    }

    fn unfinished(&self) -> String {
        format!("unexpected end of address \"{}\"", self.whole)
    }
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keyword, parameters and options, each in brackets.
    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match Address::read(text) {
            Ok(address) => {
                let options = address.options.iter().map(|option| match &option.value {
                    Some(value) => format!("<{}={value}>", option.name),
                    None => format!("<{}>", option.name),
                });
                let parameters = address.parameters.iter().map(|one| format!("<{one}>"));
                let parts: Vec<String> =
                    parameters.chain(["|".to_owned()]).chain(options).collect();
                format!("{}{}", address.keyword, parts.concat())
            }
            Err(error) => error,
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn words_are_taken_apart_as_socat_does() {
        check("unix-l:p,FORK,Mode=640", "UNIX-L<p>|<fork><mode=640>");
        check("OPENSSL:a:1,cn=b=c", "OPENSSL<a><1>|<cn=b=c>");
        check("UNIX-LISTEN:x,,fork,", "UNIX-LISTEN<x>|<fork>");
        check("UNIX-LISTEN:y, fork", "UNIX-LISTEN<y>|< fork>");
        check("-", "-|");
        check("", "|");
    }

    #[test]
    fn quotes_and_brackets_hide_what_is_special() {
        check(r"UNIX-LISTEN:a\,b", "UNIX-LISTEN<a,b>|");
        check(r#"UNIX-LISTEN:"c,d""#, "UNIX-LISTEN<c,d>|");
        check("UNIX-LISTEN:'e,f'", "UNIX-LISTEN<e,f>|");
        check("UNIX-LISTEN:(g,h)", "UNIX-LISTEN<(g,h)>|");
        check(r"UNIX-LISTEN:i\nj", "UNIX-LISTEN<i\nj>|");
        check(r"UNIX-LISTEN:k\x41", "UNIX-LISTEN<kx41>|");
        check(r"UNIX-LISTEN:'l\,m'", "UNIX-LISTEN<l,m>|");
        check("UNIX-LISTEN:{n:o}", "UNIX-LISTEN<{n:o}>|");
        check(r#"UNIX-LISTEN:"q\"r""#, "UNIX-LISTEN<q\"r>|");
        check("UNIX-LISTEN:u!v", "UNIX-LISTEN<u!v>|");
        check(r#"UNIX-LISTEN:w,mode="600""#, "UNIX-LISTEN<w>|<mode=600>");
        check("OPENSSL:[::1]:443", "OPENSSL<[::1]><443>|");
    }

    #[test]
    fn what_is_not_closed_is_told_as_socat_does() {
        for text in ["U:\"z", "U:'z", "U:(z", "U:z\\", "U:[(z]"] {
            check(text, &format!("unexpected end of address \"{text}\""));
        }
        let error = Address::read("a:1!!b:2").unwrap_err();
        assert!(error.contains("two addresses"), "{error}");
        let deep = "(".repeat(10_000);
        assert!(Address::read(&deep).is_err());
    }
}
