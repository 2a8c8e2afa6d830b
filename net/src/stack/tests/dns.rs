//! Names and their addresses, from a server that may not like us.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::vec::Vec;

use smoltcp::wire::{ArpOperation, IpProtocol};

use super::frames::*;
use super::world::*;
use crate::*;

const A_RECORD: u16 = 1;
const AAAA_RECORD: u16 = 28;

/// A query as it was sent: its port and its bytes.
struct Asked {
    port: u16,
    message: Vec<u8>,
}

impl Asked {
    fn kind(&self) -> u16 {
        let end = self.message.len() - 4;
        u16::from_be_bytes([self.message[end], self.message[end + 1]])
    }

    /// An answer with these records' data, and this response code.
    fn answer(&self, code: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = self.message.clone();
        message[2] = 0x81;
        message[3] = 0x80 | code;
        message[7] = records.len() as u8;
        for data in records {
            // The name is the question's.
            message.extend([0xc0, 12]);
            message.extend(self.kind().to_be_bytes());
            message.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            message.extend(*data);
        }
        self.frame(&message)
    }

    fn frame(&self, message: &[u8]) -> Vec<u8> {
        udp((V4[A], 53).into(), (V4[B], self.port).into(), message)
    }
}

fn host() -> Host {
    let mut config = config(B);
    config.dns = std::vec![V4[A].into()];
    let mut host = Host::new(config, Card::new());
    host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), Instant::ZERO);
    host.events.clear();
    host
}

fn asked(host: &mut Host, now: Instant) -> Vec<Asked> {
    host.step(now);
    let frames = core::mem::take(&mut host.card.tx);
    let query = |frame: &Vec<u8>| {
        let (_, to, protocol, payload) = ip_of(frame)?;
        assert_eq!(
            (IpAddr::from(to), protocol),
            (V4[A].into(), IpProtocol::Udp)
        );
        assert_eq!(payload[2..4], [0, 53]);
        Some(Asked {
            port: u16::from_be_bytes([payload[0], payload[1]]),
            message: payload[8..].to_vec(),
        })
    };
    frames.iter().filter_map(query).collect()
}

#[track_caller]
fn check(answers: impl Fn(&Asked) -> Vec<Vec<u8>>, expect: Result<&[&str], ResolveError>) {
    let mut host = host();
    let mut now = Instant::ZERO;
    let query = host.stack.resolve("example.org", now).unwrap();
    for _ in 0..100 {
        for asked in asked(&mut host, now) {
            for frame in answers(&asked) {
                host.card.rx.push_back(frame);
            }
        }
        host.step(now);
        if !host.events.is_empty() {
            break;
        }
        now = host.stack.poll_at().unwrap().max(now);
    }
    let result = expect.map(|list| list.iter().map(|a| a.parse().unwrap()).collect());
    assert_eq!(host.events, [Event::Resolved { query, result }]);
    assert!(now <= Instant::ZERO + Duration::from_secs(21));
}

const FOUR: [u8; 4] = [192, 0, 2, 1];
const SIX: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn by_kind<'a>(asked: &Asked, four: &'a [u8], six: &'a [u8]) -> &'a [u8] {
    match asked.kind() {
        A_RECORD => four,
        AAAA_RECORD => six,
        kind => panic!("asked for {kind}"),
    }
}

#[test]
fn both_families_ipv4_first() {
    check(
        |asked| std::vec![asked.answer(0, &[by_kind(asked, &FOUR, &SIX)])],
        Ok(&["192.0.2.1", "2001:db8::1"]),
    );
}

#[test]
fn several_addresses() {
    check(
        |asked| match asked.kind() {
            A_RECORD => std::vec![asked.answer(0, &[&FOUR, &[192, 0, 2, 2]])],
            _ => std::vec![asked.answer(0, &[])],
        },
        Ok(&["192.0.2.1", "192.0.2.2"]),
    );
}

#[test]
fn one_family_is_enough() {
    check(
        |asked| match asked.kind() {
            A_RECORD => std::vec![],
            _ => std::vec![asked.answer(0, &[&SIX])],
        },
        Ok(&["2001:db8::1"]),
    );
}

#[test]
fn no_such_name() {
    check(
        |asked| std::vec![asked.answer(3, &[])],
        Err(ResolveError::NotFound),
    );
}

#[test]
fn no_address() {
    check(
        |asked| std::vec![asked.answer(0, &[])],
        Err(ResolveError::NotFound),
    );
}

