//! `socket = a|l|r:OPTION=VALUE`.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::table::Taken;
use super::types::{SocketOptions, Sockets};
use super::values::number;

/// A socket option's kind of value.
#[derive(Clone, Copy)]
enum Kind {
    /// `1`, `0`, `yes` or `no`.
    Flag,
    /// A number.
    Number,
    /// `ON[:SECONDS]`
    Linger,
    /// `SECONDS[:MICROSECONDS]`
    Time,
    /// Anything.
    Text,
}

/// The socket options that stunnel knows.
const OPTIONS: [(&str, Kind); 22] = [
    ("SO_DEBUG", Kind::Flag),
    ("SO_DONTROUTE", Kind::Flag),
    ("SO_KEEPALIVE", Kind::Flag),
    ("SO_LINGER", Kind::Linger),
    ("SO_OOBINLINE", Kind::Flag),
    ("SO_RCVBUF", Kind::Number),
    ("SO_SNDBUF", Kind::Number),
    ("SO_RCVLOWAT", Kind::Number),
    ("SO_SNDLOWAT", Kind::Number),
    ("SO_RCVTIMEO", Kind::Time),
    ("SO_SNDTIMEO", Kind::Time),
    ("SO_REUSEADDR", Kind::Flag),
    ("SO_BINDTODEVICE", Kind::Text),
    ("SO_EXCLUSIVEADDRUSE", Kind::Flag),
    ("TCP_KEEPCNT", Kind::Number),
    ("TCP_KEEPIDLE", Kind::Number),
    ("TCP_KEEPINTVL", Kind::Number),
    ("IP_TOS", Kind::Number),
    ("IP_TTL", Kind::Number),
    ("IP_FREEBIND", Kind::Flag),
    ("IPV6_V6ONLY", Kind::Flag),
    ("TCP_NODELAY", Kind::Flag),
];

/// Those that are more than known.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let is_honoured = |name: &str| {
        // A value of the option's kind decides nothing about whether there is such an option here.
        let values = [
            Value::Flag(true),
            Value::Number(1),
            Value::Linger(None),
            Value::Other,
        ];
        values.iter().any(|value| {
            matches!(
                store(&mut SocketOptions::default(), name, value),
                Taken::Honoured
            )
        })
    };
    OPTIONS
        .iter()
        .map(|(name, _)| *name)
        .filter(move |name| is_honoured(name))
}

/// A value that fits its option.
enum Value {
    Flag(bool),
    Number(u64),
    Linger(Option<Duration>),
    Other,
}

/// Takes one value of `socket` in.
pub(super) fn set(sockets: &mut Sockets, text: &str) -> Result<Taken, String> {
    let illegal = || String::from("Illegal socket option");
    let (side, rest) = text.split_once(':').ok_or_else(illegal)?;
    let (name, value) = rest.split_once('=').ok_or_else(illegal)?;
    let side = match side {
        "a" => &mut sockets.accept,
        "l" => &mut sockets.local,
        "r" => &mut sockets.remote,
        _ => return Err(illegal()),
    };
    let (_, kind) = OPTIONS
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(illegal)?;
    let value = read(*kind, value).ok_or_else(illegal)?;
    Ok(store(side, name, &value))
}

fn read(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Flag => Value::Flag(match text {
            "1" => true,
            "0" => false,
            _ if text.eq_ignore_ascii_case("yes") => true,
            _ if text.eq_ignore_ascii_case("no") => false,
            _ => return None,
        }),
        Kind::Number => Value::Number(number(text)?),
        Kind::Linger => {
            let (on, time) = text.split_once(':').unwrap_or((text, "0"));
            let time = Duration::from_secs(number(time)?.min(u64::from(u16::MAX)));
            Value::Linger((number(on)? != 0).then_some(time))
        }
        Kind::Time => {
            let (seconds, fraction) = text.split_once(':').unwrap_or((text, "0"));
            number(seconds)?;
            number(fraction)?;
            Value::Other
        }
        Kind::Text => Value::Other,
    })
}

fn store(side: &mut SocketOptions, name: &str, value: &Value) -> Taken {
    let time = |seconds: &u64| Some(Duration::from_secs((*seconds).min(u64::from(u16::MAX))));
    match (name, value) {
        ("TCP_NODELAY", Value::Flag(on)) => side.nodelay = Some(*on),
        ("SO_KEEPALIVE", Value::Flag(on)) => side.keepalive = Some(*on),
        ("TCP_KEEPIDLE", Value::Number(seconds)) => side.keepidle = time(seconds),
        ("TCP_KEEPINTVL", Value::Number(seconds)) => side.keepintvl = time(seconds),
        ("TCP_KEEPCNT", Value::Number(count)) => {
            side.keepcnt = Some(u32::try_from(*count).unwrap_or(u32::MAX));
        }
        ("SO_LINGER", Value::Linger(time)) => side.linger = Some(*time),
        _ => return Taken::WithoutEffect(format!("there is no {name} here")),
    }
    Taken::Honoured
}
