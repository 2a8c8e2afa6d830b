//! Measures what the tunnel costs, and what others cost for the same work in the same run.
//!
//! Machines run under QEMU's translator, where a plugin counts the guest's instructions: those
//! counts repeat to a fraction of a per cent on any machine, however busy. Times do not; each is
//! taken several times, and the processor time that something used is told instead of how long it
//! took wherever that is possible.
//!
//! The program is `stockade-bench`, which `cargo xtask bench` runs in a network namespace of its
//! own. It writes one line for each figure to standard output:
//!
//! ```text
//! figure SUBJECT KEY SAMPLE...
//! ```

pub mod backend;
pub mod client;
pub mod load;
pub mod machine;
pub mod measure;
pub mod requests;
pub mod subject;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::namespace;
use load::Work;
use subject::{Mode, Running, Subject};

/// Memory among which the smallest that serves is searched, in MiB.
const MEMORY: (u32, u32) = (4, 256);
/// Bytes of a small and of a large answer's body.
const ANSWERS: (u64, u64) = (1024, 64 * 1024);
/// Connections with a request each at the same time.
const CONNECTIONS: u64 = 100;

/// What to measure, and how thoroughly.
pub struct Plan {
    /// In the order of the figures.
    pub subjects: Vec<Subject>,
    /// QEMU's plugin that counts instructions.
    pub plugin: PathBuf,
    /// How often each figure is taken.
    pub samples: usize,
    /// How often the time from QEMU's start is taken, which varies most.
    pub boots: usize,
    /// Handshakes for one count.
    pub handshakes: u64,
    /// Bytes for one count.
    pub bytes: u64,
    /// Round trips for one count.
    pub round_trips: u64,
    /// Requests for one count.
    pub requests: u64,
    /// Handshakes for one look at a process's time.
    pub native_handshakes: u64,
    /// Bytes for one look at a process's time.
    pub native_bytes: u64,
}

impl Plan {
    /// Three samples of each figure.
    pub fn thorough(subjects: Vec<Subject>, plugin: PathBuf) -> Plan {
        Plan {
            subjects,
            plugin,
            samples: 3,
            boots: 5,
            handshakes: 60,
            bytes: 12 << 20,
            round_trips: 500,
            requests: 1000,
            native_handshakes: 2000,
            native_bytes: 512 << 20,
        }
    }

    /// One sample of each figure, of less work: the counts are a little less exact.
    pub fn quick(subjects: Vec<Subject>, plugin: PathBuf) -> Plan {
        Plan {
            samples: 1,
            boots: 2,
            handshakes: 40,
            bytes: 4 << 20,
            round_trips: 200,
            requests: 500,
            native_handshakes: 1000,
            native_bytes: 256 << 20,
            ..Plan::thorough(subjects, plugin)
        }
    }
}

/// Measures everything, writes the figures to standard output and progress to standard error.
/// Gives the number of measurements that failed; each has said why.
pub fn run(plan: &Plan) -> usize {
    namespace::require();
    let mut report = Report {
        done: 0,
        all: plan.subjects.len() * STAGES.len(),
        failed: 0,
    };
    // Ports of closed connections may be taken again at once; without, long runs could run out.
    let _ = fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1");
    let _ = fs::write("/proc/sys/net/ipv4/ip_local_port_range", "10000 65000");
    for (name, stage) in STAGES {
        for subject in &plan.subjects {
            report.stage(subject.name(), name);
            if let Err(error) = stage(plan, subject, &mut report) {
                report.failed += 1;
                eprintln!("  failed: {error}");
            }
        }
    }
    report.failed
}

type Stage = fn(&Plan, &Subject, &mut Report) -> io::Result<()>;

/// One stage of all subjects after the other, so that a busy minute hits all of them.
const STAGES: [(&str, Stage); 5] = [
    ("boot and idleness", boot),
    ("guest instructions", count),
    ("guest instructions, HTTP", count_requests),
    ("processor time as a process", native),
    ("smallest memory", memory),
];

/// Tells how it comes along, and the figures.
struct Report {
    done: usize,
    all: usize,
    failed: usize,
}

impl Report {
    fn stage(&mut self, subject: &str, stage: &str) {
        self.done += 1;
        eprintln!("[{}/{}] {subject}: {stage} ...", self.done, self.all);
    }

    fn figure(&self, subject: &Subject, key: &str, samples: &[f64]) {
        let words: Vec<String> = samples.iter().map(f64::to_string).collect();
        let line = format!("figure {} {key} {}\n", subject.name(), words.join(" "));
        // Without a reader there is nothing left to do with a figure.
        let _ = io::stdout().write_all(line.as_bytes());
        let shown: Vec<String> = samples.iter().map(|sample| shown(*sample)).collect();
        eprintln!("  {key}: {}", shown.join(" "));
    }
}

