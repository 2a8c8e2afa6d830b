//! The management channel between the image and its launcher: frames and messages, no I/O.
//!
//! [`Endpoint`] is one side: it turns messages into bytes for the wire and bytes of the wire into
//! messages. What a wire loses is sent again; nothing is lost, nothing comes twice, and the order
//! is kept. It reads no clock and touches no device: bytes and time are arguments. The image has an
//! `Endpoint<ToHost, ToGuest>`, the launcher an `Endpoint<ToGuest, ToHost>`.
//!
//! Neither side trusts the other: every buffer has a bound, every decoder takes any bytes.
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

mod certificate;
mod codec;
mod crc;
mod endpoint;
mod event;
mod frame;
mod inbound;
mod message;
mod printable;
mod queue;

pub use certificate::{CertificateProblem, CertificateReason};
pub use endpoint::{Bounds, Counters, Endpoint, Micros, SendError};
pub use event::{Event, Kind};
pub use message::{
    BadMessage, ConnectionStatus, HostStatus, Listening, MOST_CONNECTIONS, MOST_HOSTS, Message,
    OLDEST_PROTOCOL, PROTOCOL, ServiceStatus, Status, ToGuest, ToHost,
};
pub use printable::OneLine;
