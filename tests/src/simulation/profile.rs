//! Kinds of links, and how much can be expected of connections over them.

use std::time::Duration;

use stockade_net::Instant;

use super::link::Conditions;
use super::plan::{LONGEST, Mix};
use super::random::Random;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A kind of run.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name, also that of its test.
    pub name: &'static str,
    /// Connections in one world.
    pub clients: u32,
    /// The time over which they begin.
    pub spread: Duration,
    /// How the parties behave.
    pub mix: Mix,
    /// What the link does, towards the server and towards the host.
    pub link: fn(&mut Random) -> [Conditions; 2],
    /// Whether the server may have fewer places than there are clients.
    pub crowded: bool,
    /// Of 100 connections whose two parties behave, how many must end in order.
    ///
    /// 100 where nothing is lost: there is no excuse. Where frames are lost, a connection may meet
    /// the bounds of its handshake (4 SYNs, 10 s to the backend) by bad luck.
    pub reliable: usize,
}

/// The usual mix.
const MIX: Mix = Mix {
    longest: LONGEST,
    misbehaving: 15,
    patience: Duration::from_secs(20),
};

/// Nothing goes wrong on the link.
pub const CLEAN: Profile = Profile {
    name: "clean",
    clients: 250,
    spread: Duration::from_secs(20),
    mix: MIX,
    link: |random| {
        let delay = random.time(2 * MILLISECOND);
        both(|| Conditions {
            delay,
            ..Conditions::default()
        })
    },
    crowded: false,
    reliable: 100,
};

/// Every hundredth frame is lost.
pub const LOSS: Profile = Profile {
    name: "loss",
    clients: 100,
    spread: Duration::from_secs(20),
    mix: Mix {
        longest: LONGEST / 8,
        ..MIX
    },
    link: |random| {
        let delay = random.time(20 * MILLISECOND);
        both(|| Conditions {
            delay,
            loss: 100,
            ..Conditions::default()
        })
    },
    crowded: false,
    reliable: 99,
};

/// Every twentieth frame is lost, and every twentieth comes late.
pub const LOSS_AND_REORDERING: Profile = Profile {
    name: "loss_and_reordering",
    link: |random| {
        let delay = random.time(20 * MILLISECOND);
        both(|| Conditions {
            delay,
            loss: 500,
            reordering: 500,
            lateness: 10 * MILLISECOND,
            ..Conditions::default()
        })
    },
    mix: Mix {
        longest: LONGEST / 32,
        ..MIX
    },
    reliable: 95,
    ..LOSS
};

/// Every tenth frame comes twice, and every tenth comes late.
pub const DUPLICATION: Profile = Profile {
    name: "duplication",
    link: |random| {
        let delay = random.time(5 * MILLISECOND);
        both(|| Conditions {
            delay,
            duplication: 1000,
            reordering: 1000,
            lateness: 3 * MILLISECOND,
            ..Conditions::default()
        })
    },
    clients: 150,
    reliable: 100,
    ..CLEAN
};

/// One bit in every hundredth frame flips.
pub const BIT_ERRORS: Profile = Profile {
    name: "bit_errors",
    link: |random| {
        let delay = random.time(5 * MILLISECOND);
        both(|| Conditions {
            delay,
            bit_errors: 100,
            ..Conditions::default()
        })
    },
    ..LOSS
};

/// 8 to 64 kB a second, with a queue that overflows.
pub const TINY_RATE: Profile = Profile {
    name: "tiny_rate",
    clients: 30,
    spread: Duration::from_secs(60),
    mix: Mix {
        longest: LONGEST / 16,
        ..MIX
    },
    link: |random| {
        let rate = random.within(8_000..=64_000) as u64;
        let queue = random.within(10_000..=40_000);
        both(|| Conditions {
            delay: 10 * MILLISECOND,
            rate: Some(rate),
            queue,
            ..Conditions::default()
        })
    },
    crowded: false,
    reliable: 97,
};

