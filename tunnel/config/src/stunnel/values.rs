//! The forms of single values.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use zeroize::Zeroizing;

use super::types::{Facility, Failover, LogId};

/// `yes` or `no`, in any case.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("yes") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("no") {
        Ok(false)
    } else {
        Err("The argument needs to be either 'yes' or 'no'".into())
    }
}

/// A decimal number as C's `strtol` reads one, but never a negative one; too large ones become
/// the largest.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// A number of seconds, at most what stunnel's `int` can hold.
pub(super) fn seconds(text: &str, error: &str) -> Result<Duration, String> {
    let most = u64::from(i32::MAX.unsigned_abs());
    number(text)
        .map(|seconds| Duration::from_secs(seconds.min(most)))
        .ok_or_else(|| error.into())
}

/// The level names of syslog, by their numbers.
const LEVELS: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// A level's name or number.
pub(super) fn level(text: &str) -> Result<u8, String> {
    let by_name = LEVELS
        .iter()
        .position(|name| text.eq_ignore_ascii_case(name));
    let number = by_name.or_else(|| match text.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(usize::from(digit - b'0')),
        _ => None,
    });
    number
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| "Illegal debug level".into())
}

/// `[FACILITY.]LEVEL`
pub(super) fn facility_and_level(text: &str) -> Result<(Option<Facility>, u8), String> {
    let Some((name, rest)) = text.split_once('.') else {
        return Ok((None, level(text)?));
    };
    let facility = Facility::ALL
        .into_iter()
        .find(|facility| name.eq_ignore_ascii_case(facility.name()))
        .ok_or("Illegal syslog facility")?;
    Ok((Some(facility), level(rest)?))
}

/// `prio` or `rr`.
pub(super) fn failover(text: &str) -> Result<Failover, String> {
    if text.eq_ignore_ascii_case("prio") {
        Ok(Failover::Priority)
    } else if text.eq_ignore_ascii_case("rr") {
        Ok(Failover::RoundRobin)
    } else {
        Err("The argument needs to be either 'rr' or 'prio'".into())
    }
}

/// A kind of log identifiers.
pub(super) fn log_id(text: &str) -> Result<LogId, String> {
    let kinds = [
        ("sequential", LogId::Sequential),
        ("unique", LogId::Unique),
        ("thread", LogId::Thread),
        ("process", LogId::Process),
    ];
    kinds
        .into_iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name))
        .map(|(_, kind)| kind)
        .ok_or_else(|| "Invalid connection identifier type".into())
}

/// Hexadecimal digits in pairs, with or without colons between the pairs, as
/// OPENSSL_hexstr2buf(3) reads them.
pub(super) fn hexadecimal(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let mut digits = text.iter();
    while let Some(high) = digits.next() {
        if *high == b':' {
            continue;
        }
        let low = digits.next()?;
        let value = |digit: u8| char::from(digit).to_digit(16);
        let byte = value(*high)? << 4 | value(*low)?;
        bytes.push(u8::try_from(byte).ok()?);
    }
    Some(bytes)
}

/// A key for session tickets: 16 or 32 bytes in hexadecimal.
pub(super) fn ticket_key(option: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let reason = match hexadecimal(text.as_bytes()) {
        Some(key) if key.len() == 16 || key.len() == 32 => return Ok(key),
        Some(key) => alloc::format!(
            "{option} value has {} bytes instead of required 16 or 32 bytes",
            key.len()
        ),
        None => alloc::format!("Required {option} is 16 or 32 byte hexadecimal key"),
    };
    Err(alloc::format!("Failed to read {option}: {reason}"))
}

impl Facility {
    /// Every facility, by the numbers.
    pub const ALL: [Facility; 20] = [
        Facility::Kern,
        Facility::User,
        Facility::Mail,
        Facility::Daemon,
        Facility::Auth,
        Facility::Syslog,
        Facility::Lpr,
        Facility::News,
        Facility::Uucp,
        Facility::Cron,
        Facility::Authpriv,
        Facility::Ftp,
        Facility::Local0,
        Facility::Local1,
        Facility::Local2,
        Facility::Local3,
        Facility::Local4,
        Facility::Local5,
        Facility::Local6,
        Facility::Local7,
    ];

    /// The number (RFC 5424 §6.2.1).
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name that `debug` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Facility::Kern => "kern",
            Facility::User => "user",
            Facility::Mail => "mail",
            Facility::Daemon => "daemon",
            Facility::Auth => "auth",
            Facility::Syslog => "syslog",
            Facility::Lpr => "lpr",
            Facility::News => "news",
            Facility::Uucp => "uucp",
            Facility::Cron => "cron",
            Facility::Authpriv => "authpriv",
            Facility::Ftp => "ftp",
            Facility::Local0 => "local0",
            Facility::Local1 => "local1",
            Facility::Local2 => "local2",
            Facility::Local3 => "local3",
            Facility::Local4 => "local4",
            Facility::Local5 => "local5",
            Facility::Local6 => "local6",
            Facility::Local7 => "local7",
        }
    }
}
