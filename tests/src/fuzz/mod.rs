//! What the fuzzer runs: each function takes any bytes, and must come back without a panic.
//!
//! `cargo xtask fuzz` feeds them with coverage-guided inputs (the binaries are in `fuzz/`); the
//! inputs in `fuzz/corpus/` are replayed by this crate's unit tests. The network card's rings are
//! fuzzed by the kernel's own `virtio::fuzz`, as they need its fake device.
//!
//! Beyond "no panic", each target checks what must hold for every input; its documentation says
//! what. An input is a program where one message would not get far: [`Input`](input::Input) reads
//! it.

mod acme;
mod boot_archive;
mod certificates;
mod channel;
mod client_hello;
mod command_line;
mod dhcp;
mod dialect;
mod dns;
mod frames;
mod gateway_frames;
mod git;
mod host;
mod http;
mod http_head;
mod input;
mod notice;
mod ocsp;
mod proxy_header;
mod psk;
mod ssh;
mod store;
mod stunnel_conf;

#[cfg(test)]
mod tests;

pub use acme::acme;
pub use boot_archive::boot_archive;
pub use certificates::certificates;
pub use channel::{channel_guest, channel_host};
pub use client_hello::client_hello;
pub use command_line::command_line;
pub use dhcp::dhcp;
pub use dialect::{
    dialect_connect, dialect_imap, dialect_ldap, dialect_nntp, dialect_pgsql, dialect_pop3,
    dialect_proxy, dialect_smtp, dialect_socks,
};
pub use dns::dns;
pub use frames::frames;
pub use gateway_frames::gateway_frames;
pub use git::{git_conversation, git_pack};
pub use http::http;
pub use http_head::http_head;
pub use notice::notice;
pub use ocsp::ocsp;
pub use proxy_header::proxy_header;
pub use psk::{psk_client, psk_records, psk_server};
pub use ssh::ssh;
pub use store::{certificate_text, host_file, store_text};
pub use stunnel_conf::stunnel_conf;