#[test]
fn no_answer() {
    check(|_| std::vec![], Err(ResolveError::TimedOut));
}

#[test]
fn answers_that_do_not_fit_are_not_taken() {
    // Cut short at every length, with another identifier, to another port, from another server,
    // from the multicast DNS port, and with a name that points at itself.
    check(
        |asked| {
            let good = asked.answer(0, &[by_kind(asked, &FOUR, &SIX)]);
            let message = &good[14 + 20 + 8..];
            let mut frames = Vec::new();
            for len in 0..message.len() {
                frames.push(asked.frame(&message[..len]));
            }
            let mut other = message.to_vec();
            other[0] ^= 1;
            frames.push(asked.frame(&other));
            let mut pointing = message.to_vec();
            pointing[12] = 0xc0;
            pointing[13] = 12;
            frames.push(asked.frame(&pointing));
            let stranger = SocketAddr::from(([10, 9, 0, 66], 53));
            frames.push(udp(stranger, (V4[B], asked.port).into(), message));
            let multicast = SocketAddr::from((V4[A], 5353));
            frames.push(udp(multicast, (V4[B], asked.port).into(), message));
            let port = asked.port.wrapping_add(1).max(1024);
            frames.push(udp((V4[A], 53).into(), (V4[B], port).into(), message));
            frames
        },
        Err(ResolveError::TimedOut),
    );
}

#[test]
fn queries_are_bounded_and_hard_to_guess() {
    let mut host = host();
    let now = Instant::ZERO;
    let mut open = 0;
    while host.stack.resolve("example.org", now).is_ok() {
        open += 1;
        assert!(open < 1000);
    }
    let result = host.stack.resolve("example.org", now);
    assert_eq!(result, Err(ResolveError::TooManyQueries));
    let mut seen = Vec::new();
    for _ in 0..20 {
        let queries = asked(&mut host, now);
        seen.extend(queries.iter().map(|a| (a.port, a.message[0], a.message[1])));
    }
    assert_eq!(seen.len(), 2 * open);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2 * open);
    // All end, and there is room again.
    for second in 1..60 {
        host.step(now + Duration::from_secs(second));
    }
    assert_eq!(host.events.len(), open);
    host.stack.resolve("example.org", now).unwrap();
}

#[test]
fn literals_need_no_server_and_names_do() {
    let mut host = Host::new(config(B), Card::new());
    host.step(Instant::ZERO);
    host.events.clear();
    let query = host.stack.resolve("192.0.2.7", Instant::ZERO).unwrap();
    host.step(Instant::ZERO);
    let result = Ok(std::vec![[192, 0, 2, 7].into()]);
    assert_eq!(host.events, [Event::Resolved { query, result }]);
    let mut refused = |name: &str| host.stack.resolve(name, Instant::ZERO).err();
    assert_eq!(refused("example.org"), Some(ResolveError::NoServer));
    assert_eq!(refused("localhost"), Some(ResolveError::Localhost));
    assert_eq!(refused("no such"), Some(ResolveError::InvalidName));
}

#[test]
fn mutated_answers_never_panic() {
    let mut dice = Dice(5353);
    let mut answered = 0;
    for _ in 0..3000 {
        let mut config = config(B);
        config.dns = std::vec![V4[A].into()];
        let mut host = Host::new(config, super::hostile::trusting());
        let now = Instant::ZERO;
        host.answer(&arp(ArpOperation::Request, V4[A], V4[B]), now);
        host.events.clear();
        host.stack.resolve("example.org", now).unwrap();
        host.step(now);
        for frame in core::mem::take(&mut host.card.tx) {
            let asked = Asked {
                port: u16::from_be_bytes([frame[34], frame[35]]),
                message: frame[42..].to_vec(),
            };
            let answer = asked.answer(0, &[by_kind(&asked, &FOUR, &SIX)]);
            let message = &answer[42..];
            for _ in 0..4 {
                let mut changed = message.to_vec();
                super::hostile::mutate(&mut changed, &mut dice);
                // The identifier is right: this server has seen the question.
                if changed.len() > 2 {
                    changed[..2].copy_from_slice(&message[..2]);
                }
                host.card.rx.push_back(asked.frame(&changed));
            }
        }
        host.step(now);
        answered += host.events.len();
    }
    assert!(answered > 300, "only {answered} answered");
}
