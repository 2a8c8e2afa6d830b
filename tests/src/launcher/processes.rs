//! What the kernel says of processes: proc(5).

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// A process that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// The number of its session.
    pub session: u32,
    /// Its command's name, 15 bytes at most.
    pub name: String,
}

/// Every process of this session that has not ended; one that only waits for its parent to take
/// notice has. Children are of their parent's session (setsid(2)), whoever their parent is later.
pub fn of_session(session: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("proc is mounted").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all = pids.filter_map(look);
    all.filter(|process| process.session == session).collect()
}

/// Whether this process has not ended.
pub fn is_alive(pid: u32) -> bool {
    look(pid).is_some()
}

/// Sends a signal; false when there is no such process any more.
pub fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Whether the process has a handler for this signal (proc(5), `SigCgt`).
pub fn heeds(pid: u32, signal: Signal) -> bool {
    let status = read(pid, "status");
    let status = String::from_utf8_lossy(&status);
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// The process's words, as `ps` shows them to everybody.
pub fn command_line(pid: u32) -> Vec<u8> {
    read(pid, "cmdline")
}

/// The process's environment.
pub fn environment(pid: u32) -> Vec<u8> {
    read(pid, "environ")
}

/// Where its open descriptors lead.
pub fn descriptors(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect()
}

/// Empty when it has ended.
fn read(pid: u32, name: &str) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

fn look(pid: u32) -> Option<Process> {
    parse(&String::from_utf8_lossy(&read(pid, "stat")))
}

/// Reads `/proc/PID/stat`: `PID (NAME) STATE PARENT GROUP SESSION …`.
fn parse(stat: &str) -> Option<Process> {
    // The name may hold spaces and parentheses; it ends at the last one.
    let (head, fields) = stat.rsplit_once(')')?;
    let (pid, name) = head.split_once('(')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let process = Process {
        pid: pid.trim().parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        session: fields.nth(1)?.parse().ok()?,
        name: name.to_owned(),
    };
    // Z has ended and is not waited for yet, X is being removed.
    (!matches!(state, "Z" | "X" | "x")).then_some(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_from_its_line() {
        let process = Process {
            pid: 12,
            parent: 1,
            session: 7,
            name: "a) (b".to_owned(),
        };
        assert_eq!(parse("12 (a) (b) S 1 6 7 0 -1"), Some(process));
        assert_eq!(parse("12 (a) Z 1 6 7 0 -1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_is_found_by_its_session() {
        let own = std::process::id();
        let process = look(own).unwrap();
        assert!(of_session(process.session).contains(&process));
        assert!(is_alive(own) && !command_line(own).is_empty());
    }
}
