//! What the thread waits for: epoll(7), with names for what has happened where.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use super::table::Key;

/// Events that are taken at once.
const EVENTS: usize = 256;

/// Bits of a round of a [`Key`], and of its place.
const ROUND: u32 = 28;
const PLACE: u32 = 32;

/// Where something has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Another thread wants something.
    Wake,
    /// The link of that number; its lowest bits.
    Link(u32),
    Listener(Key),
    Relay(Key),
    Datagrams(Key),
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// That there is something to read, as long as there is.
    Readable,
    /// Each change of what is possible.
    Changes,
}

/// An epoll instance.
pub(super) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll })
    }

    /// Watches a descriptor until it is closed.
    pub(super) fn add(
        &self,
        source: impl AsFd,
        token: Token,
        interest: Interest,
    ) -> Result<(), Errno> {
        let flags = match interest {
            Interest::Readable => EventFlags::IN,
            Interest::Changes => {
                EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET
            }
        };
        epoll::add(&self.epoll, source, EventData::new_u64(token.into()), flags)
    }

    /// Waits for at least one event, `timeout` at most, and adds what has happened to `events`.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<(Token, EventFlags)>,
    ) -> io::Result<()> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().min(3_600).try_into().unwrap_or(3_600),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let none = Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let mut happened = [none; EVENTS];
        let count = match epoll::wait(&self.epoll, &mut happened, timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let happened = happened.iter().take(count);
        events.extend(happened.map(|event| (Token::from(event.data.u64()), event.flags)));
        Ok(())
    }
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        let keyed = |kind: u64, key: Key| {
            kind << (PLACE + ROUND) | u64::from(key.round) << PLACE | u64::from(key.place)
        };
        match token {
            Token::Wake => 0,
            Token::Link(number) => keyed(
                1,
                Key {
                    place: number,
                    round: 0,
                },
            ),
            Token::Listener(key) => keyed(2, key),
            Token::Relay(key) => keyed(3, key),
            Token::Datagrams(key) => keyed(4, key),
        }
    }
}

impl From<u64> for Token {
    fn from(bits: u64) -> Token {
        let low = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let key = Key {
            place: low(bits),
            round: low(bits >> PLACE) & ((1 << ROUND) - 1),
        };
        match bits >> (PLACE + ROUND) {
            1 => Token::Link(key.place),
            2 => Token::Listener(key),
            3 => Token::Relay(key),
            4 => Token::Datagrams(key),
            _ => Token::Wake,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went_in() {
        let key = Key {
            place: 0xfedc_ba98,
            round: 0x0765_4321,
        };
        for token in [
            Token::Wake,
            Token::Link(u32::MAX),
            Token::Listener(key),
            Token::Relay(key),
            Token::Datagrams(key),
        ] {
            assert_eq!(Token::from(u64::from(token)), token);
        }
    }
}
