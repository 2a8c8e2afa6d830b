//! Another configuration while connections live.

use channel::{Kind, ToHost};

use super::{launcher::*, *};

fn to(backend: u16) -> String {
    section("one", &std::format!("accept = 443\nconnect = {backend}\n"))
}

/// The services that there are, those included whose sessions have not ended.
fn services(world: &World) -> usize {
    world.server.services.count()
}

fn sends(world: &mut World, customer: usize, bytes: &[u8]) {
    world.customers[customer].to_send.extend_from_slice(bytes);
    world.run(60);
    let received = &world.customers[customer].received;
    assert!(received.ends_with(bytes), "{received:?}");
}

#[test]
fn sessions_stay_where_they_are_and_new_ones_go_where_the_new_configuration_says() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backends(&[80, 81]);
    world.run(50);
    let old = world.is_served(443);
    assert_eq!(world.reload(1, &pair.archive(&to(81))), Ok(()));
    let new = world.is_served(443);
    assert_eq!(world.dialled(), [80, 81]);
    sends(&mut world, old, b"still here");
    assert_eq!(services(&world), 2);
    let status = world.ask(1);
    assert_eq!((status.revision, status.sessions), (1, 2));
    assert_eq!(status.old_sessions, 1);
    assert_eq!(status.services.len(), 1);
    // Those before it count too.
    assert_eq!(status.services[0].accepted_total, 2);
    assert_eq!(status.services[0].sessions, 1);
    world.leave(old);
    world.run(100);
    assert_eq!(services(&world), 1, "nobody needs the old one");
    sends(&mut world, new, b"still here too");
    let announced = world.launcher().heard.iter().filter_map(|m| match m {
        ToHost::Ready { revision, .. } => Some(*revision),
        _ => None,
    });
    assert_eq!(announced.collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_a_start_would_refuse_is_refused_in_the_same_words_and_nothing_changes() {
    let pair = Pair::new();
    let other = Pair::new();
    let mut world = started(&pair, &to(80)).with_backend();
    world.run(50);
    let wrong = [
        pair.archive("[one]\naccept = 443\nconnect = 80\n"),
        pair.archive("[one]\nnonsense = 1\n[two\n"),
        pair.archive(""),
        archive(&[("c.conf", &to(80)), ("cert.pem", &pair.chain)]),
        archive(&[
            ("c.conf", &to(80)),
            ("cert.pem", &pair.chain),
            ("key.pem", &other.key),
        ]),
        archive(&[]),
        pair.archive(&to(80).replace("443", "10.9.0.3:443")),
    ];
    for (number, archive) in wrong.iter().enumerate() {
        let revision = number as u32 + 1;
        let expected = crate::check(LINE, Some(archive), 1_800_000_000).unwrap_err();
        world.launcher().heard.clear();
        assert_eq!(world.reload(revision, archive), Err(expected.clone()));
        world.run(50);
        let texts: Vec<_> = world
            .launcher()
            .events()
            .filter(|event| event.severity == 3)
            .map(|event| event.text.clone())
            .collect();
        assert_eq!(texts[..expected.len()], expected);
        assert_eq!(texts.last().unwrap(), "Configuration failed");
        world.is_served(443);
    }
    let junk = config::Zeroizing::new(vec![7; 5000]);
    let expected = crate::check(LINE, Some(&junk), 1_800_000_000).unwrap_err();
    assert_eq!(world.reload(99, &junk), Err(expected));
    assert_eq!(world.ask(1).revision, 0);
    assert_eq!(services(&world), 1);
}

#[test]
fn what_the_network_is_made_of_cannot_change() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backend();
    world.run(50);
    let mut builder = config::archive::Builder::new();
    builder.command_line("--crypto=rustcrypto").unwrap();
    let conf = to(80);
    for (name, text) in [
        ("c.conf", &conf),
        ("cert.pem", &pair.chain),
        ("key.pem", &pair.key),
    ] {
        builder.file(name, text.as_bytes()).unwrap();
    }
    let errors = world.reload(1, &builder.finish()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("--crypto "), "{errors:?}");
    assert!(errors[0].ends_with("start anew"), "{errors:?}");
    world.is_served(443);
}

