//! The machine under Stockade: memory, time, entropy, interrupts, console, buses, power and the
//! virtio devices (network card, management channel), behind one value, [`Machine`].
//!
//! Knows nothing of TCP, TLS or the product. One core, no threads; interrupts are masked except
//! inside [`Machine::idle_until`], and their handlers only acknowledge. Everything the host lends
//! (command line, archive, memory map, device registers) is checked before it is believed.
//!
//! Compiled for two settings: the image (`--cfg stockade_image`), and the host, where the parts
//! that are arithmetic or parsing are unit-tested.

#![cfg_attr(not(any(test, fuzzing)), no_std)]
#![deny(missing_docs)]
#![deny(unsafe_code)]

extern crate alloc;

pub mod console;
pub mod cpu;
pub mod device;
pub mod dma;
pub mod entropy;
pub mod foundation;
pub mod interrupts;
pub mod machine;
pub mod mem;
pub mod memory;
pub mod mmio;
pub mod once;
pub mod paging;
pub mod pci;
pub mod port;
pub mod power;
pub mod pvh;
pub mod time;
pub mod virtio;

pub use foundation::Foundation;
pub use machine::{Machine, Options, StartError};
