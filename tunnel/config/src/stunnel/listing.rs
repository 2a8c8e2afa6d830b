//! What can be said about the options without a configuration, for `stunnel -help` and the like.

use super::table::{Action, TABLE};
use super::{sockets, tls_options};

/// What an option comes to here, whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Its value counts.
    Honoured,
    /// It is accepted and changes nothing.
    WithoutEffect,
    /// A configuration that has it is refused.
    Refused,
}

/// An option of stunnel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownOption {
    /// Its name as the manual spells it.
    pub name: &'static str,
    /// Whether it stands before the first section only.
    pub is_global: bool,
    /// What it comes to.
    pub support: Support,
}

/// Every option, in the order of the table.
pub fn known_options() -> impl Iterator<Item = KnownOption> {
    TABLE.iter().map(|row| KnownOption {
        name: row.name,
        is_global: row.is_global(),
        support: match row.action {
            Action::Global(_) | Action::Service(_) | Action::Include => Support::Honoured,
            Action::GlobalWithoutEffect(_) | Action::WithoutEffect(_) => Support::WithoutEffect,
            Action::GlobalRefused(_) | Action::Refused(_) => Support::Refused,
        },
    })
}

/// The values of `options` that are known, sorted.
pub fn known_tls_options() -> alloc::vec::Vec<&'static str> {
    tls_options::names()
}

/// The socket options that `socket` can set with some effect.
pub fn known_socket_options() -> impl Iterator<Item = &'static str> {
    sockets::names()
}
