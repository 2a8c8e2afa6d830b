//! A hosted tunnel that runs, seen from the test that started it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::Options;
use crate::{PATIENCE, namespace, wait_until};

/// A running hosted tunnel. Ended when dropped; a failing test then prints what it logged.
pub struct Guest {
    process: Child,
    /// Its life hangs on this.
    _lifeline: ChildStdin,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Guest {
    /// Starts `program` (`stockade-hosted`) with the tunnel's command line.
    ///
    /// The line goes through a pipe, not through the arguments: it may hold a private key.
    pub fn start(program: &str, options: &Options, command_line: &str) -> Guest {
        Self::start_with(program, options, None, command_line)
    }

    /// The same with a boot archive, which the program opens before it logs anything.
    pub fn start_with(
        program: &str,
        options: &Options,
        archive: Option<&Path>,
        command_line: &str,
    ) -> Guest {
        Self::spawn(program, options, archive, None, command_line)
    }

    /// The same with a management channel, whose end on this side is the socket.
    pub fn start_managed(
        program: &str,
        options: &Options,
        archive: Option<&Path>,
        command_line: &str,
    ) -> (Guest, UnixStream) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        namespace::require();
        // Abstract, so that it leaves no file behind; seen in this namespace alone.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("stockade-hosted-{}-{number}", std::process::id());
        let listener = SocketAddr::from_abstract_name(&name)
            .and_then(|address| UnixListener::bind_addr(&address))
            .unwrap_or_else(|error| panic!("cannot listen on {name}: {error}"));
        listener.set_nonblocking(true).expect("any socket can");
        let guest = Self::spawn(program, options, archive, Some(&name), command_line);
        let connected = wait_until(PATIENCE, || listener.accept().ok());
        let (socket, _) = connected
            .unwrap_or_else(|| panic!("{program} opens no channel; it says {}", guest.log()));
        socket.set_nonblocking(false).expect("any socket can");
        (guest, socket)
    }

    fn spawn(
        program: &str,
        options: &Options,
        archive: Option<&Path>,
        channel: Option<&str>,
        command_line: &str,
    ) -> Guest {
        namespace::require();
        let mut command = Command::new(program);
        command.arg("--tap").arg(&options.tap);
        command
            .arg("--memory-mib")
            .arg(options.memory_mib.to_string());
        if options.clock_ahead != 0 {
            let ahead = options.clock_ahead.to_string();
            command.arg(format!("--clock-ahead={ahead}"));
        }
        if !options.offload {
            command.arg("--plain-card");
        }
        if let Some(archive) = archive {
            command.arg("--archive").arg(archive);
        }
        if let Some(channel) = channel {
            command.arg("--channel").arg(channel);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
        let mut lifeline = process.stdin.take().expect("piped above");
        writeln!(lifeline, "{command_line}").expect("the program reads its command line");
        let output = process.stdout.take().expect("piped above");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let log = lines.clone();
        // Ends with the process.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                locked(&log).push(line);
            }
        });
        Guest {
            process,
            _lifeline: lifeline,
            lines,
        }
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        locked(&self.lines)
            .iter()
            .map(|line| line.clone() + "\n")
            .collect()
    }

    /// How many lines of the log hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        let lines = locked(&self.lines);
        lines.iter().filter(|line| line.contains(needle)).count()
    }

    /// How many lines the log has.
    pub fn lines(&self) -> usize {
        locked(&self.lines).len()
    }

    /// Waits for a line of the log that holds `needle`; panics after [`PATIENCE`].
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        let find = || {
            let lines = locked(&self.lines);
            let mut later = lines.iter().skip(from);
            later.find(|line| line.contains(needle)).cloned()
        };
        wait_until(PATIENCE, find)
            .unwrap_or_else(|| panic!("no line with {needle:?} in {}", self.log()))
    }

    /// Waits until the tunnel serves.
    pub fn wait_until_ready(&self) {
        self.wait_for("ready:");
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.process.id()))
            .is_ok_and(|stat| !matches!(state(&stat), Some('Z' | 'X') | None))
    }

    /// Waits until the process has ended by itself; panics after [`PATIENCE`].
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let ended = || self.process.try_wait().expect("our own child");
        wait_until(PATIENCE, ended).unwrap_or_else(|| panic!("it still runs: {}", self.log()))
    }

    /// Processor time that the process has used, user and system (proc(5), fields 14 and 15;
    /// 100 ticks a second on x86-64 Linux).
    pub fn processor_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(path).expect("our own child");
        let fields: Vec<&str> = behind_name(&stat).split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// The most memory that the process has had at any time, in bytes (proc(5), `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("our own child");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kibibytes.expect("proc(5) has it") << 10
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            println!("---- the hosted tunnel's log ----\n{}----", self.log());
        }
    }
}

fn locked(lines: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    lines.lock().expect("nobody panics while holding the log")
}

/// The fields of proc(5)'s stat from the third on: the second may hold spaces, and ends at the
/// last parenthesis.
fn behind_name(stat: &str) -> &str {
    stat.rsplit_once(')').map_or("", |(_, fields)| fields)
}

fn state(stat: &str) -> Option<char> {
    behind_name(stat).trim_start().chars().next()
}
