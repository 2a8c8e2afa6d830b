//! Lines, and where they go.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn line(level: u8, speaker: &str) -> Line {
    Line {
        time: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        level,
        speaker: speaker.to_owned(),
        text: "words".to_owned(),
        is_judged: false,
    }
}

#[test]
fn lines_are_stunnels() {
    let utc = &TimeZone::UTC;
    let shown = |level, speaker| long(&line(level, speaker), utc);
    assert_eq!(shown(5, "ui"), "2023.11.14 22:13:20 LOG5[ui]: words");
    assert_eq!(shown(3, "17"), "2023.11.14 22:13:20 LOG3[17]: words");
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    assert_eq!(
        long(&line(0, "main"), &zone),
        "2023.11.15 00:13:20 LOG0[main]: words"
    );
    for (level, mark) in [(0, "[!]"), (3, "[!]"), (4, "[:]"), (5, "[.]"), (7, "[ ]")] {
        assert_eq!(short(&line(level, "ui")), format!("{mark} words"));
    }
}

/// What was said before it was known where the log goes is there, in order, as far as its level
/// counts.
#[test]
fn what_is_held_comes_first() {
    let folder = std::env::temp_dir().join(format!("stockade-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let [first, moved, second] = ["a.log", "a.log.1", "b.log"].map(|name| folder.join(name));
    let global = |path: &Path, debug| Global {
        output: Some(path.to_str().unwrap().to_owned()),
        syslog: false,
        debug,
        ..Global::default()
    };
    let texts = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let texts = text.lines().map(|line| line[20..].to_owned());
        texts.collect()
    };
    let log = Log::new();
    log.say(5, "one");
    log.say(6, "nobody cares");
    log.open(&global(&first, 5), Foreground::Quiet).unwrap();
    log.become_daemon();
    log.say(3, "two");
    std::fs::rename(&first, &moved).unwrap();
    log.reopen();
    log.adopt(&global(&second, 6));
    log.say(6, "three");
    assert_eq!(texts(&moved), ["LOG5[ui]: one", "LOG3[main]: two"]);
    assert_eq!(texts(&first), ["LOG5[main]: Log file reopened"]);
    assert_eq!(texts(&second), ["LOG6[main]: three"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_log_file_that_cannot_be_opened_is_an_error() {
    let global = Global {
        output: Some("/nonexistent/a.log".to_owned()),
        ..Global::default()
    };
    let error = Log::new().open(&global, Foreground::Quiet).unwrap_err();
    assert_eq!(
        error_lines(&error),
        [
            "Cannot open log file: /nonexistent/a.log",
            "open: No such file or directory (2)"
        ]
    );
}
