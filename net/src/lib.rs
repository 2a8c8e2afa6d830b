//! TCP/IP for Stockade: smoltcp behind [`Stack`] and [`Stream`].
//!
//! smoltcp walks every socket of a set for every frame, which costs tens of microseconds at ten
//! thousand connections. Here each connection has a socket set of its own; a frame is classified
//! by its 4-tuple, handed to that one set, and only the sets that were touched are asked for
//! frames to send. Timers are a heap keyed by what smoltcp's `poll_at` says.
//!
//! The crate performs no I/O and reads no clock: time ([`Instant`]), entropy ([`Config::seed`])
//! and frames (a [`phy::Device`]) are arguments.
//!
//! # Calling order
//!
//! ```text
//! loop {
//!     let more = stack.poll(device, now);         // frames in, timers, frames out
//!     while let Some(event) = stack.poll_event() { /* run the session it names */ }
//!     stack.flush(device, now);                   // what sessions have just written
//!     if !more { idle_until(stack.poll_at()) }
//! }
//! ```
//!
//! # What is bounded, and by what
//!
//! | what | bound |
//! | --- | --- |
//! | sockets, half-open ones, bytes of each | [`Limits`] |
//! | connections that listeners may still take | [`Stack::set_admission`] |
//! | time: handshakes, attempts, silence, released connections | constants in `connection` |
//! | TIME-WAIT records, DNS queries, datagrams, listeners | constants beside their tables |
//! | a guest's requests, datagrams, answers to it | constants in `gateway` |
//! | RSTs, ICMP errors, challenge ACKs, solicitations, warnings | a rate each |
//! | frames and segments handled in one call | constants in `stack` and `shard::traffic` |
//!
//! # Two ends of a link in memory
//!
//! With [`Role::Gateway`] a stack is the launcher's end of a guest's link: it takes what the guest
//! sends to any address, and connects into it from any. The guest has [`Role::Published`]. Where
//! frames are longer than any wire carries, both send whole windows at once and acknowledge at
//! once. The image is never a gateway, and is built without one.
//!
//! # What is absent
//!
//! IP fragments are dropped, in both directions; the path MTU is not discovered. IPv6 addresses are
//! static (no SLAAC, no duplicate address detection). Loss recovery is smoltcp's: Reno, without
//! the sender's half of SACK, with a retransmission time-out of at least a second. Segmentation
//! offload works for IPv4 only.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod amend;
mod classify;
mod config;
mod connection;
mod device;
mod error;
mod event;
mod flow;
mod gateway;
mod rate;
mod reply;
mod service;
mod shard;
mod stack;
mod stream;
mod time;
mod time_wait;
mod timers;
mod window;

pub use smoltcp::phy;

pub use config::{Addresses, Config, Ipv4Config, Ipv6Config, Limits, Role};
pub use connection::KeepAlive;
pub use error::{
    AdmitError, ConfigError, ConnectError, DatagramError, ListenError, ResolveError, StreamError,
};
pub use event::{Datagram, Event, ListenerId, QueryId, Refusal, RequestId, Status, StreamId};
pub use stack::Stack;
pub use stream::Stream;
pub use time::Instant;
