//! Resumption: by ticket and by memory, in both versions, and when it must not happen.

use std::vec;
use std::vec::Vec;

use super::{NOW, PROVIDERS, Pair, Setup, VERSIONS};
use crate::sessions::ServerSessions;
use crate::tickets::Tickets;
use crate::{Client, Provider, Server, Version, WallClock};

const HOUR: u64 = 3600;

/// Connects once more; whether that resumed.
fn again(server: &Server, client: &Client) -> bool {
    let mut pair = Pair::of(server, client, Some("localhost"));
    pair.pump().unwrap();
    pair.check();
    pair.server.handshake().resumed
}

#[test]
fn both_kinds_resume_in_both_versions() {
    for server in PROVIDERS {
        for client in PROVIDERS {
            for version in VERSIONS {
                for tickets in [true, false] {
                    let setup = Setup {
                        tickets,
                        ..Setup::providers(server, client).version(version)
                    };
                    let (server, client) = (setup.server(), setup.client());
                    assert!(!again(&server, &client));
                    for _ in 0..3 {
                        assert!(again(&server, &client), "{version} tickets={tickets}");
                    }
                }
            }
        }
    }
}

#[test]
fn tickets_need_no_memory() {
    for version in VERSIONS {
        let setup = Setup {
            session_cache: 0,
            ..Setup::default().version(version)
        };
        let (server, client) = (setup.server(), setup.client());
        assert!(!again(&server, &client));
        assert!(again(&server, &client));
    }
}

#[test]
fn nothing_resumes_when_both_are_off() {
    for version in VERSIONS {
        let setup = Setup {
            tickets: false,
            session_cache: 0,
            ..Setup::default().version(version)
        };
        let (server, client) = (setup.server(), setup.client());
        assert!(!again(&server, &client));
        assert!(!again(&server, &client));
    }
}

#[test]
fn another_servers_tickets_mean_a_full_handshake() {
    for version in VERSIONS {
        let setup = Setup::default().version(version);
        let client = setup.client();
        assert!(!again(&setup.server(), &client));
        assert!(!again(&setup.server(), &client));
    }
}

#[test]
fn a_client_remembers_each_server_by_name() {
    let setup = Setup::default();
    let (server, client) = (setup.server(), setup.client());
    assert!(!again(&server, &client));
    let mut pair = Pair::of(&server, &client, Some("second.example"));
    pair.pump().unwrap();
    assert!(!pair.server.handshake().resumed);
}

fn open(tickets: &Tickets, ticket: &[u8]) -> Option<Vec<u8>> {
    tickets.open(ticket).map(|state| state.to_vec())
}

#[test]
fn tickets_open_under_the_previous_key_and_no_older() {
    for provider in PROVIDERS {
        let clock = WallClock::new(NOW);
        let tickets = Tickets::new(provider, clock.clone(), 6 * HOUR, None).unwrap();
        let state = b"what the client keeps for us";
        let ticket = tickets.seal(&[state]).unwrap();
        assert!(!ticket.windows(8).any(|window| state.starts_with(window)));
        assert_eq!(open(&tickets, &ticket).as_deref(), Some(&state[..]));
        // Rotation after 6 hours; the first key opens for 6 more.
        clock.set(NOW + 7 * HOUR);
        let later = tickets.seal(&[state]).unwrap();
        assert_ne!(ticket[..16], later[..16], "the key has not changed");
        assert_eq!(open(&tickets, &ticket).as_deref(), Some(&state[..]));
        clock.set(NOW + 12 * HOUR);
        assert_eq!(open(&tickets, &ticket), None);
        assert_eq!(open(&tickets, &later).as_deref(), Some(&state[..]));
        // A long silence leaves no old key behind.
        clock.set(NOW + 100 * HOUR);
        assert_eq!(open(&tickets, &later), None);
        // Neither does a clock that is set back.
        let last = tickets.seal(&[state]).unwrap();
        clock.set(NOW);
        assert_eq!(open(&tickets, &last), None);
        assert!(u64::from(tickets.lifetime()) <= 7 * 24 * HOUR);
    }
}

#[test]
fn tickets_that_were_changed_do_not_open() {
    for provider in PROVIDERS {
        let clock = WallClock::new(NOW);
        let tickets = Tickets::new(provider, clock, 6 * HOUR, None).unwrap();
        let ticket = tickets.seal(&[&[5; 40], &[5; 60]]).unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(open(&tickets, &changed), None, "byte {at}");
            assert_eq!(open(&tickets, &ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(open(&tickets, &vec![0; 70_000]), None);
        // The same state never looks the same twice.
        assert_ne!(tickets.seal(&[&[5; 40], &[5; 60]]).unwrap(), ticket);
    }
}

#[test]
fn resumption_survives_key_rotation() {
    for version in VERSIONS {
        let setup = Setup::default().version(version);
        let (server, client) = (setup.server(), setup.client());
        assert!(!again(&server, &client));
        setup.clock.set(NOW + 5 * HOUR);
        assert!(again(&server, &client));
        // These tickets are an hour old when their key is replaced.
        setup.clock.set(NOW + 6 * HOUR);
        assert!(again(&server, &client));
        setup.clock.set(NOW + 40 * HOUR);
        assert!(!again(&server, &client));
    }
}

#[test]
fn memory_keeps_the_most_recently_used_and_no_more() {
    let sessions = ServerSessions::new(3);
    let key = |number: u8| Vec::from([number; 32]);
    let get = |number: u8| sessions.get(&key(number)).map(|state| state.to_vec());
    let take = |number: u8| sessions.take(&key(number)).map(|state| state.to_vec());
    for number in 0..3 {
        assert!(sessions.put(key(number), Vec::from([number])));
    }
    assert_eq!(get(0), Some(Vec::from([0])));
    assert!(sessions.put(key(3), Vec::from([3])));
    assert_eq!(get(1), None, "the least recently used makes room");
    assert_eq!(get(0), Some(Vec::from([0])));
    assert_eq!(take(2), Some(Vec::from([2])));
    assert_eq!(take(2), None, "taken once only");
    assert!(sessions.put(key(0), Vec::from([9])));
    assert_eq!(get(0), Some(Vec::from([9])));
    for number in 0..200 {
        sessions.put(key(number), Vec::from([number]));
    }
    assert_eq!((0..200).filter(|number| get(*number).is_some()).count(), 3);
    sessions.change(&key(199), |state| Some([state, b"more"].concat()));
    assert_eq!(get(199), Some(b"\xc7more".to_vec()));
    sessions.change(&key(199), |_| None);
    sessions.change(&key(0), |_| Some(Vec::new()));
    assert_eq!((get(199), get(0)), (Some(b"\xc7more".to_vec()), None));
    assert!(!ServerSessions::new(0).put(key(0), Vec::new()));
}

#[test]
fn resumption_does_not_cross_versions() {
    let setup = Setup::providers(Provider::Ring, Provider::Ring);
    let client = setup.client();
    let server = setup.server();
    assert!(!again(&server, &client));
    // The same server, by its ticket key, is not to be had for another version; a new one is.
    let older = setup.version(Version::Tls12).server();
    assert!(!again(&older, &client));
}
