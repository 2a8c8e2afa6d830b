//! The serial console: COM1, a 16550, behind [`log`].
//!
//! Lines are stunnel's, for the people and programs that read those: date and time (UTC), a level
//! as syslog counts them, whom the line is about, and the message.
//!
//! ```text
//! 2026.11.22 07:00:00 LOG5[0]: Service [x] accepted connection from 192.0.2.1:50000
//! ```
//!
//! Before the clock is known, and on a machine without one, a line begins with a sign for its level
//! instead: `[!]` for errors, `[:]` for warnings, `[.]` for notices and `[ ]` for the rest.
//!
//! A record whose target begins with `#` tells by the rest of the target whom it is about, such as
//! a connection's number, and is always written: who logs it has judged its importance. Every
//! other one is about the machine as a whole, `ui`.
//!
//! Nothing here allocates, panics or waits without bound: a host that stops reading costs log
//! lines, not connections.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::once::OneAtATime;
use crate::port::Port;
use crate::time::{self, Date};

/// COM1's registers (16550 data sheet): data, FIFO control, line control, modem control, status.
const COM1: u16 = 0x3f8;
/// Line status: the transmitter holds nothing, so a whole FIFO fits.
const TRANSMITTER_EMPTY: u8 = 1 << 5;
/// Bytes that the transmit FIFO holds.
const FIFO: usize = 16;
/// Status reads before a host that does not read is given up: tens of milliseconds, as each one
/// is a trip to the hypervisor.
const PATIENCE: u32 = 20_000;
/// Bytes gathered before they go to the port.
const BUFFER: usize = 256;
/// What crates of this workspace are called with.
const CRATE_PREFIX: &str = "stockade";
/// What a target begins with that tells whom a record is about.
const MARK: char = '#';
/// Whom every other record is about, in stunnel's words.
const MACHINE: &str = "ui";

/// The serial port.
struct Serial;

impl Serial {
    // SAFETY: every register of a 16550 is harmless to memory: it has no DMA.
    #[allow(unsafe_code)]
    const DATA: Port<u8> = unsafe { Port::new(COM1) };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    const INTERRUPTS: Port<u8> = unsafe { Port::new(COM1 + 1) };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    const FIFO_CONTROL: Port<u8> = unsafe { Port::new(COM1 + 2) };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    const LINE_CONTROL: Port<u8> = unsafe { Port::new(COM1 + 3) };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    const LINE_STATUS: Port<u8> = unsafe { Port::new(COM1 + 5) };

    /// 115,200 baud, 8 data bits, no parity, 1 stop bit, FIFOs on, no interrupts.
    fn set_up() {
        Self::INTERRUPTS.write(0);
        Self::LINE_CONTROL.write(0x80);
        Self::DATA.write(1);
        Self::INTERRUPTS.write(0);
        Self::LINE_CONTROL.write(0x03);
        Self::FIFO_CONTROL.write(0x07);
    }

    /// Writes bytes, a FIFO at a time. False when the host does not read: then they are dropped.
    fn write(bytes: &[u8]) -> bool {
        static STALLED: AtomicBool = AtomicBool::new(false);
        for chunk in bytes.chunks(FIFO) {
            // A host known to be stuck gets one look, not the full patience, until it reads again.
            let patience = match STALLED.load(Ordering::Relaxed) {
                true => 1,
                false => PATIENCE,
            };
            let ready = (0..patience).any(|_| Self::LINE_STATUS.read() & TRANSMITTER_EMPTY != 0);
            STALLED.store(!ready, Ordering::Relaxed);
            if !ready {
                return false;
            }
            Self::DATA.write_all(chunk);
        }
        true
    }
}

/// Gathers formatted text into writes of [`BUFFER`] bytes, with carriage returns added and other
/// control characters made visible, so that nobody's text can drive the operator's terminal.
struct Buffered<F: FnMut(&[u8]) -> bool> {
    bytes: [u8; BUFFER],
    length: usize,
    lost: u32,
    sink: F,
}