#[test]
fn a_connection_that_has_said_nothing_yet_belongs_to_the_new_service() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backends(&[80, 81]);
    world.run(50);
    let silent = world.connect_with(443, None, b"");
    // This one has sent the header of its hello's record and no more (RFC 8446 §5.1).
    let partial = world.connect_with(443, None, b"");
    world.run(10);
    let mut hellos = Vec::new();
    for _ in 0..2 {
        let mut connection = world.client.connect(Some("localhost")).unwrap();
        let mut hello = vec![0; connection.pending_output()];
        connection.transmit(&mut hello);
        hellos.push((connection, hello));
    }
    world.customers[partial].to_send = hellos[1].1[..5].to_vec();
    world.run(10);
    assert_eq!(world.reload(1, &pair.archive(&to(81))), Ok(()));
    assert_eq!(services(&world), 1, "no session has begun with the old one");
    let beginnings = [(silent, 0), (partial, 5)];
    for ((customer, said), (connection, hello)) in beginnings.into_iter().zip(hellos) {
        let stream = world.customers[customer].stream;
        world.host.stream(stream).unwrap().send(&hello[said..]);
        world.customers[customer].connection = Some(connection);
        world.customers[customer].to_send = b"hello".to_vec();
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello");
    }
    assert_eq!(world.dialled(), [81, 81]);
}

/// Lets a customer's SYN arrive and its answer leave, and no more.
fn half_connect(world: &mut World) -> usize {
    let connection = world.client.connect(Some("localhost")).unwrap();
    let customer = world.connect_with(443, Some(connection), b"hello");
    let now = world.machine.now;
    while world.host.poll(&mut world.host_nic, now) {}
    world.host.flush(&mut world.host_nic, now);
    while world.server.poll(&mut world.machine).is_none() {}
    assert_eq!(world.server.usage().half_open, 1);
    customer
}

#[test]
fn connections_in_their_tcp_handshake_are_served_whatever_becomes_of_their_listener() {
    let pair = Pair::new();
    // Kept, gone, and in another's place.
    let cases = [
        (to(81), 81),
        (to(81).replace("443", "444"), 80),
        (to(81).replace("443", "10.9.0.2:443"), 81),
    ];
    for (conf, backend) in cases {
        let mut world = started(&pair, &to(80)).with_backends(&[80, 81]);
        world.run(50);
        // So that the stack knows its neighbour.
        world.is_served(443);
        world.leave(0);
        world.run(100);
        let customer = half_connect(&mut world);
        let settings = config::Settings::read(LINE, Some(&pair.archive(&conf))).unwrap();
        let built = crate::setup::build(&settings, &clock()).unwrap().services;
        let now = world.machine.now;
        world.server.replace(built, 0, now).unwrap();
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello", "{conf}");
        assert_eq!(world.dialled()[1..], [backend], "{conf}");
    }
}

#[test]
fn listeners_open_and_close_with_the_configuration() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backend();
    world.run(50);
    let moved = to(80).replace("443", "444");
    assert_eq!(world.reload(1, &pair.archive(&moved)), Ok(()));
    world.is_served(444);
    world.connect(b"hello");
    world.run(60);
    let refused = Status::Closed(Some(net::StreamError::Refused));
    assert_eq!(world.status(1), refused);
    // The old service waits for nobody any more after a while.
    assert_eq!(services(&world), 2);
    world.run(16_000);
    assert_eq!(services(&world), 1);
    let kinds = world.launcher().kinds();
    assert!(kinds.contains(&Kind::ConfigurationSuccessful), "{kinds:?}");
}

