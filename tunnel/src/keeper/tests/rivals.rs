//! Others write to the store too, and it is not always there.

use super::*;

#[test]
fn a_push_by_somebody_else_in_mid_renewal_is_kept() {
    let mut world = World::with_hosts(&["a.example"]);
    let moved = file(placeholder("a.example"), 9);
    let mut host = world.stored("a.example");
    host.backend = [10, 0, 0, 9].into();
    world.repository.rival = std::vec![
        std::vec![change(
            "b.example",
            Some(file(issued(&["b.example"], START, START + 90 * DAY), 4))
        )],
        std::vec![
            change("a.example", Some(host.to_file())),
            change("c.example", Some(moved))
        ],
    ];
    world.pass(60);
    assert_eq!(world.served(), ["a.example", "b.example", "c.example"]);
    let stored = world.stored("a.example");
    assert_eq!(stored.backend.to_string(), "10.0.0.9");
    assert!(world.is_stored("a.example"));
    assert!(world.left("a.example") > 0);
    assert_eq!(world.authority.given("a.example"), 1);
    assert!(
        world
            .repository
            .pushed
            .contains(&std::vec!["a.example".to_string()])
    );
}

#[test]
fn a_certificate_that_somebody_else_has_put_in_stays() {
    let mut world = World::with_hosts(&["a.example"]);
    let theirs = issued(&["a.example"], START - DAY, START + 89 * DAY);
    let chain = theirs.chain.concat();
    world.repository.rival = std::vec![std::vec![change("a.example", Some(file(theirs, 3)))]];
    world.pass(DAY);
    assert_eq!(world.chain("a.example"), chain);
    assert!(world.is_stored("a.example"));
    assert_eq!(world.authority.orders.len(), 1);
    assert_eq!(
        world.lines_with("somebody else has given it another one"),
        1
    );
}

#[test]
fn a_host_that_is_removed_in_mid_renewal_stays_removed() {
    let mut world = World::with_hosts(&["a.example", "b.example"]);
    world.repository.rival = std::vec![std::vec![change("a.example", None)]];
    world.pass(DAY);
    assert_eq!(world.served(), ["b.example"]);
    assert!(world.repository.file("a.example").is_none());
    assert!(world.left("b.example") > 0);
}

#[test]
fn an_order_whose_host_is_removed_or_renamed_is_given_up() {
    for is_removed in [true, false] {
        let mut world = World::with_hosts(&["a.example"]);
        let mut none = |bytes: &mut [u8]| bytes.fill(7);
        // Until the proofs are to be published.
        while world.sites.tokens.is_empty() {
            if let Some((number, demand)) = world.keeper.demand(world.time, &mut none) {
                let reply = match demand {
                    Demand::Fetch(known) => Reply::Visited(world.repository.fetch(known)),
                    Demand::Push(_) => panic!("there is nothing to push"),
                    Demand::Request(request) => {
                        let (sites, unix) = (&world.sites, world.time.unix);
                        Reply::Answered(world.authority.handle(&request, sites, unix))
                    }
                };
                world.keeper.reply(number, reply, world.time, &mut none);
            }
            if let Some(sites) = world.keeper.sites() {
                world.sites = sites;
                if world.sites.tokens.is_empty() {
                    world.keeper.installed(Ok(()));
                }
            }
        }
        let mut host = world.stored("a.example");
        host.names.push("b.example".into());
        let content = (!is_removed).then(|| host.to_file());
        world.repository.commit(&[change("a.example", content)]);
        let _ = world.keeper.notice(world.time);
        world.pass(120);
        assert_eq!(world.lines_with("its order is given up"), 1);
        assert!(world.sites.tokens.is_empty());
        let chains = world
            .authority
            .orders
            .iter()
            .map(|order| order.chain.is_some());
        let expected: &[bool] = match is_removed {
            true => &[false],
            false => &[false, true],
        };
        assert_eq!(chains.collect::<Vec<bool>>(), expected);
    }
}

#[test]
fn a_store_out_of_reach_at_renewal_keeps_no_certificate_from_use() {
    let mut world = World::with_hosts(&["a.example", "b.example"]);
    world.pass(60);
    world.pass(60 * DAY - 180);
    world.repository.is_down = true;
    world.pass(600);
    for name in ["a.example", "b.example"] {
        assert_eq!(world.authority.given(name), 2);
        assert!(world.left(name) > 80 * DAY as i64);
        assert!(!world.is_stored(name));
    }
    let pushes = world.repository.pushed.len();
    world.repository.is_down = false;
    world.pass(2 * POLL.as_secs());
    for name in ["a.example", "b.example"] {
        assert!(world.is_stored(name));
        assert_eq!(world.authority.given(name), 2);
    }
    assert_eq!(
        world.repository.pushed.len(),
        pushes + 1,
        "both in one commit"
    );
}

#[test]
fn a_store_that_can_t_be_written_keeps_no_certificate_from_use() {
    let mut world = World::with_hosts(&["a.example"]);
    world.repository.is_read_only = true;
    world.pass(3_600);
    assert!(world.left("a.example") > 0);
    assert!(!world.is_stored("a.example"));
    assert_eq!(world.lines_with("it can't be written"), 1);
    assert_eq!(world.authority.given("a.example"), 1);
    // What somebody changes meanwhile counts.
    let mut host = world.stored("a.example");
    host.backend = [10, 0, 0, 9].into();
    world
        .repository
        .commit(&[change("a.example", Some(host.to_file()))]);
    world.pass(POLL.as_secs());
    assert_eq!(world.sites.hosts[0].backend.to_string(), "10.0.0.9:8080");
    assert!(world.left("a.example") > 0);
    world.repository.is_read_only = false;
    world.pass(POLL.as_secs() + 10);
    assert!(world.is_stored("a.example"));
    assert_eq!(world.stored("a.example").backend.to_string(), "10.0.0.9");
}

#[test]
fn a_push_whose_answer_is_lost_is_recognized() {
    let mut world = World::with_hosts(&["a.example"]);
    world.repository.loses_answer = true;
    world.pass(600);
    assert!(world.is_stored("a.example"));
    assert_eq!(world.authority.given("a.example"), 1);
    assert_eq!(world.repository.pushed.len(), 1);
    assert_eq!(world.lines_with("its new certificate is in the store"), 1);
}

#[test]
fn a_file_that_is_broken_in_mid_renewal_is_not_overwritten() {
    let mut world = World::with_hosts(&["a.example", "b.example"]);
    world.repository.rival = std::vec![std::vec![change("a.example", Some(b"{".to_vec()))]];
    world.pass(600);
    assert_eq!(world.repository.file("a.example"), Some(&b"{"[..]));
    assert!(world.is_stored("b.example"));
    world.add(&["a.example"]);
    world.pass(2 * POLL.as_secs());
    assert!(world.is_stored("a.example"));
    assert!(world.left("a.example") > 0);
}

#[test]
fn more_hosts_than_can_be_served_are_left_out_and_told() {
    let mut world = World::new();
    let content = file(issued(&["*.example"], START, START + 90 * DAY), 3);
    let hosts = (0..=MOST_HOSTS).map(|number| {
        let name = std::format!("h{number:04}.example");
        change(&name, Some(content.clone()))
    });
    world.repository.commit(&hosts.collect::<Vec<_>>());
    world.settle();
    assert_eq!(world.served().len(), MOST_HOSTS);
    assert_eq!(world.lines_with("1 more are left out"), 1);
}
