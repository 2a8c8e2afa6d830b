//! The tunnel as a Linux process on a TAP device, at native speed.
//!
//! The same [`start`](stockade_tunnel::start) as in the image, over a [`machine`] made of the
//! kernel's clocks and a [`card`] that leaves checksums and segmentation to the kernel. What a
//! profiler, a sanitizer or a benchmark wants to see of the tunnel is easier to see here than in a
//! guest; what it cannot show is everything below [`Machine`](stockade_tunnel::Machine).
//!
//! The program is `stockade-hosted`; a [`guest`] is one that runs.

pub mod card;
pub mod channel;
pub mod console;
pub mod guest;
pub mod header;
pub mod machine;

use std::path::Path;
use std::{fs, io};

use stockade_tunnel::ExitStatus;

use card::TapCard;
use channel::SocketChannel;
use machine::HostedMachine;

/// Memory that a hosted tunnel says it has unless told otherwise, in MiB: room for 1,300 sessions.
pub const MEMORY_MIB: usize = 512;

/// What the program is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The TAP device, made with `vnet_hdr`, up, with the host's address on it.
    pub tap: String,
    /// Memory to divide among sessions, in MiB.
    pub memory_mib: usize,
    /// Leave checksums and segmentation to the kernel.
    pub offload: bool,
    /// By how many seconds the machine's clock is ahead of the true time; negative: behind.
    pub clock_ahead: i64,
}

/// Reads the tunnel's command line from standard input and serves until that ends. The boot
/// archive, if there is one, is read first. `channel` is the abstract name of the socket (unix(7))
/// that is the other end of the management channel, if there is to be one.
///
/// # Errors
/// The TAP device, the channel, standard input or the boot archive cannot be used.
pub fn run(
    options: &Options,
    archive: Option<&Path>,
    channel: Option<&str>,
) -> io::Result<ExitStatus> {
    console::open();
    let card = TapCard::open(&options.tap, options.offload)?;
    let channel = channel.map(SocketChannel::connect).transpose()?;
    let mut machine =
        HostedMachine::new(card, options.memory_mib << 20, options.clock_ahead, channel);
    let line = machine.command_line()?;
    let archive = archive.map(fs::read).transpose()?;
    Ok(stockade_tunnel::start(
        &mut machine,
        line.as_bytes(),
        archive.as_deref(),
    ))
}
