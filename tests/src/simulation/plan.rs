//! What the two parties of a connection do, drawn from a seed.

use std::time::Duration;

use stockade_tls::Version;

use super::random::Random;

/// The most that one side writes, in bytes.
pub const LONGEST: usize = 1 << 20;

/// Bytes in front of what a side writes that say who it is: see
/// [`Writing`](super::content::Writing).
pub const HEADER: usize = 8;

/// How one side of a connection behaves.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How the connection begins; backends only know [`Opening::Proper`].
    pub opening: Opening,
    /// Before the first byte is written.
    pub delay: Duration,
    /// Bytes to write in all: none, or at least a header.
    pub length: usize,
    /// Bytes written at once at most.
    pub chunk: usize,
    /// Between two writes.
    pub pause: Duration,
    /// How it reads.
    pub reading: Reading,
    /// How it ends.
    pub ending: Ending,
    /// Whether the stream is given up as soon as both directions have ended and all has arrived, or
    /// kept until TCP has finished.
    pub hurried: bool,
}

/// How a client begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With a TLS handshake in this version (a backend: as plain TCP).
    Proper(Version),
    /// With nothing at all, for ever.
    Silent,
    /// With bytes that are no TLS.
    Garbage,
    /// With the first half of a ClientHello, and then nothing.
    HalfHello,
    /// With the first half of a ClientHello, and then FIN.
    HalfHelloFin,
    /// With the first half of a ClientHello, and then RST.
    HalfHelloReset,
}

/// How a side reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Everything as it comes.
    Eager,
    /// So many bytes, so often.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// Time from one to the next.
        every: Duration,
    },
    /// Everything, but with one long pause.
    Pause {
        /// Bytes read before the pause.
        after: usize,
        /// How long it is.
        length: Duration,
    },
    /// Nothing more after so many bytes; after so long it resets.
    Stops {
        /// Bytes read before.
        after: usize,
        /// Patience until the reset.
        patience: Duration,
    },
}

/// How a side ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Ends its direction as soon as everything is written.
    Finish,
    /// Ends its direction once everything is written and the peer has ended.
    FinishAfterPeer,
    /// A client's close_notify without FIN; the FIN comes when the peer has ended.
    NotifyAlone,
    /// A client's FIN without close_notify, after so many written bytes.
    FinAlone(usize),
    /// RST after so many written bytes.
    Reset(usize),
    /// RST after so many read bytes, or when there is nothing more to do.
    ResetAfterReading(usize),
    /// A client's bytes that are no record, after so many written bytes.
    Garbage(usize),
    /// A client that is switched off after so many written bytes: it neither sends nor receives.
    Vanish(usize),
}

/// Which plans a world draws from.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// The most that one side writes, in bytes.
    pub longest: usize,
    /// Sides in 100 that misbehave: resets, garbage, truncation, readers that stop.
    pub misbehaving: u64,
    /// Longest pause of a side that behaves.
    pub patience: Duration,
}

impl Plan {
    /// A client's plan.
    pub fn client(random: &mut Random, mix: &Mix) -> Plan {
        let mut plan = Plan::either(random, mix);
        let versions = [Version::Tls13, Version::Tls13, Version::Tls12];
        plan.opening = Opening::Proper(random.pick(&versions));
        if plan.ending == Ending::Finish && random.happens(1, 5) {
            plan.ending = Ending::NotifyAlone;
        }
        if random.happens(mix.misbehaving, 100) {
            let after = plan.part(random);
            match random.below(10) {
                0 => plan.opening = Opening::Silent,
                1 => plan.opening = Opening::Garbage,
                2 => plan.opening = Opening::HalfHello,
                3 => plan.opening = Opening::HalfHelloFin,
                4 => plan.opening = Opening::HalfHelloReset,
                5 => plan.ending = Ending::FinAlone(after),
                6 => plan.ending = Ending::Garbage(after),
                7 => plan.ending = Ending::Vanish(after),
                _ => plan.misbehave(random),
            }
        }
        plan
    }

    /// A backend's plan.
    pub fn backend(random: &mut Random, mix: &Mix) -> Plan {
        let mut plan = Plan::either(random, mix);
        if random.happens(mix.misbehaving, 200) {
            plan.misbehave(random);
        }
        plan
    }

