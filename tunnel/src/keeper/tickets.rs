//! Notices that wait for what comes of them.

use alloc::{collections::VecDeque, string::String, vec::Vec};

use super::Reloaded;

/// Most notices that wait at once.
const MOST: usize = 64;

/// Notices by the numbers that their bearers were given.
#[derive(Default)]
pub(super) struct Tickets {
    last: u64,
    /// No reading of the store has begun since.
    new: Vec<u64>,
    /// The store is being read for them.
    reading: Vec<u64>,
    /// What was read is being put in force.
    installing: Vec<u64>,
    concluded: VecDeque<(u64, Reloaded)>,
}

impl Tickets {
    /// A number for a notice.
    pub(super) fn draw(&mut self) -> u64 {
        self.last += 1;
        let waiting = self.new.len() + self.reading.len() + self.installing.len();
        match waiting < MOST {
            true => self.new.push(self.last),
            false => {
                let why = Reloaded::Failed(String::from("too many wait for the store at once"));
                self.concluded.push_back((self.last, why));
            }
        }
        self.last
    }

    /// The store is being read from now on.
    pub(super) fn read(&mut self) {
        self.reading.append(&mut self.new);
    }

    /// It was read.
    pub(super) fn install(&mut self) {
        self.installing.append(&mut self.reading);
    }

    /// It can't be read.
    pub(super) fn fail(&mut self, why: &str) {
        for ticket in core::mem::take(&mut self.reading) {
            let why = Reloaded::Failed(why.into());
            self.concluded.push_back((ticket, why));
        }
    }

    /// What was read is in force.
    pub(super) fn conclude(&mut self, reloaded: &Reloaded) {
        for ticket in core::mem::take(&mut self.installing) {
            self.concluded.push_back((ticket, reloaded.clone()));
        }
    }

    pub(super) fn concluded(&mut self) -> Option<(u64, Reloaded)> {
        self.concluded.pop_front()
    }
}
