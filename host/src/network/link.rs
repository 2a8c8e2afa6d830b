//! The guest's link: Ethernet frames in QEMU's stream framing (`-netdev stream`, qemu(1)), each
//! behind its length in bytes: four of them, most significant first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, read};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair, sockopt};
use smoltcp::time::Instant;
use stockade_net::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

use super::MTU;

/// Bytes of the length in front of a frame.
const LENGTH: usize = 4;

/// Ethernet's header, bytes (IEEE 802.3 without a tag).
const ETHERNET_HEADER: usize = 14;

/// Largest frame that we send, bytes.
const LARGEST: usize = MTU + ETHERNET_HEADER;

/// Largest frame that QEMU can send, bytes (its `NET_BUFSIZE`). A greater length means that the two
/// ends do not agree on where a frame begins.
const LARGEST_RECEIVED: usize = 4_096 + 65_536;

/// Bytes read at once, at most: several of the largest frames.
const INPUT: usize = 512 * 1024;

/// Bytes that wait until QEMU takes them. When they are this many, connections send nothing more.
const OUTPUT: usize = 1024 * 1024;

/// Bytes beyond that for immediate answers, such as acknowledgments. A guest must be listened to even
/// while it does not listen: else both sides could wait for each other.
const ANSWERS: usize = 256 * 1024;

/// Bytes that the kernel is asked to keep on the way, in each direction; it may grant less
/// (`net.core.wmem_max`).
const ON_THE_WAY: usize = 1024 * 1024;

/// Our end of the link to one machine.
pub(super) struct Link {
    socket: OwnedFd,
    input: Input,
    output: Output,
    /// More may be read.
    pub(super) readable: bool,
    /// More may be written.
    writable: bool,
    pub(super) counters: LinkCounters,
}

/// Frames and their bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct LinkCounters {
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    pub(super) frames_out: u64,
    pub(super) bytes_out: u64,
}

/// What was read and not yet taken in: `bytes[start..end]`.
struct Input {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

/// What was sent and not yet written: `bytes[start..end]`.
struct Output {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// Where answers go that have no room: nowhere.
    lost: Vec<u8>,
}

impl Link {
    /// A new link: our end and QEMU's.
    pub(super) fn new() -> io::Result<(Link, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for end in [&ours, &theirs] {
            sockopt::set_socket_send_buffer_size(end, ON_THE_WAY)?;
        }
        Ok((Link::over(ours)?, theirs))
    }

    /// One end of a link that is there already.
    pub(super) fn over(socket: OwnedFd) -> io::Result<Link> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Link {
            socket,
            input: Input {
                bytes: vec![0; INPUT].into(),
                start: 0,
                end: 0,
            },
            output: Output {
                bytes: vec![0; OUTPUT + ANSWERS].into(),
                start: 0,
                end: 0,
                lost: Vec::new(),
            },
            readable: true,
            writable: true,
            counters: LinkCounters::default(),
        })
    }

    /// Takes in what the socket allows.
    pub(super) fn note(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Reads what has come, as far as there is room for it.
    ///
    /// # Errors
    ///
    /// The other end is gone, or sends no frames.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        while self.readable {
            let input = &mut self.input;
            if input.start == input.end {
                (input.start, input.end) = (0, 0);
            }
            if input.bytes.len() - input.end < LENGTH + LARGEST_RECEIVED {
                input.bytes.copy_within(input.start..input.end, 0);
                (input.start, input.end) = (0, input.end - input.start);
            }
            let space = &mut input.bytes[input.end..];
            if space.len() < LENGTH + LARGEST_RECEIVED {
                break;
            }
            let size = space.len();
            match read(&self.socket, space) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    input.end += count;
                    self.readable = count == size;
                }
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.input.announced() {
            Some(length) if length > LARGEST_RECEIVED => Err(io::ErrorKind::InvalidData.into()),
            _ => Ok(()),
        }
    }

    /// Whether a whole frame waits to be taken in.
    pub(super) fn has_frame(&self) -> bool {
        self.input.frame_end().is_some()
    }

    /// Writes what waits, as far as QEMU takes it.
    ///
    /// # Errors
    ///
    /// The other end is gone.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let output = &mut self.output;
        while self.writable && output.start < output.end {
            let waiting = &output.bytes[output.start..output.end];
            match send(&self.socket, waiting, SendFlags::NOSIGNAL) {
                Ok(count) => output.start += count,
                Err(Errno::AGAIN) => self.writable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if output.start == output.end {
            (output.start, output.end) = (0, 0);
        }
        Ok(())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Input {
    /// The length of the next frame, once it is known.
    fn announced(&self) -> Option<usize> {
        let length = self.bytes[self.start..self.end].first_chunk()?;
        usize::try_from(u32::from_be_bytes(*length)).ok()
    }

    /// Where the next frame ends, once all of it is here.
    fn frame_end(&self) -> Option<usize> {
        let end = self.start + LENGTH + self.announced()?;
        (end <= self.end).then_some(end)
    }
}

impl Output {
    /// Makes room for one more frame below `limit`, if there can be.
    fn make_room(&mut self, limit: usize) -> bool {
        if self.end + LENGTH + LARGEST > limit && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.end + LENGTH + LARGEST <= limit
    }
}

impl Device for Link {
    type RxToken<'a> = Frame<'a>;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Frame<'_>, Slot<'_>)> {
        let end = self.input.frame_end()?;
        let start = self.input.start + LENGTH;
        self.input.start = end;
        self.counters.frames_in += 1;
        self.counters.bytes_in += (end - start) as u64;
        let slot = Slot {
            output: &mut self.output,
            counters: &mut self.counters,
        };
        Some((Frame(&self.input.bytes[start..end]), slot))
    }

    fn transmit(&mut self, _: Instant) -> Option<Slot<'_>> {
        if !self.output.make_room(OUTPUT) {
            // An error shows again when the thread comes to it.
            let _ = self.drain();
            if !self.output.make_room(OUTPUT) {
                return None;
            }
        }
        Some(Slot {
            output: &mut self.output,
            counters: &mut self.counters,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LARGEST;
        capabilities
    }
}

/// A received frame, lent from the buffer.
pub(super) struct Frame<'a>(&'a [u8]);

impl RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to be sent.
pub(super) struct Slot<'a> {
    output: &'a mut Output,
    counters: &'a mut LinkCounters,
}

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let output = self.output;
        let all = output.bytes.len();
        let start = output.end + LENGTH;
        let end = start + length;
        let room = if end <= all || output.make_room(all) {
            let start = output.end + LENGTH;
            output.bytes.get_mut(start..start + length)
        } else {
            None
        };
        let (Some(room), Ok(announced)) = (room, u32::try_from(length)) else {
            output.lost.resize(length, 0);
            return f(&mut output.lost);
        };
        let result = f(room);
        output.bytes[output.end..output.end + LENGTH].copy_from_slice(&announced.to_be_bytes());
        output.end += LENGTH + length;
        self.counters.frames_out += 1;
        self.counters.bytes_out += length as u64;
        result
    }
}
