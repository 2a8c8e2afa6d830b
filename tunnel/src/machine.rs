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

    /// Bytes of heap not in use; asked at start, to size admission control, and whenever another
    /// configuration comes, to see what it takes.
    fn heap_free(&self) -> usize;

    /// Tells the card about the frames queued since the last call, with one notification, and the
    /// channel about its bytes.
    fn flush(&mut self);

    /// Halts until `deadline` or until the card or the management channel has work, whichever is
    /// first.
    ///
    /// May return early. Must check for pending work with interrupts masked, so that a frame
    /// arriving just before the halt is never slept through.
    fn idle_until(&mut self, deadline: Option<Instant>);

    /// Whether the machine has a management channel: bytes in both directions, to and from
    /// whoever started it. Bytes may get lost anywhere in it. Asked once, at start.
    fn has_channel(&self) -> bool {
        false
    }

    /// Takes bytes that have come in over the channel; how many, 0 when there are none.
    fn channel_receive(&mut self, _bytes: &mut [u8]) -> usize {
        0
    }

    /// Queues bytes for the channel, sent with the next [`flush`](Self::flush); how many were
    /// taken, 0 when there is no room now. [`idle_until`](Self::idle_until) returns once there is
    /// room again.
    fn channel_send(&mut self, _bytes: &[u8]) -> usize {
        0
    }
}