#[test]
fn tickets_of_the_same_secret_are_good_after_a_reload_and_lead_to_the_same_backend() {
    let pair = Pair::new();
    let secret = "ticketKeySecret = 00112233445566778899aabbccddeeff\n\
                  ticketMacSecret = ffeeddccbbaa99887766554433221100\n";
    let conf = |order: &str, secret: &str| section("one", &(order.to_string() + secret));
    let (there, back) = (
        "accept = 443\nfailover = prio\nconnect = 80\nconnect = 81\n",
        "accept = 443\nfailover = prio\nconnect = 81\nconnect = 80\n",
    );
    for (secret, survives) in [(secret, true), ("", false)] {
        let mut world = started(&pair, &conf(there, secret)).with_backends(&[80, 81]);
        world.run(50);
        world.is_served(443);
        world.is_served(443);
        let next = pair.archive(&conf(back, secret));
        assert_eq!(world.reload(1, &next), Ok(()));
        let third = world.is_served(443);
        let resumed = |world: &World, customer: usize| {
            let connection = world.customers[customer].connection.as_ref().unwrap();
            connection.handshake().unwrap().resumed
        };
        assert!(resumed(&world, 1));
        assert_eq!(resumed(&world, third), survives);
        let expected = if survives { 80 } else { 81 };
        assert_eq!(world.dialled(), [80, 80, expected]);
    }
}

fn by_names(blue: u16, rest: &str) -> String {
    section("primary", "accept = 443\nconnect = 80\n")
        + rest
        + &section(
            "blue",
            &std::format!("sni = primary:blue.example\nconnect = {blue}\n"),
        )
}

#[test]
fn virtual_services_are_found_wherever_their_places_are() {
    let pair = Pair::new();
    let mut world = started(&pair, &by_names(81, "")).with_backends(&[80, 81, 82, 83]);
    world.run(50);
    let serve = |world: &mut World, name: &str| {
        let connection = world.client.connect(Some(name)).unwrap();
        let customer = world.connect_with(443, Some(connection), b"hello");
        world.run(60);
        assert_eq!(world.customers[customer].received, b"hello");
        *world.dialled().last().unwrap()
    };
    assert_eq!(serve(&mut world, "blue.example"), 81);
    // The old one is still in use, so the new ones get other places than they have in the file.
    let green = section("green", "sni = primary:*.green.example\nconnect = 83\n");
    let next = pair.archive(&by_names(82, &green));
    assert_eq!(world.reload(1, &next), Ok(()));
    assert_eq!(serve(&mut world, "blue.example"), 82);
    assert_eq!(serve(&mut world, "x.green.example"), 83);
    assert_eq!(serve(&mut world, "other.example"), 80);
    assert_eq!(services(&world), 4);
    let status = world.ask(1);
    let accepted: Vec<u64> = status.services.iter().map(|s| s.accepted_total).collect();
    assert_eq!(accepted, [1, 1, 2]);
}

#[test]
fn a_silent_connection_to_a_service_that_goes_still_finds_its_virtual_services() {
    let pair = Pair::new();
    let mut world = started(&pair, &by_names(81, "")).with_backends(&[80, 81, 82]);
    world.run(50);
    let silent = world.connect_with(443, None, b"");
    world.run(10);
    let elsewhere = to(82).replace("443", "444");
    assert_eq!(world.reload(1, &pair.archive(&elsewhere)), Ok(()));
    world.run(16_000);
    assert_eq!(services(&world), 3, "primary and blue are waited for");
    let mut connection = world.client.connect(Some("blue.example")).unwrap();
    let mut hello = vec![0; connection.pending_output()];
    connection.transmit(&mut hello);
    let stream = world.customers[silent].stream;
    world.host.stream(stream).unwrap().send(&hello);
    world.customers[silent].connection = Some(connection);
    world.customers[silent].to_send = b"hello".to_vec();
    world.run(60);
    assert_eq!(world.customers[silent].received, b"hello");
    assert_eq!(world.dialled(), [81]);
    assert_eq!(services(&world), 2, "the primary is not needed any more");
    world.leave(silent);
    world.run(100);
    assert_eq!(services(&world), 1);
}

