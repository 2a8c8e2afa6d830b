//! The whole tunnel on a virtual link and a virtual clock.
//!
//! At one end of the link is the real [`Server`](stockade_tunnel::server::Server) on a
//! [`machine`]; at the other a [`host`] with many TLS clients and the plaintext backend, over the
//! same TCP/IP stack. Everything that is left to chance comes from one seed: what each [`party`]
//! does ([`plan`]), what the [`link`] loses, repeats, delays and reorders ([`profile`]), buffer
//! sizes, MTU, offloads. The bytes of keys and records do not, but their lengths are fixed, so a
//! seed replays: same frames, same times.
//!
//! What must be true of every run:
//!
//! - What one side read is a prefix of what the other wrote; who is told that it is complete has
//!   all of it; everybody else is told of an error.
//! - Every connection ends within a bounded time.
//! - At the end every session, socket and admission is given back, and the server asks for no
//!   wake-up.
//! - Where the link loses nothing, connections on which nobody misbehaves end in order.

pub mod card;
pub mod content;
pub mod host;
pub mod journal;
pub mod link;
pub mod machine;
pub mod party;
pub mod plan;
pub mod profile;
pub mod random;
pub mod trace;
pub mod verdict;
pub mod world;

use std::env;
use std::thread;
use std::time::Instant;

use profile::Profile;
use verdict::Report;
use world::World;

/// Names one seed to run instead of the usual ones, decimal or `0x` hexadecimal; log lines of all
/// parts are then printed with their virtual time (see them with `--nocapture`).
pub const SEED_VARIABLE: &str = "STOCKADE_SEED";

/// Names one client, by its number: the others do not begin. Together with a seed.
pub const ONLY_VARIABLE: &str = "STOCKADE_ONLY";

/// When set, every frame is printed. Together with a seed.
pub const FRAMES_VARIABLE: &str = "STOCKADE_FRAMES";

/// How many seeds to run instead of the usual number, for a long search.
pub const ROUNDS_VARIABLE: &str = "STOCKADE_ROUNDS";

/// The first of the usual seeds.
const FIRST_SEED: u64 = 1;

/// Runs `rounds` seeds of a profile, or those that the environment names, and gives their reports.
///
/// Panics when anything is wrong with one of them, after printing its seed.
pub fn run(profile: &Profile, rounds: u64) -> Vec<Report> {
    let started = Instant::now();
    let reports: Vec<Report> = match number(SEED_VARIABLE) {
        Some(seed) => {
            journal::open(log::LevelFilter::Debug);
            vec![replay(profile, seed)]
        }
        None => {
            let rounds = number(ROUNDS_VARIABLE).unwrap_or(rounds);
            (FIRST_SEED..FIRST_SEED + rounds)
                .map(|seed| replay(profile, seed))
                .collect()
        }
    };
    let connections: usize = reports.iter().map(|report| report.clients).sum();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{}: {} seeds, {connections} connections in {seconds:.1} s, {:.0} a second",
        profile.name,
        reports.len(),
        connections as f64 / seconds
    );
    reports
}

/// Runs one seed of a profile. If it fails, says how to run it again.
pub fn replay(profile: &Profile, seed: u64) -> Report {
    let name = Named { profile, seed };
    let only = number(ONLY_VARIABLE).and_then(|only| u32::try_from(only).ok());
    let print = env::var_os(FRAMES_VARIABLE).is_some();
    let report = World::new(name.profile, name.seed, only, print).run();
    println!("{} seed {seed}: {report}", profile.name);
    report
}

/// Prints the seed when the run that it names panics.
struct Named<'a> {
    profile: &'a Profile,
    seed: u64,
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "To see this run again: {SEED_VARIABLE}={:#x} cargo test --package stockade-tests \
                 --test simulation {} -- --exact --nocapture",
                self.seed, self.profile.name
            );
        }
    }
}

/// A number from the environment; panics when it is none.
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|error| panic!("{variable}={text:?}: {error}")))
}
