//! Certificates are ordered, written to the store, used, and renewed for ever.

use super::*;

const THREE: [&str; 3] = ["a.example", "b.example", "c.example"];

#[test]
fn three_hosts_at_once_get_certificates_with_keys_of_their_own() {
    let mut world = World::with_hosts(&THREE);
    let ticket = world.keeper.notice(world.time);
    world.pass(60);
    assert_eq!(world.concluded[0].0, ticket);
    for name in THREE {
        assert!(is_for(&world.chain(name), name), "{name}");
        assert!(world.is_stored(name), "{name}");
        assert!(world.left(name) > 89 * DAY as i64);
        assert_eq!(world.authority.given(name), 1);
        let status = world.status(name);
        assert_eq!(status.trouble, None);
        let renewal = Lifetime::of(&world.chain(name)).unwrap().renewal();
        assert_eq!(status.next, Some(renewal));
    }
    let mut keys: Vec<String> = THREE
        .map(|name| world.stored(name).pairs[0].key.clone())
        .into();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    assert_eq!(world.authority.accounts.len(), 1);
    assert!(world.sites.tokens.is_empty(), "proofs go with their orders");
    assert_eq!(world.lines_with("its new certificate is in the store"), 3);
    let requests = world.authority.requests;
    world.pass(DAY / 2);
    assert_eq!(
        world.authority.requests, requests,
        "there is nothing more to do"
    );
}

#[test]
fn certificates_of_minutes_are_renewed_again_and_again() {
    let mut world = World::with_hosts(&THREE);
    world.authority.lifetime = 600;
    world.pass(30);
    for _ in 0..120 {
        world.pass(15);
        for name in THREE {
            assert!(world.left(name) > 200, "{name}: {}", world.left(name));
            assert!(world.is_stored(name));
        }
    }
    for name in THREE {
        let given = world.authority.given(name);
        assert!((6..=7).contains(&given), "{given}");
    }
}

#[test]
fn a_restart_knows_everything_from_the_repository_alone() {
    let mut world = World::with_hosts(&THREE);
    world.pass(60);
    let chains = THREE.map(|name| world.chain(name));
    world.restart();
    world.pass(DAY);
    assert_eq!(THREE.map(|name| world.chain(name)), chains);
    assert_eq!(world.authority.orders.len(), 3);
    world.pass(70 * DAY);
    assert_eq!(world.authority.orders.len(), 6);
    assert_eq!(
        world.authority.accounts.len(),
        1,
        "it finds its account again"
    );
}

#[test]
fn a_new_host_is_served_while_others_go_on() {
    let mut world = World::with_hosts(&["a.example"]);
    world.pass(60);
    world.add(&["b.example"]);
    world.pass(POLL.as_secs() + 60);
    assert!(world.left("b.example") > 0);
    assert_eq!(world.authority.given("a.example"), 1);
}

#[test]
fn a_certificate_has_all_names_of_its_host() {
    let mut world = World::of(with_authority());
    let mut host = store::host::Host::new(placeholder("a.example"), [10, 0, 0, 3].into(), 80);
    host.names = std::vec!["www.a.example".to_string()];
    world
        .repository
        .commit(&[change("a.example", Some(host.to_file()))]);
    world.pass(60);
    assert!(is_for(&world.chain("a.example"), "www.a.example"));
    assert_eq!(world.stored("a.example").names, ["www.a.example"]);
    // A name more takes a new certificate.
    let mut host = world.stored("a.example");
    host.names.push("b.example".into());
    world
        .repository
        .commit(&[change("a.example", Some(host.to_file()))]);
    world.pass(POLL.as_secs() + 60);
    assert!(is_for(&world.chain("a.example"), "b.example"));
    assert_eq!(world.authority.orders.len(), 2);
}

#[test]
fn an_address_that_changes_takes_no_new_certificate() {
    let mut world = World::with_hosts(&["a.example"]);
    world.pass(60);
    let chain = world.chain("a.example");
    let mut host = world.stored("a.example");
    host.backend = [10, 0, 0, 9].into();
    world
        .repository
        .commit(&[change("a.example", Some(host.to_file()))]);
    world.pass(POLL.as_secs());
    assert_eq!(world.sites.hosts[0].backend.to_string(), "10.0.0.9:8080");
    assert_eq!(world.chain("a.example"), chain);
    assert_eq!(world.authority.orders.len(), 1);
}

#[test]
fn what_is_not_to_be_renewed_is_not() {
    let mut world = World::of(with_authority());
    let mut host = store::host::Host::new(placeholder("a.example"), [10, 0, 0, 3].into(), 80);
    host.renew = false;
    world.repository.commit(&[
        change("a.example", Some(host.to_file())),
        change("*.b.example", Some(file(placeholder("*.b.example"), 3))),
        change("intranet", Some(file(placeholder("intranet"), 3))),
    ]);
    world.pass(DAY);
    assert_eq!(world.authority.requests, 0);
    assert_eq!(world.served(), ["*.b.example", "a.example", "intranet"]);
    let wildcard = world.status("*.b.example");
    assert_eq!(wildcard.next, None);
    assert!(wildcard.trouble.unwrap().contains("wildcard"));
    assert!(
        world
            .status("intranet")
            .trouble
            .unwrap()
            .starts_with("intranet: ")
    );
    assert_eq!(world.status("a.example").trouble, None);
    assert_eq!(world.lines_with("can't be renewed"), 2);
}