#[test]
fn names_that_are_known_need_not_be_asked_for_again() {
    let pair = Pair::new();
    let named = |rest: &str| section("one", "accept = 443\nconnect = db.example:80\n") + rest;
    let mut world = started(&pair, &named("")).with_backend();
    world.names = Some(NameServer::default());
    world.run(20);
    let asked = |world: &World| world.names.as_ref().unwrap().asked;
    let before = asked(&world);
    assert!(before > 0);
    // The question is on its way, and its answer is for the new service.
    world.connect(b"hello");
    world.run(60);
    for revision in 1..=20 {
        assert_eq!(world.reload(revision, &pair.archive(&named(""))), Ok(()));
    }
    assert_eq!(asked(&world), before);
    world.connect(b"hello");
    world.run(60);
    world.names.as_mut().unwrap().answers = true;
    world.run(6000);
    for customer in 0..2 {
        assert_eq!(world.customers[customer].received, b"hello", "{customer}");
    }
    // From now on nobody answers, and nobody has to.
    world.names.as_mut().unwrap().answers = false;
    let before = asked(&world);
    let other = section("two", "accept = 444\nconnect = db.example:80\n");
    assert_eq!(world.reload(99, &pair.archive(&named(&other))), Ok(()));
    world.is_served(443);
    world.is_served(444);
    assert_eq!(asked(&world), before);
}

#[test]
fn renewed_certificate_files_of_the_command_line_s_service_are_shown() {
    const LINE: &[u8] = b"--ipv4=10.9.0.2/24 --ipv4-gateway=10.9.0.1 --accept=443 --connect=80 \
                          --cert=file:cert.pem --key=file:key.pem";
    let files = |pair: &Pair| archive(&[("cert.pem", &pair.chain), ("key.pem", &pair.key)]);
    let (first, second) = (Pair::new(), Pair::new());
    let mut world = started_with(LINE, &files(&first)).with_backend();
    world.run(50);
    let shown = |world: &mut World| {
        let customer = world.is_served(443);
        let connection = world.customers[customer].connection.as_ref().unwrap();
        std::format!("{:?}", connection.peer())
    };
    world.client = Client::new(ClientOptions {
        resumption: false,
        ..client_options()
    })
    .unwrap();
    let before = shown(&mut world);
    assert_eq!(shown(&mut world), before);
    assert_eq!(world.reload(1, &files(&second)), Ok(()));
    assert_ne!(shown(&mut world), before);
}

#[test]
fn the_log_follows_the_configuration() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backend();
    world.run(50);
    let quiet = std::format!("debug = 3\n{}", to(80));
    assert_eq!(world.reload(1, &pair.archive(&quiet)), Ok(()));
    world.launcher().heard.clear();
    let customer = world.is_served(443);
    world.leave(customer);
    world.run(100);
    assert_eq!(world.launcher().kinds(), []);
    let talkative = std::format!("debug = 7\n{}", to(80));
    assert_eq!(world.reload(2, &pair.archive(&talkative)), Ok(()));
    world.is_served(443);
    assert!(world.launcher().kinds().contains(&Kind::Accepted));
}

#[test]
fn services_that_need_more_memory_let_fewer_connections_in_until_the_others_have_gone() {
    let pair = Pair::new();
    let greedy = to(81) + "verifyChain = yes\nCAfile = cert.pem\n";
    let mut world = started(&pair, &to(80)).with_backends(&[80, 81]);
    world.run(50);
    let before = world.server.usage().admission;
    let old = world.is_served(443);
    assert_eq!(world.reload(1, &pair.archive(&greedy)), Ok(()));
    let with_old = world.server.usage().admission;
    assert!(with_old < before - 1, "{with_old} of {before}");
    world.leave(old);
    world.run(100);
    let alone = world.server.usage().admission;
    assert!(
        with_old < alone && alone < before,
        "{with_old}, {alone}, {before}"
    );
    assert_eq!(world.reload(2, &pair.archive(&to(80))), Ok(()));
    assert_eq!(world.server.usage().admission, before);
}

