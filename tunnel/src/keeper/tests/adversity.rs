//! Authorities that refuse, talk nonsense or are silent; clocks that are wrong.

use super::*;

/// A host whose certificate is due while the authority is in this mood; what is told of it then.
fn due(mood: Mood) -> (World, HostStatus) {
    let mut world = World::with_hosts(&["a.example"]);
    world.pass(60);
    let chain = world.chain("a.example");
    world.pass(60 * DAY - 120);
    world.authority.mood = mood;
    world.pass(180);
    assert_eq!(
        world.chain("a.example"),
        chain,
        "what works is never touched"
    );
    let status = world.status("a.example");
    (world, status)
}

/// Once the authority is well again, the certificate comes by itself.
fn recovers(mut world: World, seconds: u64) {
    world.authority.mood = Mood::Well;
    world.pass(seconds);
    assert_eq!(world.authority.given("a.example"), 2);
    assert!(world.left("a.example") > 80 * DAY as i64);
    assert_eq!(world.status("a.example").trouble, None);
}

#[test]
fn a_limit_is_respected_for_as_long_as_the_authority_says() {
    let (world, status) = due(Mood::Refusing(429, Some(7_200)));
    assert_eq!(world.authority.orders.len(), 1);
    let trouble = status.trouble.unwrap();
    assert!(trouble.contains("status 429: not now"), "{trouble}");
    let next = status.next.unwrap();
    let renewal = Lifetime::of(&world.chain("a.example")).unwrap().renewal();
    assert!(
        (renewal + 7_200..=renewal + 7_202).contains(&next),
        "{next} {renewal}"
    );
    let mut world = world;
    let requests = world.authority.requests;
    let _ = world.keeper.notice(world.time);
    world.pass(7_000);
    assert_eq!(
        world.authority.requests, requests,
        "not even somebody's notice"
    );
    recovers(world, 400);
}

#[test]
fn an_authority_that_fails_is_tried_again() {
    let moods = [
        (Mood::Refusing(500, None), "status 500"),
        (Mood::Talking, "is not as RFC 8555 says"),
        (Mood::Silent, "it took too long"),
    ];
    for (mood, expected) in moods {
        let (world, status) = due(mood);
        let trouble = status.trouble.unwrap();
        assert!(trouble.contains(expected), "{trouble}");
        assert!(status.next.unwrap() > world.time.unix);
        recovers(world, 6_100);
    }
}

#[test]
fn failures_are_tried_again_for_ever_and_more_and_more_seldom() {
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.disbelieved.push("a.example".into());
    world.pass(60 + 600 + 6_000 + 30);
    assert_eq!(world.authority.orders.len(), 4);
    world.pass(10 * DAY);
    let orders = world.authority.orders.len();
    assert!((13..=14).contains(&orders), "{orders}");
    // A change of the file is a reason to try at once.
    world.authority.disbelieved.clear();
    world.add(&["a.example"]);
    world.pass(POLL.as_secs() + 30);
    assert_eq!(world.authority.given("a.example"), 1);
}

#[test]
fn a_notice_has_what_failed_tried_again() {
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.disbelieved.push("a.example".into());
    world.pass(1_000);
    world.authority.disbelieved.clear();
    let _ = world.keeper.notice(world.time);
    world.pass(30);
    assert_eq!(world.authority.given("a.example"), 1);
}

#[test]
fn a_host_that_fails_starves_no_other() {
    let mut world = World::with_hosts(&["a.example", "b.example", "c.example"]);
    world.authority.disbelieved.push("a.example".into());
    world.authority.lifetime = 600;
    world.pass(1_800);
    assert_eq!(world.authority.given("a.example"), 0);
    for name in ["b.example", "c.example"] {
        assert!(world.authority.given(name) >= 5, "{name}");
        assert!(world.left(name) > 0);
    }
}

#[test]
fn certificates_of_minutes_outlive_an_outage_of_minutes() {
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.lifetime = 3_600;
    world.pass(1_790);
    world.authority.mood = Mood::Silent;
    world.pass(1_200);
    assert!(world.left("a.example") > 0);
    world.authority.mood = Mood::Well;
    world.pass(400);
    assert!(world.left("a.example") > 3_000);
}

#[test]
fn a_clock_that_is_far_ahead_does_not_order_without_end() {
    for ahead in [70 * DAY, 400 * DAY] {
        let mut world = World::with_hosts(&["a.example"]);
        world.authority.skew = -(ahead as i64);
        world.pass(10 * DAY);
        let orders = world.authority.orders.len();
        assert!(orders <= 14, "{orders}");
        assert!(
            is_for(&world.chain("a.example"), "a.example"),
            "it is served"
        );
        assert!(world.authority.known(&world.chain("a.example")));
        let trouble = world.status("a.example").trouble.unwrap();
        assert!(trouble.contains("clock"), "{trouble}");
    }
}

#[test]
fn a_clock_that_is_behind_is_told_of_and_hurts_nobody() {
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.skew = 30 * DAY as i64;
    world.pass(DAY);
    assert_eq!(world.authority.orders.len(), 1);
    assert_eq!(world.lines_with("not valid yet by this machine's clock"), 1);
    // It is set right.
    world.time.unix += 30 * DAY;
    world.authority.skew = 0;
    world.pass(DAY);
    assert_eq!(world.authority.orders.len(), 1);
    world.pass(60 * DAY);
    assert_eq!(world.authority.orders.len(), 2);
}

#[test]
fn a_clock_that_jumps_is_followed() {
    let mut world = World::with_hosts(&["a.example"]);
    world.pass(60);
    world.time.unix += 61 * DAY;
    world.pass(120);
    assert_eq!(
        world.authority.given("a.example"),
        2,
        "it is due within a minute"
    );
    world.time.unix -= 121 * DAY;
    world.pass(DAY);
    assert_eq!(world.authority.given("a.example"), 2);
    assert!(world.is_stored("a.example"));
}

#[test]
fn proofs_that_can_t_be_served_end_the_order() {
    let mut world = World::with_hosts(&["a.example"]);
    let mut none = |bytes: &mut [u8]| bytes.fill(7);
    for _ in 0..100 {
        if let Some((number, demand)) = world.keeper.demand(world.time, &mut none) {
            let reply = match demand {
                Demand::Fetch(known) => Reply::Visited(world.repository.fetch(known)),
                Demand::Push(draft) => Reply::Visited(world.repository.push(draft)),
                Demand::Request(request) => {
                    let sites = &world.sites;
                    let unix = world.time.unix;
                    Reply::Answered(world.authority.handle(&request, sites, unix))
                }
            };
            world.keeper.reply(number, reply, world.time, &mut none);
        }
        if let Some(sites) = world.keeper.sites() {
            let result = match sites.tokens.is_empty() {
                true => Ok(()),
                false => Err(std::vec!["port 80 is taken".to_string()]),
            };
            world.keeper.installed(result);
        }
    }
    let trouble = world.status("a.example").trouble.unwrap();
    assert!(
        trouble.contains("can't be served: port 80 is taken"),
        "{trouble}"
    );
    assert_eq!(world.authority.given("a.example"), 0);
}
