//! What can be wrong with a command line, and how it is said.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Every error of one command line, in the order of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors(Vec<Diagnostic>);

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The option's name with its dashes, or the stray word; cut short when long.
    pub option: Cow<'static, str>,
    /// Where the option's word begins; `None` when the option is missing.
    pub position: Option<Position>,
    /// What is wrong.
    pub problem: Problem,
}

/// Where a word begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the word, from 1.
    pub word: usize,
    /// Byte in the line, from 1.
    pub column: usize,
}

/// What is wrong with an option or word. Never holds a byte of a key or of base64 text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The value is not of the option's form.
    Malformed {
        /// What the option takes.
        expected: String,
        /// What stands there, quoted or described.
        found: String,
    },
}

impl Errors {
    /// The errors, in the order of the line.
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many there are; at least one in every `Err` of this crate.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Errors {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.option)
    }
}

impl core::error::Error for Errors {}
impl core::error::Error for Diagnostic {}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Diagnostic;
    type IntoIter = core::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
