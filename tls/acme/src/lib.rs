//! Certificates from an authority that hands them out by itself (ACME, RFC 8555).
//!
//! Nothing here does I/O or reads a clock: what is to be sent comes out as bytes, with every secret
//! wiped when it is dropped.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::expect_used
    )
)]

extern crate alloc;

mod directory;
mod error;
mod identifier;
mod issue;
mod jws;
mod key;
mod proof;
pub mod renewal;
mod request;
mod response;
mod rsa_draw;

pub use directory::Directory;
pub use error::{Error, Stage};
pub use identifier::{Identifier, NoIdentifier};
pub use issue::{Challenge, ChallengeKind, Issue, Order, Step};
pub use jws::{Binding, Payload, Signer, sign};
pub use key::{Key, NoKey, Purpose};
pub use proof::proof;
pub use request::certificate_request;
pub use response::{Problem, Response};
pub use rsa_draw::RsaDraw;
