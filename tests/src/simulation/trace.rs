//! What happened on the link, as one number to compare runs by and, on demand, as text.

use std::cell::Cell;
use std::rc::Rc;

use smoltcp::wire::{EthernetFrame, PrettyPrinter};
use stockade_net::Instant;

/// Follows a run. Clones follow the same one.
#[derive(Clone)]
pub struct Trace {
    digest: Rc<Cell<u64>>,
    print: bool,
}

impl Trace {
    /// A trace that prints every frame, or none.
    pub fn new(print: bool) -> Trace {
        Trace {
            digest: Rc::new(Cell::new(0xcbf2_9ce4_8422_2325)),
            print,
        }
    }

    /// A number that is the same for two runs when they sent frames of the same lengths at the
    /// same times. (Their bytes differ: keys come from the system's entropy.)
    pub fn digest(&self) -> u64 {
        self.digest.get()
    }

    /// A frame is sent.
    pub fn frame(&self, direction: &str, frame: &[u8], now: Instant) {
        // FNV-1a over words.
        let fold = |digest: u64, word: u64| (digest ^ word).wrapping_mul(0x0100_0000_01b3);
        let digest = fold(self.digest.get(), now.as_micros());
        let side = direction.len() as u64;
        self.digest
            .set(fold(digest, frame.len() as u64 ^ side << 32));
        if self.print {
            let text = PrettyPrinter::<EthernetFrame<&[u8]>>::new("", &frame).to_string();
            let words: Vec<&str> = text.split_whitespace().collect();
            println!("{} {direction}: {}", stamp(now), words.join(" "));
        }
    }

    /// The frame just sent does not arrive.
    pub fn lost(&self, direction: &str, now: Instant) {
        if self.print {
            println!("{} {direction}: lost", stamp(now));
        }
    }
}

/// Virtual time in seconds.
pub fn stamp(now: Instant) -> String {
    format!("[{:13.6}]", now.as_micros() as f64 / 1e6)
}