#[test]
fn without_an_authority_nobody_renews_anything() {
    let mut world = World::new();
    world.add(&["a.example"]);
    world.pass(DAY);
    assert_eq!(world.served(), ["a.example"]);
    assert_eq!(world.authority.requests, 0);
    assert_eq!(world.status("a.example").next, None);
}

#[test]
fn names_are_proven_over_tls_where_http_is_not_answered() {
    let mut hosting = with_authority();
    hosting.http = None;
    let mut world = World::of(hosting);
    world.add(&["a.example"]);
    world.authority.unreachable.push("a.example".into());
    world.pass(60);
    assert!(world.left("a.example") > 0);
    assert!(world.sites.proofs.is_empty());
}

#[test]
fn a_proof_that_is_not_believed_gives_way_to_the_other() {
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.unreachable.push("a.example".into());
    world.pass(30);
    let status = world.status("a.example");
    let trouble = status.trouble.unwrap();
    assert!(
        trouble.contains("is not proven: no reason: nothing there"),
        "{trouble}"
    );
    let next = status.next.unwrap();
    assert!((START + 55..=START + 65).contains(&next), "{next}");
    world.pass(60);
    assert!(world.left("a.example") > 0);
    assert_eq!(world.status("a.example").trouble, None);
}

#[test]
fn an_authority_s_suggestion_is_followed_and_what_is_replaced_named() {
    let mut world = World::with_hosts(&["a.example", "b.example"]);
    world.authority.suggests = true;
    world.pass(7_200);
    let not_after = Lifetime::of(&world.chain("a.example")).unwrap().not_after;
    let next = world.status("a.example").next.unwrap();
    assert!((not_after - 1_000..=not_after - 500).contains(&next));
    // One that has to go is renewed as soon as that is known.
    let id = world.authority.last_id("a.example");
    world.authority.revoked.push(id.clone());
    world.pass(7_200);
    assert_eq!(world.authority.given("a.example"), 2);
    assert_eq!(world.authority.given("b.example"), 1);
    let order = world.authority.orders.last().unwrap();
    assert_eq!(order.payload["replaces"], id);
    // At the time that was suggested, the other one's turn comes.
    world.pass(90 * DAY - 4 * 3_600);
    assert_eq!(world.authority.given("b.example"), 2);
    assert!(world.left("b.example") > 0);
}

#[test]
fn an_account_and_its_orders_say_what_the_options_want() {
    let mut hosting = with_authority();
    let store = hosting.store.as_mut().unwrap();
    let authority = store.authority.as_mut().unwrap();
    authority.profile = Some("shortlived".into());
    authority.binding = Some(("key-1".into(), Zeroizing::new("c2VjcmV0".into())));
    let mut world = World::of(hosting);
    world.authority.is_strict = true;
    world.add(&["a.example"]);
    world.pass(60);
    assert!(world.left("a.example") > 0);
    assert_eq!(world.authority.orders[0].payload["profile"], "shortlived");
    let account = &world.authority.account;
    assert_eq!(account["contact"][0], "mailto:admin@example.org");
    assert!(account["externalAccountBinding"]["signature"].is_string());
    // Without them, each is asked for by its name.
    let mut world = World::with_hosts(&["a.example"]);
    world.authority.is_strict = true;
    world.pass(60);
    let trouble = world.status("a.example").trouble.unwrap();
    assert!(trouble.contains("external account binding"), "{trouble}");
}

#[test]
fn keys_are_encrypted_in_the_store_where_that_is_wanted() {
    let secret = b"0123456789abcdef0123456789abcdef".to_vec();
    let mut hosting = with_authority();
    let store = hosting.store.as_mut().unwrap();
    store.encryption = Some(Zeroizing::new(secret));
    let mut world = World::of(hosting.clone());
    world.add(&["a.example"]);
    world.pass(60);
    let key = world.stored("a.example").pairs[0].key.clone();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert!(
        world.sites.hosts[0]
            .key
            .starts_with("-----BEGIN PRIVATE KEY-----")
    );
    let chain = world.chain("a.example");
    world.keeper = Keeper::new(Settings::read(&hosting, &config()).ok().unwrap());
    world.settle();
    assert_eq!(world.chain("a.example"), chain);
    // Without the secret it can't be served, and the error says why.
    world.restart();
    world.settle();
    assert!(world.served().is_empty());
    let trouble = world.status("a.example").trouble.unwrap();
    assert!(trouble.contains("is encrypted"), "{trouble}");
}

#[test]
fn keys_of_rsa_are_drawn_turn_by_turn_where_they_are_wanted() {
    let mut hosting = with_authority();
    let store = hosting.store.as_mut().unwrap();
    store.authority.as_mut().unwrap().key = KeyKind::Rsa(2_048);
    let mut world = World::of(hosting);
    world.add(&["a.example", "b.example"]);
    world.pass(60);
    let keys = ["a.example", "b.example"].map(|name| {
        assert!(world.left(name) > 0);
        world.stored(name).pairs[0].key.clone()
    });
    // Of 2,048 bits, in PKCS #8: some 1,700 letters; one of P-256 has 240.
    assert!(
        keys.iter().all(|key| key.len() > 1_600),
        "{}",
        keys[0].len()
    );
    assert_ne!(keys[0], keys[1]);
}