impl<F: FnMut(&[u8]) -> bool> Buffered<F> {
    fn new(sink: F) -> Self {
        Buffered {
            bytes: [0; BUFFER],
            length: 0,
            lost: 0,
            sink,
        }
    }

    fn push(&mut self, byte: u8) {
        if self.length == BUFFER {
            self.flush();
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn flush(&mut self) {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        if !(self.sink)(bytes) {
            self.lost += self.length as u32;
        }
        self.length = 0;
    }
}

impl<F: FnMut(&[u8]) -> bool> Write for Buffered<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'\n' => {
                    self.push(b'\r');
                    self.push(b'\n');
                }
                b'\t' => self.push(byte),
                0..0x20 | 0x7f => self.push(b'?'),
                _ => self.push(byte),
            }
        }
        Ok(())
    }
}

/// Bytes that were dropped since the last line that got through.
static LOST: AtomicU32 = AtomicU32::new(0);
/// Guards the port against a line inside a line (a message whose formatting logs).
static PORT: OneAtATime<()> = OneAtATime::new(());

/// Prints text, whoever is printing: for panics and exceptions.
pub fn print(arguments: fmt::Arguments<'_>) {
    LOST.fetch_add(write(arguments), Ordering::Relaxed);
}

/// Prints text and gives the number of bytes that the host did not take.
fn write(arguments: fmt::Arguments<'_>) -> u32 {
    let mut buffered = Buffered::new(Serial::write);
    let _ = buffered.write_fmt(arguments);
    buffered.flush();
    buffered.lost
}

/// Says how much was lost, once the host reads again.
fn report_loss(now: Option<u64>) {
    let lost = LOST.load(Ordering::Relaxed);
    if lost == 0 {
        return;
    }
    // What got through last was cut somewhere, so this begins a line of its own.
    let prefix = Prefix(now, Level::Warn, "");
    let is_through = write(format_args!(
        "\n{prefix}{lost} bytes of log lost: the host did not read the console\n"
    )) == 0;
    if is_through {
        LOST.fetch_sub(lost, Ordering::Relaxed);
    }
}

/// The logger.
struct Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        admits(log::max_level(), metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        PORT.try_with(|()| {
            let now = time::log_time();
            report_loss(now);
            let prefix = Prefix(now, record.level(), record.target());
            print(format_args!("{prefix}{}\n", record.args()));
        });
    }

    fn flush(&self) {}
}

/// Whether a line is written when the operator asked for `level`.
///
/// Crates from elsewhere log single packets and records, with warnings for whatever a peer does
/// against the rules, as often as strangers please; only who asks for everything gets that.
fn admits(level: LevelFilter, metadata: &Metadata<'_>) -> bool {
    if metadata.target().starts_with(MARK) {
        return true;
    }
    let ours = metadata.target().starts_with(CRATE_PREFIX);
    let level = match level {
        LevelFilter::Warn | LevelFilter::Info | LevelFilter::Debug if !ours => LevelFilter::Error,
        level => level,
    };
    metadata.level() <= level
}

/// A line's beginning: time, level and target.
struct Prefix<'a>(Option<u64>, Level, &'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Prefix(now, level, target) = *self;
        match now {
            Some(now) => {
                let date = Date::from_unix(now);
                let level = match level {
                    Level::Error => 3,
                    Level::Warn => 4,
                    Level::Info => 5,
                    Level::Debug => 6,
                    Level::Trace => 7,
                };
                let subject = target.strip_prefix(MARK).unwrap_or(MACHINE);
                write!(f, "{date} LOG{level}[{subject}]: ")?;
            }
            None => f.write_str(match level {
                Level::Error => "[!] ",
                Level::Warn => "[:] ",
                Level::Info => "[.] ",
                Level::Debug | Level::Trace => "[ ] ",
            })?,
        }
        // Our own parts are known by what they say.
        let foreign = !target.starts_with(MARK) && !target.starts_with(CRATE_PREFIX);
        match target.split("::").next() {
            Some(speaker) if foreign && !speaker.is_empty() => write!(f, "{speaker}: "),
            _ => Ok(()),
        }
    }
}

