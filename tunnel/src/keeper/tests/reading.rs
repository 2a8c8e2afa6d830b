//! The store is read: at the start, when somebody says so, and now and then.

use super::*;

fn host(name: &str, last: u8) -> store::snapshot::Change {
    change(
        name,
        Some(file(issued(&[name], START, START + 90 * DAY), last)),
    )
}

#[test]
fn hosts_are_served_as_their_files_say() {
    let mut world = World::new();
    let pair = issued(&["www.example.org"], 0, START);
    let mut further = store::host::Host::new(pair, [10, 0, 0, 9].into(), 80);
    further.names = ["EXAMPLE.org", "www.example.org"]
        .map(String::from)
        .to_vec();
    world.repository.commit(&[
        change("WWW.example.org", Some(further.to_file())),
        host("b.example", 4),
        change(".gitattributes", Some(b"*".to_vec())),
    ]);
    world.settle();
    let names: Vec<&[String]> = world.sites.hosts.iter().map(|site| &*site.names).collect();
    assert_eq!(names[0], ["www.example.org", "example.org"]);
    assert_eq!(names[1], ["b.example"]);
    let site = &world.sites.hosts[1];
    assert_eq!(site.backend.to_string(), "10.0.0.4:8080");
    assert!(site.chain.starts_with("-----BEGIN CERTIFICATE-----\n"));
    assert!(site.key.contains("PRIVATE KEY"));
    assert_eq!(site.alpn, [b"http/1.1", b"http/1.0"]);
    let status = world.keeper.status();
    assert_eq!(status[1].not_after, Some(START + 90 * DAY));
    assert_eq!(world.lines.len(), 0, "{:?}", world.lines);
}

#[test]
fn changes_are_found_by_looking_now_and_then() {
    let mut world = World::new();
    world.settle();
    assert!(world.served().is_empty());
    world.repository.commit(&[host("a.example", 3)]);
    world.pass(POLL.as_secs() - 1);
    assert_eq!((world.served().len(), world.repository.fetches), (0, 1));
    world.pass(1);
    assert_eq!(world.served(), ["a.example"]);
    world
        .repository
        .commit(&[change("a.example", None), host("b.example", 3)]);
    world.pass(POLL.as_secs());
    assert_eq!(world.served(), ["b.example"]);
    assert_eq!(world.repository.fetches, 3);
}

#[test]
fn a_notice_has_the_store_read_at_once_and_answered_once_it_is_in_force() {
    let mut world = World::new();
    world.settle();
    world.repository.commit(&[
        host("a.example", 3),
        change("b.example", Some(b"{}".to_vec())),
    ]);
    let ticket = world.keeper.notice(world.time);
    let other = world.keeper.notice(world.time);
    world.settle();
    let troubles = std::vec![(
        "b.example".to_string(),
        "it has no \"own_cert\"".to_string()
    )];
    let hosts = 1;
    let done = Reloaded::Done { hosts, troubles };
    world.settle();
    assert_eq!(world.concluded, [(ticket, done.clone()), (other, done)]);
    assert_eq!(world.served(), ["a.example"]);
    assert_eq!(world.repository.fetches, 2);
}

#[test]
fn a_notice_while_the_store_is_being_read_has_it_read_once_more() {
    let mut world = World::new();
    let mut none = |_: &mut [u8]| {};
    let (number, demand) = world.keeper.demand(world.time, &mut none).unwrap();
    assert!(matches!(demand, Demand::Fetch(None)));
    let reply = Reply::Visited(world.repository.fetch(None));
    let ticket = world.keeper.notice(world.time);
    world.repository.commit(&[host("a.example", 3)]);
    world.keeper.reply(number, reply, world.time, &mut none);
    world.settle();
    assert_eq!(world.concluded[0].0, ticket);
    assert_eq!(world.served(), ["a.example"]);
    // An answer that nobody has asked for, or that comes twice, changes nothing.
    let reply = Reply::Visited(Err(Fault::TimedOut));
    world.keeper.reply(number, reply, world.time, &mut none);
    assert_eq!(world.keeper.demand(world.time, &mut none).map(|_| ()), None);
}