/// A number with three digits behind the point at most, for the terminal.
fn shown(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn boot(plan: &Plan, subject: &Subject, report: &mut Report) -> io::Result<()> {
    let (mut first_bytes, mut served, mut used) = (Vec::new(), Vec::new(), Vec::new());
    let mut idle = None;
    // One more: the first reads the files from the disk and is not counted.
    for sample in 0..=plan.boots {
        let (running, first) = measure::boot(subject, Mode::Bytes, None)?;
        if sample > 0 {
            first_bytes.push(first.first_byte.as_secs_f64() * 1e3);
            served.push(first.served.as_secs_f64() * 1e3);
            used.push(first.processor_time.as_secs_f64() * 1e3);
        }
        idle = Some(running);
    }
    report.figure(subject, "first-byte-ms", &first_bytes);
    report.figure(subject, "first-handshake-ms", &served);
    report.figure(subject, "first-handshake-processor-ms", &used);
    if let Some(running) = idle {
        let ticks = measure::idle_ticks(&running)?;
        report.figure(subject, "idle-ticks", &[ticks as f64]);
    }
    Ok(())
}

fn count(plan: &Plan, subject: &Subject, report: &mut Report) -> io::Result<()> {
    let (running, _) = measure::boot(subject, Mode::Bytes, Some(&plan.plugin))?;
    let boot = running.machine.counters().instructions;
    report.figure(subject, "boot-instructions", &[boot as f64]);
    let idle = measure::idle_instructions(&running);
    report.figure(subject, "idle-instructions", &[idle as f64]);
    let works = [
        ("handshake-instructions", Work::Handshakes(plan.handshakes)),
        ("download-instructions", Work::Download(plan.bytes)),
        ("upload-instructions", Work::Upload(plan.bytes)),
        (
            "round-trip-instructions",
            Work::RoundTrips(plan.round_trips),
        ),
    ];
    let relayed = requests(plan).map(|(_, key, work)| (key, work));
    for (key, work) in works.into_iter().chain(relayed) {
        figure(plan, subject, report, &running, (key, work))?;
    }
    Ok(())
}

/// What requests cost whoever reads them, beside what they cost as mere bytes.
fn count_requests(plan: &Plan, subject: &Subject, report: &mut Report) -> io::Result<()> {
    if !subject.speaks_http() {
        eprintln!("  it has no such mode");
        return Ok(());
    }
    let (running, _) = measure::boot(subject, Mode::Requests, Some(&plan.plugin))?;
    let bodies = [
        ("download-body-instructions", Work::DownloadBody(plan.bytes)),
        ("upload-body-instructions", Work::UploadBody(plan.bytes)),
    ];
    let requests = requests(plan).map(|(key, _, work)| (key, work));
    for (key, work) in requests.into_iter().chain(bodies) {
        figure(plan, subject, report, &running, (key, work))?;
    }
    Ok(())
}

/// Requests, and what they are called where they are read and where they are relayed.
fn requests(plan: &Plan) -> [(&'static str, &'static str, Work); 3] {
    let (small, large) = ANSWERS;
    let count = plan.requests;
    [
        (
            "request-instructions",
            "relayed-request-instructions",
            Work::Requests(count, small),
        ),
        (
            "large-request-instructions",
            "relayed-large-request-instructions",
            Work::Requests(count / 5, large),
        ),
        (
            "requests-at-once-instructions",
            "relayed-requests-at-once-instructions",
            Work::RequestsAtOnce(2 * count, small, CONNECTIONS),
        ),
    ]
}

fn figure(
    plan: &Plan,
    subject: &Subject,
    report: &mut Report,
    running: &Running,
    (key, work): (&str, Work),
) -> io::Result<()> {
    // The first of a kind allocates and translates.
    running.target.run(work)?;
    report.figure(subject, key, &counts(plan, running, work)?);
    Ok(())
}

fn counts(plan: &Plan, running: &Running, work: Work) -> io::Result<Vec<f64>> {
    (0..plan.samples)
        .map(|_| measure::instructions_each(running, work))
        .collect()
}

fn native(plan: &Plan, subject: &Subject, report: &mut Report) -> io::Result<()> {
    const GIGABIT: f64 = 1e9 / 8.0;
    let native = subject.start_native()?;
    let works = [
        (
            "handshakes-per-second",
            Work::Handshakes(plan.native_handshakes),
            1.0,
        ),
        (
            "download-gigabits-per-second",
            Work::Download(plan.native_bytes),
            GIGABIT,
        ),
        (
            "upload-gigabits-per-second",
            Work::Upload(plan.native_bytes),
            GIGABIT,
        ),
    ];
    for (key, work, unit) in works {
        let mut samples = Vec::new();
        for _ in 0..plan.samples {
            samples.push(measure::units_per_second(&native, work)? / unit);
        }
        report.figure(subject, key, &samples);
    }
    Ok(())
}

fn memory(_: &Plan, subject: &Subject, report: &mut Report) -> io::Result<()> {
    let (least, most) = MEMORY;
    let smallest = measure::smallest_memory(subject, least, most, |memory, serves| {
        eprintln!(
            "  {memory} MiB: {}",
            if serves { "serves" } else { "does not serve" }
        );
    })?;
    report.figure(subject, "memory-mib", &[f64::from(smallest)]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_without_needless_digits() {
        for (number, expected) in [(2.916_57, "2.917"), (10.0, "10"), (0.5, "0.5"), (0.0, "0")] {
            assert_eq!(shown(number), expected);
        }
    }
}
