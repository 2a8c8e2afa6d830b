//! How long to wait before a machine takes another one's place.

use std::time::Duration;

use super::options::Pauses;

/// A growing pause.
pub(super) struct Pause {
    bounds: Pauses,
    next: Duration,
}

impl Pause {
    pub(super) fn new(bounds: Pauses) -> Pause {
        Pause {
            next: bounds.first,
            bounds,
        }
    }

    /// The pause after a machine that served for so long, if it served at all.
    pub(super) fn after(&mut self, served: Option<Duration>) -> Duration {
        if served.is_some_and(|served| served >= self.bounds.settled_after) {
            self.next = self.bounds.first;
        }
        let pause = self.next.min(self.bounds.longest);
        self.next = (pause * 2).min(self.bounds.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_while_of_serving() {
        let mut pause = Pause::new(Pauses::default());
        let mut millis =
            |served: Option<u64>| pause.after(served.map(Duration::from_secs)).as_millis();
        let row = [
            100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
        ];
        assert_eq!(row.map(|_| millis(Some(59))), row);
        assert_eq!(millis(None), 30_000);
        assert_eq!(millis(Some(60)), 100);
        assert_eq!(millis(Some(1)), 200);
    }
}
