//! The texts that tell connections apart in the log.

use core::{fmt, fmt::Write};

/// How connections are numbered: stunnel's `logId`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogId {
    /// 0, 1, 2, … over all services.
    #[default]
    Sequential,
    /// A text of its own for each, never the same again, not even after a restart.
    Unique,
    /// The thread that serves it: there is but one, 1.
    Thread,
    /// The process that serves it: there is but one, 1.
    Process,
}

/// What stands for one connection in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tunnel,
    Number(u64),
    Unique(u128),
}

/// An odd number with ones all over (the golden ratio's digits): to multiply by it, modulo 2^128,
/// mixes a number's bits and maps no two numbers to one.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// What unique ids are written with.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Letters of a unique id: 62^22 is more than 2^128.
const UNIQUE_LENGTH: usize = 22;

impl Id {
    /// No connection, but the tunnel itself.
    pub const TUNNEL: Id = Id(Kind::Tunnel);

    /// The id of the connection `number` since the start.
    pub(super) fn new(ids: LogId, number: u64, random: [u8; 8]) -> Id {
        Id(match ids {
            LogId::Sequential => Kind::Number(number),
            LogId::Unique => {
                let random = u128::from(u64::from_le_bytes(random));
                Kind::Unique((u128::from(number) << 64 | random).wrapping_mul(SPREAD))
            }
            LogId::Thread | LogId::Process => Kind::Number(1),
        })
    }

    /// The id as the logger's target: [`MARK`] and the id.
    pub(super) fn target(self, target: &mut Target) -> &str {
        // It fits: a mark, and 22 letters or 20 digits.
        let _ = write!(target, "{MARK}{self}");
        target.as_str()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Tunnel => f.write_str("ui"),
            Kind::Number(number) => write!(f, "{number}"),
            Kind::Unique(mut number) => (0..UNIQUE_LENGTH).try_for_each(|_| {
                let letter = LETTERS.get((number % 62) as usize).copied();
                number /= 62;
                f.write_char(letter.unwrap_or(b'0').into())
            }),
        }
    }
}

/// What a logger's target begins with when an id follows. Lines with such a target are meant to be
/// written: the journal has judged their importance. No crate's name begins with it.
pub const MARK: char = '#';

/// Room for a target without a heap.
#[derive(Default)]
pub(super) struct Target {
    bytes: [u8; 24],
    length: usize,
}

impl Target {
    fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl Write for Target {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, string::ToString};

    fn check(ids: LogId, number: u64, expected: &str) {
        let id = Id::new(ids, number, [0; 8]);
        assert_eq!(id.target(&mut Target::default()), expected);
    }

    #[test]
    fn ids_are_the_logger_s_target() {
        check(LogId::Sequential, 0, "#0");
        check(LogId::Sequential, u64::MAX, "#18446744073709551615");
        check(LogId::Thread, 7, "#1");
        check(LogId::Process, 7, "#1");
        check(LogId::Unique, 0, "#0000000000000000000000");
        assert_eq!(Id::TUNNEL.target(&mut Target::default()), "#ui");
    }

    #[test]
    fn unique_ids_are_of_one_length_and_differ() {
        let ids: BTreeSet<_> = (0..10_000)
            .map(|number| Id::new(LogId::Unique, number, [0xff; 8]).to_string())
            .collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == UNIQUE_LENGTH));
        assert!(
            ids.iter()
                .all(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        );
    }
}