#[test]
fn a_store_that_is_out_of_reach_at_the_start_is_tried_every_minute() {
    let mut world = World::new();
    world.repository.is_down = true;
    let ticket = world.keeper.notice(world.time);
    world.settle();
    let failed = Reloaded::Failed("nobody answers".into());
    assert_eq!(world.concluded, [(ticket, failed)]);
    world.pass(600);
    let tries = world.repository.fetches;
    assert!((13..=17).contains(&tries), "{tries}");
    assert_eq!(
        world.lines_with("no host of it is served yet: nobody answers"),
        1
    );
    world.repository.commit(&[host("a.example", 3)]);
    world.repository.is_down = false;
    world.pass(60);
    assert_eq!(world.served(), ["a.example"]);
    assert_eq!(world.lines_with("can be read again"), 1);
}

#[test]
fn what_was_read_is_served_on_while_the_store_is_out_of_reach() {
    let mut world = World::new();
    world.repository.commit(&[host("a.example", 3)]);
    world.settle();
    world.repository.is_down = true;
    world.pass(DAY);
    assert_eq!(world.served(), ["a.example"]);
    assert_eq!(world.lines_with("served on"), 1);
    let fetches = world.repository.fetches as u64;
    assert!(fetches < DAY / POLL.as_secs() + 20, "{fetches}");
}

#[test]
fn a_file_that_can_t_be_used_leaves_its_host_as_it_was_and_hurts_no_other() {
    let mut world = World::new();
    world
        .repository
        .commit(&[host("a.example", 3), host("b.example", 4)]);
    world.settle();
    let other = issued(&["b.example"], START, START + DAY);
    let mismatch = store::host::Pair {
        key: other.key,
        ..issued(&["b.example"], START, START + DAY)
    };
    world.repository.commit(&[
        change("a.example", Some(b"no JSON".to_vec())),
        change("b.example", Some(file(mismatch, 5))),
        host("c.example", 6),
        change("d e", Some(file(placeholder("d"), 7))),
    ]);
    world.pass(POLL.as_secs());
    assert_eq!(world.served(), ["a.example", "b.example", "c.example"]);
    assert_eq!(world.sites.hosts[1].backend.to_string(), "10.0.0.4:8080");
    let troubled = world.keeper.status();
    let troubled = troubled.iter().filter(|host| host.trouble.is_some());
    let names: Vec<&str> = troubled.map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["a.example", "b.example", "d e"]);
    assert_eq!(world.lines_with("can't be used"), 3);
    world.pass(POLL.as_secs());
    assert_eq!(world.lines_with("can't be used"), 3);
    world.repository.commit(&[host("a.example", 8)]);
    world.pass(POLL.as_secs());
    assert_eq!(world.sites.hosts[0].backend.to_string(), "10.0.0.8:8080");
    assert_eq!(world.keeper.status()[0].trouble, None);
}

#[test]
fn what_can_t_be_put_in_force_is_told_with_the_notice() {
    let mut world = World::new();
    world.settle();
    world.repository.commit(&[host("a.example", 3)]);
    let ticket = world.keeper.notice(world.time);
    let mut none = |_: &mut [u8]| {};
    let (number, _) = world.keeper.demand(world.time, &mut none).unwrap();
    let reply = Reply::Visited(world.repository.fetch(None));
    world.keeper.reply(number, reply, world.time, &mut none);
    assert_eq!(world.keeper.concluded(), None);
    assert!(world.keeper.sites().is_some());
    world
        .keeper
        .installed(Err(std::vec!["no memory".to_string()]));
    let (known, reloaded) = world.keeper.concluded().unwrap();
    let troubles = std::vec![("*".to_string(), "no memory".to_string())];
    let hosts = 1;
    assert_eq!(
        (known, reloaded),
        (ticket, Reloaded::Done { hosts, troubles })
    );
}
