//! The machine under the simulated server: a card on the link, and the virtual clock.

use stockade_net::Instant;
use stockade_tunnel::Machine;

use super::card::Card;
use super::world::WALL_CLOCK;

/// A machine whose time is what the run says.
pub struct SimulatedMachine {
    card: Card,
    now: Instant,
}

impl SimulatedMachine {
    /// Its card's address; the last byte differs from the host's.
    pub const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

    /// A machine whose clock shows `now`.
    pub fn new(card: Card, now: Instant) -> SimulatedMachine {
        SimulatedMachine { card, now }
    }

    /// Puts the clock forward.
    pub fn set_time(&mut self, now: Instant) {
        self.now = now;
    }
}

impl Machine for SimulatedMachine {
    type Nic = Card;

    fn nic(&mut self) -> &mut Card {
        &mut self.card
    }

    fn mac(&self) -> [u8; 6] {
        Self::MAC
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn wall_clock(&self) -> u64 {
        WALL_CLOCK + self.now.as_micros() / 1_000_000
    }

    fn fill_entropy(&mut self, bytes: &mut [u8]) {
        // Asked for at start alone, which the run does itself.
        bytes.fill(7);
    }

    fn heap_free(&self) -> usize {
        usize::MAX
    }

    fn flush(&mut self) {}

    fn idle_until(&mut self, _deadline: Option<Instant>) {}
}
