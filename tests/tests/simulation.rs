//! The whole tunnel on virtual links that lose, repeat, delay and reorder, run from seeds.
//!
//! One test per kind of link; see [`stockade_tests::simulation`] for what is checked and for the
//! variables that replay a seed.

use stockade_tests::simulation::profile;
use stockade_tests::simulation::{replay, run};

#[test]
fn clean() {
    let reports = run(&profile::CLEAN, 4);
    let served: usize = reports.iter().map(|report| report.count("orderly")).sum();
    let parties: usize = reports.iter().map(|r| r.clients + r.backends).sum();
    assert!(
        served * 2 > parties,
        "only {served} of {parties} are served"
    );
}

#[test]
fn loss() {
    run(&profile::LOSS, 4);
}

#[test]
fn loss_and_reordering() {
    run(&profile::LOSS_AND_REORDERING, 4);
}

#[test]
fn duplication() {
    run(&profile::DUPLICATION, 4);
}

#[test]
fn bit_errors() {
    run(&profile::BIT_ERRORS, 4);
}

#[test]
fn tiny_rate() {
    run(&profile::TINY_RATE, 4);
}

#[test]
fn full_ring() {
    run(&profile::FULL_RING, 4);
}

#[test]
fn long_delay() {
    run(&profile::LONG_DELAY, 4);
}

#[test]
fn blackout() {
    run(&profile::BLACKOUT, 4);
}

#[test]
fn patience() {
    run(&profile::PATIENCE, 4);
}

#[test]
fn crowd() {
    run(&profile::CROWD, 4);
}

#[test]
fn chaos() {
    run(&profile::CHAOS, 8);
}

/// The same frames at the same times.
#[test]
fn a_seed_replays_exactly() {
    for profile in [profile::CLEAN, profile::CHAOS] {
        assert_eq!(replay(&profile, 99), replay(&profile, 99));
    }
}
