//! What can go wrong with a proxy.

use std::fmt;

/// Why a proxy can't be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A value can't be what it is.
    InvalidArgument(String),
    /// The configuration is refused, as a file that it names can't be used; a line each.
    ConfigurationFailed(Vec<String>),
    /// The machine can't be had.
    Machine(stockade_host::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidArgument(text) => write!(f, "Invalid argument: {text}"),
            Error::ConfigurationFailed(lines) => {
                write!(f, "Configuration failed: {}", lines.join("; "))
            }
            Error::Machine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<stockade_host::Error> for Error {
    fn from(error: stockade_host::Error) -> Error {
        Error::Machine(error)
    }
}
