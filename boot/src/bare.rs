//! The bare machine as the product sees it.

use core::time::Duration;

use stockade_kernel::Machine;
use stockade_kernel::machine::Card;
use stockade_tunnel::Instant;

/// The kernel's machine behind the product's trait.
pub struct BareMachine(pub Machine);

impl stockade_tunnel::Machine for BareMachine {
    type Nic = Card;

    fn nic(&mut self) -> &mut Card {
        self.0.nic()
    }

    fn mac(&self) -> [u8; 6] {
        self.0.mac()
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.0.now()
    }

    fn wall_clock(&self) -> u64 {
        self.0.wall_clock()
    }

    fn fill_entropy(&mut self, bytes: &mut [u8]) {
        self.0.fill_entropy(bytes);
    }

    fn heap_free(&self) -> usize {
        self.0.heap_free()
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn idle_until(&mut self, deadline: Option<Instant>) {
        let deadline = deadline.map(|instant| Duration::from_micros(instant.as_micros()));
        self.0.idle_until(deadline);
    }
    fn has_channel(&self) -> bool {
        self.0.has_channel()
    }

    fn channel_receive(&mut self, bytes: &mut [u8]) -> usize {
        self.0.channel_receive(bytes)
    }

    fn channel_send(&mut self, bytes: &[u8]) -> usize {
        self.0.channel_send(bytes)
    }
}
