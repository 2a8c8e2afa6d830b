//! Notices that the store has changed, over connections.

use alloc::sync::Arc;

use config::Accept;
use store::notice::{Outcome, Pass, Refusal, TellError, Teller, Told, Trouble};

use super::{by_name::ground, *};
use crate::{
    hosting::{self, Kept, Notices, Sites},
    keeper::Reloaded,
};

const PORT: u16 = 9418;

fn pass(text: &str) -> Pass {
    Pass::new(text.as_bytes()).unwrap()
}

/// A world in which notices are taken from those who know `foo`.
fn noticing(takes_bare: bool) -> World {
    let accept = Accept {
        host: None,
        port: PORT,
    };
    let sites = Sites {
        notices: Some(Notices {
            accept,
            pass: Arc::new(pass("foo")),
            takes_bare,
        }),
        ..Sites::default()
    };
    let (services, left_out) = hosting::services(&sites, &mut Kept::default(), &ground());
    assert_eq!(left_out, []);
    let mut world = world_of(200, services);
    world.run(5);
    world
}

/// A teller and its customer.
struct Bearer {
    teller: Teller,
    customer: usize,
    taken: usize,
}

impl World {
    fn bearer(&mut self, text: &str) -> Bearer {
        let nonce = [3; 32];
        let mut teller = Teller::new(pass(text), nonce, 1_800_000_000);
        let customer = self.connect_with(PORT, None, &teller.departing());
        Bearer {
            teller,
            customer,
            taken: 0,
        }
    }

    /// Lets a teller and the image speak; what it was told.
    fn speak(&mut self, bearer: &mut Bearer) -> Result<Option<Told>, TellError> {
        for _ in 0..5 {
            self.run(20);
            let party = &mut self.customers[bearer.customer];
            let fresh = party.received.split_off(bearer.taken);
            party.received.extend_from_slice(&fresh);
            bearer.taken = party.received.len();
            if let Some(told) = bearer.teller.receive(&fresh)? {
                return Ok(Some(told));
            }
            party.to_send.append(&mut bearer.teller.departing());
        }
        Ok(None)
    }

    fn wait(&mut self, seconds: u64) {
        self.machine.now = self.machine.now + Duration::from_secs(seconds);
        self.run(20);
    }
}

