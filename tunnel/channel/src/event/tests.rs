//! Events as lines, and kinds as numbers and names.

use super::*;
use alloc::string::ToString;

#[track_caller]
fn check(unix_seconds: u64, connection: &str, text: &str, expect: &str) {
    let event = Event {
        number: 1,
        unix_micros: unix_seconds * 1_000_000 + 999_999,
        severity: 5,
        service: "https".into(),
        connection: connection.into(),
        kind: Kind::Line,
        text: text.into(),
        beyond_log: false,
        problems: Vec::new(),
    };
    assert_eq!(event.to_string(), expect);
}

#[test]
fn events_are_lines_of_the_log() {
    check(0, "", "text", "1970.01.01 00:00:00 LOG5[]: text");
    check(
        951_782_399,
        "0",
        "a day before the leap day ends",
        "2000.02.28 23:59:59 LOG5[0]: a day before the leap day ends",
    );
    check(951_782_400, "0", "x", "2000.02.29 00:00:00 LOG5[0]: x");
    check(951_868_800, "0", "x", "2000.03.01 00:00:00 LOG5[0]: x");
    check(1_704_067_199, "0", "x", "2023.12.31 23:59:59 LOG5[0]: x");
    check(1_795_330_800, "7", "x", "2026.11.22 07:00:00 LOG5[7]: x");
    check(4_107_542_400, "0", "x", "2100.03.01 00:00:00 LOG5[0]: x");
}

#[test]
fn what_an_image_says_stays_on_its_line() {
    check(
        0,
        "\r1",
        "a\nb\x1b[2J\u{85}ü",
        "1970.01.01 00:00:00 LOG5[\\r1]: a\\nb\\u{1b}[2J\\u{85}ü",
    );
}

#[test]
fn the_last_moment_is_no_trouble() {
    let event = Event {
        number: u64::MAX,
        unix_micros: u64::MAX,
        severity: u8::MAX,
        service: "".into(),
        connection: "".into(),
        kind: Kind::Line,
        text: "".into(),
        beyond_log: false,
        problems: Vec::new(),
    };
    assert_eq!(event.to_string(), "586524.01.19 08:01:49 LOG255[]: ");
}

#[test]
fn kinds_stand_at_their_numbers() {
    for (number, (kind, name)) in Kind::NAMES.iter().enumerate() {
        assert_eq!(usize::from(kind.number()), number);
        assert_eq!(Kind::from_number(kind.number()), *kind);
        assert_eq!(kind.to_string(), *name);
    }
    assert_eq!(Kind::from_number(200), Kind::Line);
    assert_eq!(Kind::MachineStopped.name(), "machine-stopped");
}
