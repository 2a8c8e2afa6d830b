//! The measurements, one function each.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::load::{Target, Work};
use super::machine::{Counters, Machine};
use super::subject::{Mode, Native, Running, Subject};

/// Memory of a guest whose memory is not what is measured, in MiB.
const MEMORY_MIB: u32 = 256;
/// How long a guest with enough memory may take to serve, on a busy machine.
const BOOT_MOST: Duration = Duration::from_secs(60);
/// How long a guest may take before its memory counts as too small, as a multiple of what it
/// takes with all of it, and never less than so long.
const SMALL_BOOT_MOST: (u32, Duration) = (5, Duration::from_secs(5));
/// How long a guest is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(4);
/// How long idleness is watched.
const IDLE: Duration = Duration::from_secs(4);
/// How long a guest may still tidy up after a piece of work.
const TIDY_UP: Duration = Duration::from_millis(300);
/// First wait for a connection to be accepted; later ones are a tenth of the time so far.
const ATTEMPT_LEAST: Duration = Duration::from_millis(5);
/// Longest wait for a connection to be accepted.
const ATTEMPT_MOST: Duration = Duration::from_millis(250);
/// What a guest must serve with the least memory.
const SMALL_WORK: Work = Work::Handshakes(40);

/// When a guest first served, from QEMU's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstServed {
    /// The first byte of the server's handshake.
    pub first_byte: Duration,
    /// A completed handshake, and one byte to the backend and back.
    pub served: Duration,
    /// Processor time that QEMU had used by then.
    pub processor_time: Duration,
}

/// Starts a guest and waits until it serves.
pub fn boot(
    subject: &Subject,
    mode: Mode,
    plugin: Option<&Path>,
) -> io::Result<(Running, FirstServed)> {
    let mut running = subject.start(MEMORY_MIB, mode, plugin)?;
    let first = first_served(&mut running, BOOT_MOST)?;
    Ok((running, first))
}

fn first_served(running: &mut Running, limit: Duration) -> io::Result<FirstServed> {
    let Running {
        machine, target, ..
    } = running;
    loop {
        machine.check()?;
        if machine.age() > limit {
            return Err(machine.error(&format!("no connection within {limit:?}")));
        }
        let patience = (machine.age() / 10).clamp(ATTEMPT_LEAST, ATTEMPT_MOST);
        if let Ok(first) = try_first(machine, target, patience) {
            return Ok(first);
        }
        // A refusal comes at once.
        thread::sleep(Duration::from_millis(1));
    }
}

fn try_first(machine: &Machine, target: &Target, patience: Duration) -> io::Result<FirstServed> {
    let mut stream = target.client.connect(target.server, patience)?;
    let first_byte = stream.first_byte().ok_or(io::ErrorKind::UnexpectedEof)?;
    target.first(&mut stream)?;
    let served = machine.age();
    let processor_time = machine.processor_time()?;
    stream.close()?;
    Ok(FirstServed {
        first_byte: first_byte - machine.started(),
        served,
        processor_time,
    })
}

/// Processor time of an idle guest over four seconds, in ticks of 10 ms.
pub fn idle_ticks(running: &Running) -> io::Result<u64> {
    thread::sleep(SETTLE);
    let before = running.machine.processor_ticks()?;
    thread::sleep(IDLE);
    Ok(running.machine.processor_ticks()? - before)
}

/// Instructions of an idle guest in four seconds.
pub fn idle_instructions(running: &Running) -> u64 {
    thread::sleep(SETTLE);
    let before = running.machine.counters();
    thread::sleep(IDLE);
    running.machine.counters().instructions - before.instructions
}

/// Smallest memory in MiB with which the subject serves, between `least` and `most`; `tried` is
/// told each answer.
pub fn smallest_memory(
    subject: &Subject,
    least: u32,
    most: u32,
    mut tried: impl FnMut(u32, bool),
) -> io::Result<u32> {
    let mut limit = BOOT_MOST;
    smallest(least, most, |memory| {
        let served = serves_with(subject, memory, limit);
        tried(memory, served.is_ok());
        if let (true, Ok(first)) = (memory == most, &served) {
            let (times, minimum) = SMALL_BOOT_MOST;
            limit = (times * first.served).clamp(minimum, BOOT_MOST);
        }
        served.is_ok()
    })
    .ok_or_else(|| io::Error::other(format!("it does not serve with {most} MiB")))
}

/// The smallest number from `least` to `most` that passes, to within a thirty-second of it. A
/// number above one that passes is taken to pass.
fn smallest(least: u32, most: u32, mut passes: impl FnMut(u32) -> bool) -> Option<u32> {
    if !passes(most) {
        return None;
    }
    let (mut fails, mut good) = (least.saturating_sub(1), most);
    while good - fails > (good / 32).max(1) {
        let middle = fails + (good - fails) / 2;
        match passes(middle) {
            true => good = middle,
            false => fails = middle,
        }
    }
    Some(good)
}

fn serves_with(subject: &Subject, memory: u32, limit: Duration) -> io::Result<FirstServed> {
    let mut running = subject.start(memory, Mode::Bytes, None)?;
    let first = first_served(&mut running, limit)?;
    running.target.run(SMALL_WORK)?;
    Ok(first)
}

/// Guest instructions and turns for a piece of work, tidying up included.
fn counted(running: &Running, work: Work) -> io::Result<Counters> {
    let before = running.machine.counters();
    running.target.run(work)?;
    thread::sleep(TIDY_UP);
    let after = running.machine.counters();
    Ok(Counters {
        instructions: after.instructions - before.instructions,
        turns: after.turns - before.turns,
    })
}

/// Guest instructions for one unit of the work: what twice the work takes beyond once the work,
/// so that everything that happens once cancels out.
pub fn instructions_each(running: &Running, work: Work) -> io::Result<f64> {
    let once = counted(running, work)?;
    let twice = counted(running, work.twice())?;
    let more = twice.instructions as f64 - once.instructions as f64;
    Ok(more / work.units() as f64)
}

/// Units of the work for each second of the process's processor time.
pub fn units_per_second(native: &Native, work: Work) -> io::Result<f64> {
    let before = native.processor_time()?;
    native.target.run(work)?;
    thread::sleep(TIDY_UP);
    let used = native.processor_time()? - before;
    if used.is_zero() {
        return Err(io::Error::other("too little work to see"));
    }
    Ok(work.units() as f64 / used.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_number_that_passes_is_found() {
        for limit in 4..=31 {
            assert_eq!(smallest(4, 256, |n| n >= limit), Some(limit), "{limit}");
        }
        for limit in 32..=256 {
            let found = smallest(4, 256, |n| n >= limit).unwrap();
            assert!(
                found >= limit && found - limit < found / 32 + 1,
                "{limit}: {found}"
            );
        }
        assert_eq!(smallest(4, 256, |_| true), Some(4));
        assert_eq!(smallest(4, 256, |_| false), None);
    }
}