#[test]
fn a_configuration_for_which_there_is_no_memory_is_refused() {
    let pair = Pair::new();
    let mut world = started(&pair, &to(80)).with_backend();
    world.run(50);
    let built = |world: &World| {
        let settings = config::Settings::read(LINE, Some(&pair.archive(&to(80)))).unwrap();
        crate::setup::build(&settings, &world.server.clock)
            .unwrap()
            .services
    };
    world.is_served(443);
    world.is_served(443);
    let services = built(&world);
    let now = world.machine.now;
    let errors = world.server.replace(services, 64 << 20, now).unwrap_err();
    assert!(errors[0].starts_with("memory: there are 2 "), "{errors:?}");
    for customer in 0..2 {
        world.leave(customer);
    }
    world.run(100);
    let services = built(&world);
    let errors = world.server.replace(services, 64 << 20, now).unwrap_err();
    assert!(errors[0].contains("room for 0: "), "{errors:?}");
    // Nor is it begun with where it may not be ended.
    world.machine.heap = 400 << 10;
    let errors = world.reload(1, &pair.archive(&to(80))).unwrap_err();
    assert!(errors[0].starts_with("memory: "), "{errors:?}");
    world.is_served(443);
    world.machine.heap = 64 << 20;
    assert_eq!(world.reload(2, &pair.archive(&to(80))), Ok(()));
}

#[test]
fn a_machine_that_has_no_address_yet_takes_configurations_too() {
    let pair = Pair::new();
    let line = b"--dns=10.9.0.1 --conf=file:c.conf";
    let mut world = started_with(line, &pair.archive(&to(80)));
    world.run(50);
    for revision in 1..=2 {
        let next = pair.archive(&to(80).replace("443", "444"));
        assert_eq!(world.reload(revision, &next), Ok(()));
    }
    let ready = |message: &ToHost| matches!(message, ToHost::Ready { .. });
    assert!(!world.launcher().heard.iter().any(ready));
    assert_eq!(services(&world), 1);
    world.order(&channel::ToGuest::Stop { drain_ms: 1000 });
    world.run(50);
    let status = config::exit::ExitStatus::CleanShutdown;
    assert_eq!(world.server.ended(), Some(status));
}

#[test]
fn twenty_reloads_under_load_fail_no_connection_and_leave_nothing_behind() {
    let pair = Pair::new();
    let mut world = started(&pair, &by_names(80, "")).with_backends(&[80, 81]);
    world.run(50);
    world.is_served(443);
    world.leave(0);
    world.run(16_000);
    let unused = world.server.usage();
    for revision in 1..=20 {
        let backend = 80 + (revision % 2) as u16;
        for _ in 0..3 {
            world.connect(b"hello");
            world.run(2);
        }
        let next = pair.archive(&by_names(backend, ""));
        assert_eq!(world.reload(revision, &next), Ok(()));
        // Two of three leave; the third stays to the end.
        let mine = world.customers.len() - 3;
        world.run(40);
        world.leave(mine);
        world.leave(mine + 1);
    }
    world.run(100);
    assert_eq!(world.server.usage().sessions, 20);
    for customer in 1..world.customers.len() {
        assert_eq!(world.customers[customer].received, b"hello", "{customer}");
    }
    let busy = services(&world);
    assert!(busy <= 2 * 21, "{busy} services");
    for customer in (3..world.customers.len()).step_by(3) {
        sends(&mut world, customer, b"bye");
        world.leave(customer);
    }
    world.run(16_000);
    assert_eq!(world.server.usage(), unused);
    assert_eq!(services(&world), 2);
    assert_eq!(
        world.server.services.places(),
        busy.max(4),
        "places are used again"
    );
    let resets = world.launcher().kinds();
    assert!(!resets.contains(&Kind::Reset));
}
