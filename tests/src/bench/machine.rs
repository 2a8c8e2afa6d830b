//! A machine in QEMU that is measured: its console, its processor time, its instruction counter.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::memory_file::MemoryFile;

/// Names QEMU's threads, so that the processor's can be told from the others.
const THREAD_NAMES: &str = "debug-threads=on";
/// How the name of the processor's thread begins (QEMU, `accel/tcg/tcg-accel-ops-rr.c` and
/// `-mttcg.c`).
const PROCESSOR_THREAD: [&str; 2] = ["CPU 0/TCG", "ALL CPUs/TCG"];
/// Bytes of the plugin's counters.
const COUNTERS: usize = 16;
/// Lines of the console that an error shows.
const SHOWN: usize = 12;

/// What to start.
pub struct Launch {
    /// QEMU's words, the program first.
    pub words: Vec<String>,
    /// Files that they name.
    pub files: Vec<MemoryFile>,
}

/// A running machine. Ended when dropped.
pub struct Machine {
    process: Child,
    started: Instant,
    console: MemoryFile,
    counters: Option<MemoryFile>,
    _files: Vec<MemoryFile>,
}

/// What the plugin has counted; its source says what each is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Instructions executed.
    pub instructions: u64,
    /// Further turns of repeated string instructions.
    pub turns: u64,
}

impl Machine {
    /// Starts QEMU, with the plugin when one is named.
    ///
    /// The kernel ends QEMU with the thread that called this.
    pub fn start(launch: Launch, plugin: Option<&Path>) -> io::Result<Machine> {
        let console = MemoryFile::new("");
        let counters = plugin.map(|_| MemoryFile::new([0; COUNTERS]));
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        command.args(&launch.words).args(["-name", THREAD_NAMES]);
        if let (Some(plugin), Some(counters)) = (plugin, &counters) {
            let counters = counters.path();
            let words = format!("{},counts={}", escaped(plugin), escaped(&counters));
            command.args(["-plugin", &words]);
        }
        let output = || File::options().append(true).open(console.path());
        command
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?);
        let started = Instant::now();
        let process = command.spawn()?;
        Ok(Machine {
            process,
            started,
            console,
            counters,
            _files: launch.files,
        })
    }

    /// Time since QEMU was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// When QEMU was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// An error with the last of the console when QEMU has ended.
    pub fn check(&mut self) -> io::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.error(&format!("QEMU has ended ({status})"))),
        }
    }

    /// An error that shows the last of the console.
    pub fn error(&self, what: &str) -> io::Error {
        let console = self.console.contents();
        let text = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(SHOWN)..];
        let tail: String = tail.iter().map(|line| format!("\n    {line}")).collect();
        io::Error::other(format!("{what}{tail}"))
    }

    /// The counters now; zero without the plugin.
    pub fn counters(&self) -> Counters {
        let bytes = self.counters.as_ref().map(MemoryFile::contents);
        bytes.map_or(Counters::default(), |bytes| counters(&bytes))
    }

    /// Processor time that QEMU has used so far, in all of its threads that still run
    /// (`/proc/PID/task/TID/schedstat`: the first number is in nanoseconds).
    pub fn processor_time(&self) -> io::Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(self.tasks())? {
            // A thread may end meanwhile.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            let first = text.split_ascii_whitespace().next();
            nanoseconds += first
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or_default();
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn tasks(&self) -> PathBuf {
        format!("/proc/{}/task", self.process.id()).into()
    }

    /// Processor time of the thread that runs the guest, in clock ticks of 10 ms.
    pub fn processor_ticks(&self) -> io::Result<u64> {
        for task in fs::read_dir(self.tasks())? {
            let stat = fs::read_to_string(task?.path().join("stat"))?;
            if let Some((name, ticks)) = thread_ticks(&stat)
                && PROCESSOR_THREAD.contains(&name)
            {
                return Ok(ticks);
            }
        }
        Err(io::Error::other("QEMU has no thread for the processor"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In QEMU's option syntax a comma inside a value is doubled.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

fn counters(bytes: &[u8]) -> Counters {
    let number = |at: usize| {
        let number = bytes
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        number.map_or(0, u64::from_le_bytes)
    };
    Counters {
        instructions: number(0),
        turns: number(8),
    }
}

/// A thread's name and its user and system time in ticks (proc(5), fields 2, 14 and 15). The
/// name may hold spaces and parentheses.
pub(super) fn thread_ticks(stat: &str) -> Option<(&str, u64)> {
    let (front, fields) = stat.rsplit_once(')')?;
    let (_, name) = front.split_once('(')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((name, ticks(11)? + ticks(12)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_two_little_endian_numbers() {
        let mut bytes = [0; COUNTERS];
        (bytes[0], bytes[1], bytes[8]) = (1, 2, 3);
        let expected = Counters {
            instructions: 0x201,
            turns: 3,
        };
        assert_eq!(counters(&bytes), expected);
        assert_eq!(counters(&[]), Counters::default());
    }

    #[test]
    fn a_thread_s_name_may_hold_anything() {
        let stat = "12 (CPU 0/TCG) S 1 2 3 4 5 6 7 8 9 10 700 30 0 0 20";
        assert_eq!(thread_ticks(stat), Some(("CPU 0/TCG", 730)));
        let odd = stat.replace("CPU 0/TCG", "a) S (b");
        assert_eq!(thread_ticks(&odd), Some(("a) S (b", 730)));
        assert_eq!(thread_ticks("12 (x) S"), None);
    }
}
