//! What is wrong with a configuration, and how it is said.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::types::Origin;

/// Most errors that are kept; the rest is only counted.
const MAX_ERRORS: usize = 64;

/// Every error of one configuration, in the order in which they are found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    list: Vec<Diagnostic>,
    uncounted: usize,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub origin: Origin,
    /// What is wrong, in stunnel's words where stunnel finds the same.
    pub text: String,
}

impl Errors {
    /// The errors that are kept.
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are; at least one in every `Err`.
    pub fn len(&self) -> usize {
        self.list.len() + self.uncounted
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn push(&mut self, origin: Origin, text: String) {
        if self.list.len() < MAX_ERRORS {
            self.list.push(Diagnostic { origin, text });
        } else {
            self.uncounted += 1;
        }
    }
}

impl fmt::Display for Errors {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        match self.uncounted {
            0 => Ok(()),
            1 => f.write_str("\nand 1 error more"),
            more => write!(f, "\nand {more} errors more"),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
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