#[test]
fn a_notice_is_passed_on_and_its_outcome_told() {
    let mut world = noticing(false);
    let mut bearers = [world.bearer("foo"), world.bearer("foo")];
    for bearer in &mut bearers {
        assert_eq!(world.speak(bearer), Ok(None));
    }
    let numbers = [world.server.notice(), world.server.notice()];
    assert_eq!((numbers, world.server.notice()), ([Some(1), Some(2)], None));
    let now = world.machine.now;
    let done = Reloaded::Done {
        hosts: 2,
        troubles: vec![("a.example".into(), "no key".into())],
    };
    world.server.conclude_notice(2, &done, now);
    let why = "nobody answers";
    let failed = Reloaded::Failed(why.into());
    world.server.conclude_notice(1, &failed, now);
    // What nobody waits for is nothing.
    world.server.conclude_notice(2, &failed, now);
    world.server.conclude_notice(77, &failed, now);
    let [first, second] = &mut bearers;
    let time = 1_800_000_000;
    let told = world.speak(first).unwrap().unwrap();
    let outcome = Outcome::Failed(why.into());
    assert_eq!(told, Told { outcome, time });
    let told = world.speak(second).unwrap().unwrap();
    let trouble = Trouble {
        host: "a.example".into(),
        why: "no key".into(),
    };
    let outcome = Outcome::Done {
        hosts: 2,
        troubles: vec![trouble],
        more: 0,
    };
    assert_eq!(told, Told { outcome, time });
    world.wait(1);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn the_bare_pass_counts_where_it_is_allowed() {
    for (text, allowed, counts) in [
        ("foo", true, true),
        ("fo", true, false),
        ("bar", true, false),
        ("foo", false, false),
    ] {
        let mut world = noticing(allowed);
        let customer = world.connect_with(PORT, None, text.as_bytes());
        world.run(60);
        let stream = world.customers[customer].stream;
        if let Some(mut stream) = world.host.stream(stream) {
            stream.finish();
        }
        world.run(60);
        assert_eq!(world.server.notice().is_some(), counts, "{text} {allowed}");
        assert_eq!(world.customers[customer].received, b"");
        assert_eq!(world.server.usage().sessions, 0);
        assert_eq!(world.server.totals.failed, u64::from(!counts));
    }
}

#[test]
fn who_guesses_is_not_believed_for_a_while() {
    let mut world = noticing(true);
    for _ in 0..5 {
        let mut bearer = world.bearer("bar");
        let refused = Err(TellError::Refused(Refusal::Pass));
        assert_eq!(world.speak(&mut bearer), refused);
    }
    let refused = Err(TellError::Refused(Refusal::Busy));
    let mut right = world.bearer("foo");
    assert_eq!(world.speak(&mut right), refused);
    world.connect_with(PORT, None, b"foo");
    world.run(60);
    assert_eq!(world.server.notice(), None);
    world.wait(61);
    let mut right = world.bearer("foo");
    assert_eq!(world.speak(&mut right), Ok(None));
    assert_eq!(world.server.notice(), Some(1));
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let mut world = noticing(true);
    for text in [b"".as_slice(), b"stockade notice", b"x"] {
        world.connect_with(PORT, None, text);
    }
    world.run(60);
    assert_eq!(world.server.usage().sessions, 3);
    world.wait(31);
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn who_looks_whether_somebody_is_there_is_no_failure() {
    let mut world = noticing(true);
    let customer = world.connect_with(PORT, None, b"");
    world.run(20);
    let stream = world.customers[customer].stream;
    world.host.stream(stream).unwrap().finish();
    world.run(60);
    assert_eq!(world.server.usage().sessions, 0);
    assert_eq!(world.server.totals.failed, 0);
}

#[test]
fn a_store_that_takes_too_long_is_told_so() {
    let mut world = noticing(false);
    let mut bearer = world.bearer("foo");
    assert_eq!(world.speak(&mut bearer), Ok(None));
    world.wait(50);
    world.wait(50);
    assert_eq!(world.server.usage().sessions, 1);
    world.wait(20);
    let told = world.speak(&mut bearer).unwrap().unwrap();
    assert!(matches!(told.outcome, Outcome::Failed(_)), "{told:?}");
    assert_eq!(world.server.usage().sessions, 0);
}

#[test]
fn a_teller_that_leaves_is_forgotten_and_its_notice_is_not() {
    let mut world = noticing(false);
    let mut bearer = world.bearer("foo");
    assert_eq!(world.speak(&mut bearer), Ok(None));
    let stream = world.customers[bearer.customer].stream;
    world.host.stream(stream).unwrap().reset();
    world.run(20);
    assert_eq!(world.server.usage().sessions, 0);
    let number = world.server.notice().unwrap();
    let now = world.machine.now;
    let failed = Reloaded::Failed("x".into());
    world.server.conclude_notice(number, &failed, now);
    world.run(20);
}

#[test]
fn too_many_that_wait_are_told_to_come_again() {
    let mut world = noticing(false);
    let mut bearers: Vec<Bearer> = (0..33).map(|_| world.bearer("foo")).collect();
    let told: Vec<_> = bearers
        .iter_mut()
        .map(|bearer| world.speak(bearer))
        .collect();
    let refused = Err(TellError::Refused(Refusal::Busy));
    assert_eq!(told.iter().filter(|told| **told == refused).count(), 1);
    assert_eq!(told.iter().filter(|told| **told == Ok(None)).count(), 32);
}