    fn either(random: &mut Random, mix: &Mix) -> Plan {
        let length = match random.below(6) {
            0 => 0,
            _ => random.size(mix.longest).max(HEADER),
        };
        let pauses = random.happens(1, 4);
        let writes = 20;
        let (chunk, pause) = match pauses {
            true => (
                (length / writes).max(1),
                random.time(mix.patience / writes as u32 / 4),
            ),
            // Small writes, but not so many of them that the run is about nothing else.
            false => (random.size(LONGEST).max(length / 200), Duration::ZERO),
        };
        let slow = Reading::Slow {
            bytes: (LONGEST / 100).min(random.within(500..=40_000)),
            every: random.time(Duration::from_millis(100)),
        };
        let pause_reading = Reading::Pause {
            after: random.size(mix.longest),
            length: random.time(mix.patience),
        };
        let reading = random.pick(&[Reading::Eager, Reading::Eager, slow, pause_reading]);
        let ending = random.pick(&[Ending::Finish, Ending::Finish, Ending::FinishAfterPeer]);
        Plan {
            opening: Opening::Proper(Version::Tls13),
            delay: match random.below(3) {
                0 => random.time(mix.patience / 4),
                _ => Duration::ZERO,
            },
            length,
            chunk,
            pause,
            reading,
            ending,
            hurried: random.happens(1, 2),
        }
    }

    /// How much of what is to be written: nothing, or at least the header.
    fn part(&self, random: &mut Random) -> usize {
        match random.within(0..=self.length) {
            0 => 0,
            some => some.max(HEADER),
        }
    }

    fn misbehave(&mut self, random: &mut Random) {
        let after = self.part(random);
        match random.below(3) {
            0 => self.ending = Ending::Reset(after),
            1 => self.ending = Ending::ResetAfterReading(random.size(LONGEST)),
            _ => {
                self.reading = Reading::Stops {
                    after: random.size(LONGEST),
                    patience: random.time(Duration::from_secs(400)),
                }
            }
        }
    }

    /// Whether this side alone gives no reason for a failure.
    pub fn behaves(&self) -> bool {
        matches!(self.opening, Opening::Proper(_))
            && !matches!(self.reading, Reading::Stops { .. })
            && matches!(
                self.ending,
                Ending::Finish | Ending::FinishAfterPeer | Ending::NotifyAlone
            )
    }

    /// Whether two sides that behave come to an end by themselves: not when each waits for the
    /// other.
    pub fn ends_with(&self, other: &Plan) -> bool {
        let waits = |plan: &Plan| plan.ending == Ending::FinishAfterPeer;
        self.behaves() && other.behaves() && !(waits(self) && waits(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIX: Mix = Mix {
        longest: LONGEST,
        misbehaving: 30,
        patience: Duration::from_secs(20),
    };

    #[test]
    fn plans_of_every_kind_are_drawn() {
        let mut random = Random::new(3);
        let plans: Vec<Plan> = (0..2000).map(|_| Plan::client(&mut random, &MIX)).collect();
        let count = |wanted: fn(&Plan) -> bool| plans.iter().filter(|plan| wanted(plan)).count();
        let kinds: [fn(&Plan) -> bool; 12] = [
            |plan| plan.length == 0,
            |plan| plan.length > 100_000,
            |plan| plan.opening == Opening::Silent,
            |plan| plan.opening == Opening::HalfHelloFin,
            |plan| plan.opening == Opening::Proper(Version::Tls12),
            |plan| plan.ending == Ending::NotifyAlone,
            |plan| matches!(plan.ending, Ending::FinAlone(_)),
            |plan| matches!(plan.ending, Ending::Garbage(_)),
            |plan| matches!(plan.ending, Ending::Vanish(_)),
            |plan| matches!(plan.ending, Ending::Reset(_)),
            |plan| matches!(plan.reading, Reading::Stops { .. }),
            |plan| matches!(plan.reading, Reading::Slow { .. }),
        ];
        for (index, kind) in kinds.into_iter().enumerate() {
            assert!(count(kind) > 10, "kind {index}: {}", count(kind));
        }
        assert!(count(Plan::behaves) > 1200);
    }
}
