//! The first step: the line's bytes become words, the words become options as given.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::diagnostic::{looks_secret, shorten};
use super::options::{self, OptionSpec};
use super::{Diagnostic, Errors, Position, Problem};

/// Every option of a line, in its order. Repetitions are reported already, but `--dns`'s.
pub(super) struct Raw<'a> {
    given: Vec<Given<'a>>,
}

/// One option as it was given.
pub(super) struct Given<'a> {
    pub option: &'static OptionSpec,
    pub position: Position,
    /// `None` when there was none, or none that could be read, which is reported already.
    pub value: Option<&'a str>,
}

impl<'a> Raw<'a> {
    /// The option, the first time it was given.
    pub fn one(&self, option: &OptionSpec) -> Option<&Given<'a>> {
        self.all(option).next()
    }

    /// The option, every time it was given.
    pub fn all(&self, option: &OptionSpec) -> impl Iterator<Item = &Given<'a>> {
        let name = option.name;
        self.given
            .iter()
            .filter(move |given| given.option.name == name)
    }
}

/// A run of bytes without white space.
#[derive(Clone, Copy)]
struct Word<'a> {
    position: Position,
    /// The text, or how many of its first bytes are text.
    text: Result<&'a str, usize>,
    /// The text's first part that is UTF-8.
    sound: &'a str,
}

impl<'a> Word<'a> {
    fn new(position: Position, bytes: &'a [u8]) -> Word<'a> {
        let text = core::str::from_utf8(bytes);
        let sound = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Word {
            position,
            text: text.map_err(|error| error.valid_up_to()),
            sound,
        }
    }

    fn report(&self, option: impl Into<Cow<'static, str>>, problem: Problem) -> Diagnostic {
        Diagnostic {
            option: option.into(),
            position: Some(self.position),
            problem,
        }
    }

    /// The error that the word is not UTF-8, if it is not.
    fn not_utf8(&self) -> Option<Problem> {
        let sound = self.text.err()?;
        Some(Problem::NotUtf8 {
            column: self.position.column + sound,
        })
    }

    /// Whether the word can't be a value: an option, or a word that the machine added.
    fn ends_value(&self) -> bool {
        options::is_option(self.sound) || options::is_machine_word(self.sound)
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = Word<'_>> {
    let mut begin = 0;
    line.split(u8::is_ascii_whitespace)
        .map(move |bytes| {
            let column = begin + 1;
            begin += bytes.len() + 1;
            (column, bytes)
        })
        .filter(|(_, bytes)| !bytes.is_empty())
        .enumerate()
        .map(|(index, (column, bytes))| {
            let word = index + 1;
            Word::new(Position { word, column }, bytes)
        })
}

/// Splits a line into options; reports what is none, what has no value, what is repeated.
pub(super) fn read<'a>(line: &'a [u8], errors: &mut Errors) -> Raw<'a> {
    let mut raw = Raw { given: Vec::new() };
    // An option that takes a text, when its value may go on in the words that follow: until the next
    // option that is known, they may be a secret.
    let mut open: Option<&'static OptionSpec> = None;
    let mut words = words(line).peekable();
    while let Some(word) = words.next() {
        if options::is_option(word.sound) {
            let (name, inline) = match word.sound.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.sound, None),
            };
            let option = options::find(name);
            let takes = |next: &Word<'_>| match option {
                Some(option) if option.is_flag() => false,
                Some(option) if option.is_switch() => matches!(next.sound, "true" | "false"),
                _ => word.text.is_ok() && !next.ends_value(),
            };
            let separate = match inline {
                None => words.next_if(takes),
                Some(_) => None,
            };
            match option {
                Some(option) => {
                    let value = read_value(option, word, inline, separate, errors);
                    open = takes_text(option, value).then_some(option);
                    raw.add(option, word, value, errors);
                }
                None => errors.push(unknown(word, name)),
            }
        } else if options::is_machine_word(word.sound) {
            // Passed over.
        } else if let Some(option) = open {
            let mut count = 1;
            while words.next_if(|next| !next.ends_value()).is_some() {
                count += 1;
            }
            let is_plain = options::is_plain(option);
            let problem = Problem::StrayText {
                words: count,
                is_plain,
            };
            errors.push(word.report(option.name, problem));
        } else {
            errors.push(stray(word));
        }
    }
    raw
}

/// Whether the option's value may be a secret text, so that wrapped lines of it may follow.
fn takes_text(option: &OptionSpec, value: Option<&str>) -> bool {
    options::holds_text(option) && !value.is_some_and(|value| value.starts_with("file:"))
}

/// The value of a known option: after its `=`, else the word that follows.
fn read_value<'a>(
    option: &'static OptionSpec,
    word: Word<'a>,
    inline: Option<&'a str>,
    separate: Option<Word<'a>>,
    errors: &mut Errors,
) -> Option<&'a str> {
    let broken = [Some(word), separate]
        .into_iter()
        .flatten()
        .find_map(|part| part.not_utf8());
    if let Some(problem) = broken {
        errors.push(word.report(option.name, problem));
        return None;
    }
    let value = match separate {
        Some(next) => next.text.ok(),
        None => inline,
    };
    if option.is_flag() {
        if value.is_some() {
            errors.push(word.report(option.name, Problem::Value));
        }
        return value.is_none().then_some("");
    }
    if value.is_none() && option.is_switch() {
        return Some("true");
    }
    if value.is_none() {
        errors.push(word.report(option.name, Problem::NoValue { expected: option }));
    }
    value
}

impl<'a> Raw<'a> {
    fn add(
        &mut self,
        option: &'static OptionSpec,
        word: Word<'_>,
        value: Option<&'a str>,
        errors: &mut Errors,
    ) {
        let first = self.one(option).map(|given| given.position);
        match first {
            Some(first) if option.name != options::DNS.name => {
                errors.push(word.report(option.name, Problem::Repeated { first }));
            }
            _ => self.given.push(Given {
                option,
                position: word.position,
                value,
            }),
        }
    }
}

/// A word that begins with dashes. Shows no more than what can be an option's name.
fn unknown(word: Word<'_>, name: &str) -> Diagnostic {
    let end = name
        .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_')
        .unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    let problem = word
        .not_utf8()
        .unwrap_or_else(|| match options::instead(name) {
            Some(instead) => Problem::Foreign { instead },
            None => Problem::UnknownOption {
                suggestion: options::nearest(name),
            },
        });
    word.report(shorten(name), problem)
}

/// A word that is nothing. Shows no value, and nothing that looks like a secret.
fn stray(word: Word<'_>) -> Diagnostic {
    let name = word.sound.split('=').next().unwrap_or_default();
    let shown = if looks_secret(word.sound) {
        Cow::Borrowed("word")
    } else {
        Cow::Owned(format!("{:?}", shorten(name)))
    };
    let problem = word.not_utf8().unwrap_or(Problem::StrayWord {
        suggestion: options::nearest(name),
    });
    word.report(shown, problem)
}
