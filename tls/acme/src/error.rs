//! Why there is no certificate.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::Identifier;
use crate::response::Problem;

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What the authority offers.
    Directory,
    /// The account.
    Account,
    /// The order.
    Order,
    /// The proof of names.
    Proof,
    /// The certificate.
    Certificate,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Directory => "the directory",
            Stage::Account => "the account",
            Stage::Order => "the order",
            Stage::Proof => "the proof of names",
            Stage::Certificate => "the certificate",
        })
    }
}

/// Why an order has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There are no names, or too many for one certificate.
    Names,
    /// A wildcard takes proof in the DNS, which is not offered here.
    Wildcard,
    /// The authority wants the account bound to another one.
    NeedsBinding,
    /// The authority has no certificates of the kind that was asked for.
    Profile {
        /// The kinds that it has.
        offered: Vec<String>,
    },
    /// The authority takes none of the proofs that can be given for this name.
    NoProof(Identifier),
    /// The authority does not believe that this name is ours.
    NotProven {
        /// The name.
        identifier: Identifier,
        /// What it says.
        problem: Problem,
    },
    /// The authority says no.
    Refused {
        /// To what.
        stage: Stage,
        /// What it says.
        problem: Problem,
    },
    /// The authority answers something else than the standard says.
    Unexpected(Stage),
    /// The authority does not come to an end.
    TooLong(Stage),
}

impl Error {
    /// In how many seconds to come again, if the authority says so.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Error::Refused { problem, .. } | Error::NotProven { problem, .. } => {
                problem.retry_after
            }
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Names => f.write_str("a certificate has from 1 to 100 names"),
            Error::Wildcard => f.write_str(
                "a wildcard's certificate takes proof in the DNS, which only its own administrator \
                 can give: add the certificate by hand",
            ),
            Error::NeedsBinding => f.write_str(
                "the authority wants an account that is bound to another one (external account \
                 binding): give it the key that it has handed out",
            ),
            Error::Profile { offered } => write!(
                f,
                "the authority has no such profile; it has: {}",
                offered.join(", ")
            ),
            Error::NoProof(name) => write!(
                f,
                "the authority takes no proof for {name} by HTTP on port 80 or TLS on port 443"
            ),
            Error::NotProven {
                identifier,
                problem,
            } => write!(f, "{identifier} is not proven: {problem}"),
            Error::Refused { stage, problem } => {
                write!(f, "the authority refuses {stage}: {problem}")
            }
            Error::Unexpected(stage) => {
                write!(
                    f,
                    "the authority's answer about {stage} is not as RFC 8555 says"
                )
            }
            Error::TooLong(stage) => write!(f, "the authority takes too long for {stage}"),
        }
    }
}

impl core::error::Error for Error {}
