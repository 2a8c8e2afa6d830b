//! What the product needs from whatever it runs on.

use net::{Instant, phy::Device};

/// The one boundary between the product and the machine under it.
///
/// Implemented by the bare machine in `boot`, and by a Linux process in `tests`. Nothing here
/// fails: a machine that cannot provide these does not start.
pub trait Machine {
    /// The network card.
    type Nic: Device;

    /// The network card; frames move only inside [`net::Stack`]'s methods.
    fn nic(&mut self) -> &mut Self::Nic;

    /// The card's MAC address.
    fn mac(&self) -> [u8; 6];

    /// Monotonic time since power-on; never goes backwards.
    fn now(&self) -> Instant;

    /// Wall-clock time in seconds since 1970-01-01 UTC, for certificates and tickets.
    fn wall_clock(&self) -> u64;

    /// Fills `bytes` from the machine's cryptographic generator.
    fn fill_entropy(&mut self, bytes: &mut [u8]);

    /// Bytes of heap not in use; asked once, at start, to size admission control.
    fn heap_free(&self) -> usize;

    /// Tells the card about the frames queued since the last call, with one notification.
    fn flush(&mut self);

    /// Halts until `deadline` or until the card has work, whichever is first.
    ///
    /// May return early. Must check for pending work with interrupts masked, so that a frame
    /// arriving just before the halt is never slept through.
    fn idle_until(&mut self, deadline: Option<Instant>);
}
