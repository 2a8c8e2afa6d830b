//! Which signals are heeded.

use std::fs;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// Those that end stunnel. Whoever starts it may have them ignored (nohup(1), a shell's `&`), and then
/// they are.
const FATAL: [i32; 3] = [SIGTERM, SIGINT, SIGQUIT];

/// The signals that this process heeds (stunnel(8), "SIGNALS").
pub(super) fn heeded() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored(&status);
    let fatal = FATAL
        .into_iter()
        .filter(|signal| ignored & (1 << (signal - 1)) == 0);
    fatal.chain([SIGHUP, SIGUSR1, SIGUSR2]).collect()
}

/// The set of signals that are ignored (proc(5), `SigIgn`): the lowest bit is signal 1.
fn ignored(status: &str) -> u64 {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .map(|mask| u64::from_str_radix(mask.trim(), 16));
    mask.and_then(Result::ok).unwrap_or(0)
}

/// What a signal is called in the log.
pub(super) fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGQUIT => "SIGQUIT",
        _ => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_proc() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001006\n";
        assert_eq!(ignored(status), 0x1006);
        assert_eq!(ignored(""), 0);
        assert_eq!(ignored(status) & (1 << (SIGINT - 1)), 2);
    }
}