/// Sets the port up and takes everything that is logged, up to `level`.
///
/// A second call changes only the level.
pub fn start(level: LevelFilter) {
    static CONSOLE: Console = Console;
    if log::set_logger(&CONSOLE).is_ok() {
        Serial::set_up();
    }
    set_level(level);
}

/// Changes which messages are printed.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut written = Vec::new();
        let mut buffered = Buffered::new(|bytes: &[u8]| {
            written.extend_from_slice(bytes);
            true
        });
        buffered.write_str(text).expect("never fails");
        buffered.flush();
        assert_eq!(buffered.lost, 0);
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        check("plain\n", "plain\r\n");
        check("a\x1b[2Jb\x07\x7f\r\tc", "a?[2Jb???\tc");
        check("naïve", "naïve");
    }

    #[test]
    fn text_longer_than_the_buffer_arrives_whole() {
        let text = "0123456789".repeat(100);
        check(&text, &text);
    }

    #[test]
    fn packets_of_strangers_are_logged_only_when_everything_is() {
        let check = |asked, target, level, expected| {
            let metadata = Metadata::builder().target(target).level(level).build();
            assert_eq!(
                admits(asked, &metadata),
                expected,
                "{asked} {target} {level}"
            );
        };
        check(
            LevelFilter::Debug,
            "stockade_net::stack",
            Level::Debug,
            true,
        );
        check(LevelFilter::Debug, "smoltcp::iface", Level::Debug, false);
        check(LevelFilter::Debug, "rustls::server", Level::Warn, false);
        check(LevelFilter::Warn, "rustls::server", Level::Warn, false);
        check(LevelFilter::Info, "rustls::server", Level::Error, true);
        check(LevelFilter::Warn, "stockade_net::stack", Level::Warn, true);
        check(LevelFilter::Info, "stockade_tunnel", Level::Info, true);
        check(LevelFilter::Info, "stockade_tunnel", Level::Debug, false);
        check(LevelFilter::Error, "rustls", Level::Warn, false);
        check(LevelFilter::Trace, "smoltcp::iface", Level::Trace, true);
    }

    #[test]
    fn dropped_bytes_are_counted() {
        let mut buffered = Buffered::new(|_: &[u8]| false);
        buffered.write_str("seven b").expect("never fails");
        buffered.flush();
        assert_eq!(buffered.lost, 7);
    }

    #[test]
    fn a_line_begins_as_stunnel_s() {
        let check = |now, level, target, expected| {
            assert_eq!(Prefix(now, level, target).to_string(), expected);
        };
        let now = Some(1_795_330_800);
        check(now, Level::Info, "#17", "2026.11.22 07:00:00 LOG5[17]: ");
        check(now, Level::Error, "#ui", "2026.11.22 07:00:00 LOG3[ui]: ");
        check(
            now,
            Level::Warn,
            "stockade_net::stack",
            "2026.11.22 07:00:00 LOG4[ui]: ",
        );
        check(
            now,
            Level::Trace,
            "smoltcp::iface",
            "2026.11.22 07:00:00 LOG7[ui]: smoltcp: ",
        );
        check(None, Level::Error, "stockade_kernel", "[!] ");
        check(None, Level::Warn, "rustls::server", "[:] rustls: ");
        check(None, Level::Info, "#ui", "[.] ");
        check(None, Level::Debug, "#3", "[ ] ");
    }

    #[test]
    fn who_marks_a_record_has_judged_its_importance() {
        let metadata = Metadata::builder().target("#0").level(Level::Trace).build();
        assert!(admits(LevelFilter::Error, &metadata));
    }
}
