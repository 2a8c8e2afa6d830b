//! The network card and the management channel: split virtqueues and drivers of our own.
//!
//! [`Nic`] drives one virtio network device (virtio 1.2 §5.1) over any
//! [`virtio_drivers::transport::Transport`] and gives smoltcp a
//! [`smoltcp::phy::Device`]. Frames are lent, not copied: a received frame is
//! read in the very buffer that the device wrote, and a frame to send is built
//! in the buffer that the device reads.
//!
//! [`Console`] drives one port of a virtio console device (virtio 1.2 §5.3), a stream of bytes in
//! each direction, on the same queues.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `net` | the card's driver: set-up, tokens, batching, idling |
//! | `receive`, `transmit` | one direction each: a queue and its policy |
//! | `console` | the channel's driver |
//! | `control` | what both do with a device beside its queues: negotiation, doorbells, interrupts |
//! | `queue` | a ring together with its buffers, and who owns which |
//! | `ring` | the split virtqueue in memory (virtio 1.2 §2.7) |
//! | `memory`, `doorbell` | the only unsafe code: DMA memory, doorbell writes |
//! | `header`, `packet`, `checksum` | the virtio-net header and what it offloads: pure functions |
//!
//! **The device is not trusted.** It may be buggy or hostile; whatever it writes
//! into the rings is checked before use, and costs at most the frame or the
//! device, never memory safety and never a panic. (A hostile *hypervisor* can
//! rewrite any guest memory; no driver defends against that.)

#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod checksum;
mod console;
mod control;
mod doorbell;
mod error;
mod features;
mod header;
mod memory;
mod net;
mod packet;
mod plan;
mod queue;
mod receive;
mod ring;
mod transmit;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(any(test, fuzzing))]
mod tests;

pub use console::Console;
pub use doorbell::Doorbells;
pub use error::VirtioError;
pub use features::Features;
pub use net::{Counters, Nic, NicOptions};
pub use receive::RxToken;
pub use transmit::TxToken;