/// A card whose ring is full most of the time: it takes no frame, but loses none.
pub const FULL_RING: Profile = Profile {
    name: "full_ring",
    link: |random| {
        let rate = random.within(200_000..=2_000_000) as u64;
        let ring = random.within(3_000..=30_000);
        both(|| Conditions {
            delay: MILLISECOND,
            rate: Some(rate),
            ring: Some(ring),
            ..Conditions::default()
        })
    },
    clients: 100,
    spread: Duration::from_secs(60),
    reliable: 100,
    ..CLEAN
};

/// A satellite's way: 300 ms each direction, sometimes uneven.
pub const LONG_DELAY: Profile = Profile {
    name: "long_delay",
    link: |random| {
        let uneven = random.time(300 * MILLISECOND);
        let mut link = both(|| Conditions {
            delay: 300 * MILLISECOND,
            ..Conditions::default()
        });
        link[0].delay = uneven;
        link
    },
    reliable: 100,
    ..CLEAN
};

/// Nothing passes one way for seconds, several times, now and then one after the other: longer than
/// a handshake may take.
pub const BLACKOUT: Profile = Profile {
    name: "blackout",
    link: |random| {
        let mut link = both(|| Conditions {
            delay: MILLISECOND,
            ..Conditions::default()
        });
        for _ in 0..random.within(1..=4) {
            let side = random.within(0..=1);
            let start = Instant::ZERO + random.time(60 * SECOND);
            let end = start + random.time(8 * SECOND);
            link[side].blackouts.push(start..end);
        }
        link
    },
    clients: 150,
    spread: Duration::from_secs(40),
    reliable: 80,
    ..CLEAN
};

/// Parties that take minutes over everything, so that the tunnel's own time limits come in.
pub const PATIENCE: Profile = Profile {
    name: "patience",
    mix: Mix {
        longest: LONGEST / 2,
        misbehaving: 30,
        patience: Duration::from_secs(400),
    },
    clients: 150,
    // Time limits may end any of them.
    reliable: 0,
    ..CLEAN
};

/// All at once: more connections than are admitted.
pub const CROWD: Profile = Profile {
    name: "crowd",
    mix: Mix {
        longest: 20_000,
        ..MIX
    },
    crowded: true,
    clients: 600,
    spread: SECOND,
    // Who comes when all places are taken is refused.
    reliable: 0,
    ..CLEAN
};

/// Everything at once.
pub const CHAOS: Profile = Profile {
    name: "chaos",
    link: |random| {
        let mut link = (BLACKOUT.link)(random);
        for conditions in &mut link {
            conditions.delay = random.time(50 * MILLISECOND);
            conditions.loss = random.below(300);
            conditions.duplication = random.below(300);
            conditions.reordering = random.below(300);
            conditions.lateness = random.time(50 * MILLISECOND);
            conditions.bit_errors = random.below(50);
            conditions.rate = Some(random.within(100_000..=10_000_000) as u64);
            conditions.queue = random.within(20_000..=200_000);
            if random.happens(1, 3) {
                conditions.ring = Some(random.within(3_000..=30_000));
            }
        }
        link
    },
    mix: Mix {
        longest: LONGEST / 16,
        misbehaving: 40,
        patience: Duration::from_secs(60),
    },
    crowded: true,
    clients: 100,
    reliable: 0,
    ..BLACKOUT
};

/// Every profile.
pub const ALL: [Profile; 12] = [
    CLEAN,
    LOSS,
    LOSS_AND_REORDERING,
    DUPLICATION,
    BIT_ERRORS,
    TINY_RATE,
    FULL_RING,
    LONG_DELAY,
    BLACKOUT,
    PATIENCE,
    CROWD,
    CHAOS,
];

fn both(conditions: impl Fn() -> Conditions) -> [Conditions; 2] {
    [conditions(), conditions()]
}
