//! What the launcher hears.

use channel::{Kind, PROTOCOL, ToGuest, ToHost};

use super::{launcher::*, *};

fn two_services() -> String {
    section("one", "accept = 443\nconnect = 80\n")
        + &section("two", "accept = 444\nconnect = 10.9.0.1:81\n")
}

#[test]
fn an_image_greets_and_says_when_and_where_it_accepts() {
    let pair = Pair::new();
    let mut world = started(&pair, &two_services());
    world.run(100);
    let heard = &world.launcher().heard;
    assert!(matches!(
        &heard[0],
        ToHost::Hello {
            protocol: PROTOCOL,
            archive_most,
            ..
        } if *archive_most >= 1 << 20
    ));
    let ready = heard.iter().find_map(|message| match message {
        ToHost::Ready {
            revision: 0,
            listening,
            ..
        } => Some(listening.clone()),
        _ => None,
    });
    let ready: Vec<_> = ready
        .expect("ready")
        .into_iter()
        .map(|place| (place.service, place.address.to_string(), place.backend))
        .collect();
    let place = |service: &str, at: &str, to: &str| (service.into(), at.into(), to.into());
    assert_eq!(
        ready,
        [
            place("one", "10.9.0.2:443", "10.9.0.1:80"),
            place("two", "10.9.0.2:444", "10.9.0.1:81")
        ]
    );
    let kinds = world.launcher().kinds();
    assert!(kinds.contains(&Kind::ConfigurationSuccessful), "{kinds:?}");
    // And then there is silence.
    let wake = world.server.poll(&mut world.machine).unwrap();
    let soon = world.machine.now + Duration::from_secs(1);
    assert!(wake.is_none_or(|wake| wake >= soon), "{wake:?}");
}

#[test]
fn each_line_about_a_connection_is_an_event() {
    let pair = Pair::new();
    let conf = section("one", "accept = 443\nconnect = 80\ndebug = 5\n");
    let mut world = started(&pair, &conf).with_backend();
    world.run(50);
    let customer = world.is_served(443);
    world.leave(customer);
    world.run(100);
    let launcher = world.launcher();
    let of_connection: Vec<(Kind, &str)> = launcher
        .events()
        .filter(|event| event.connection == "0")
        .map(|event| {
            assert_eq!(event.service, "one");
            assert_eq!(event.severity, 5, "{event}");
            (event.kind, event.text.as_str())
        })
        .collect();
    let kinds: Vec<Kind> = of_connection.iter().map(|(kind, _)| *kind).collect();
    for kind in [Kind::Accepted, Kind::Connected, Kind::Closed] {
        let count = kinds.iter().filter(|other| **other == kind).count();
        assert_eq!(count, 1, "{of_connection:?}");
    }
    let numbers: Vec<u64> = launcher.events().map(|event| event.number).collect();
    let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn what_went_wrong_is_told_by_its_kind() {
    let pair = Pair::new();
    let conf = section("refused", "accept = 443\nconnect = 80\n")
        + &section(
            "unverified",
            "accept = 444\nconnect = 80\nverifyPeer = yes\nCAfile = cert.pem\n",
        )
        + &section(
            "impatient",
            "accept = 445\nconnect = 80\nTIMEOUTbusy = 1\ndebug = 6\n",
        );
    let mut world = started(&pair, &conf);
    world.run(50);
    let connect = |world: &mut World, port| {
        let connection = world.client.connect(Some("localhost")).unwrap();
        world.connect_with(port, Some(connection), b"hello");
        world.run(60);
        let kinds = world.launcher().kinds();
        world.launcher().heard.clear();
        kinds
    };
    let kinds = connect(&mut world, 443);
    assert!(kinds.contains(&Kind::BackendRefused), "{kinds:?}");
    assert!(kinds.contains(&Kind::Reset), "{kinds:?}");
    let kinds = connect(&mut world, 444);
    assert!(kinds.contains(&Kind::VerificationFailed), "{kinds:?}");
    world.connect_with(443, None, b"GET / HTTP/1.1\r\n\r\n");
    world.connect_with(445, None, b"");
    world.run(1100);
    let kinds = world.launcher().kinds();
    assert!(kinds.contains(&Kind::HandshakeFailed), "{kinds:?}");
    assert!(kinds.contains(&Kind::Timeout), "{kinds:?}");
}

#[test]
fn a_launcher_that_pauses_misses_no_event_that_there_is_room_for() {
    let pair = Pair::new();
    let conf = section("one", "accept = 443\nconnect = 80\n");
    let mut world = started(&pair, &conf).with_backend();
    world.run(50);
    world.launcher().paused = true;
    for _ in 0..20 {
        let customer = world.is_served(443);
        world.leave(customer);
        world.run(10);
    }
    // What its host dropped meanwhile comes again.
    world.machine.channel.as_mut().unwrap().to_host.clear();
    world.launcher().paused = false;
    world.run(5000);
    let accepted = world.launcher().kinds();
    let accepted = accepted.iter().filter(|kind| **kind == Kind::Accepted);
    assert_eq!(accepted.count(), 20);
    let lost = |message: &ToHost| matches!(message, ToHost::Lost { .. });
    assert!(!world.launcher().heard.iter().any(lost));
}

#[test]
fn events_beyond_the_room_for_them_are_counted() {
    let pair = Pair::new();
    let conf = section("one", "accept = 443\nconnect = 80\n");
    let mut world = started(&pair, &conf);
    world.run(50);
    world.launcher().paused = true;
    let text = "x".repeat(900);
    for _ in 0..2000 {
        world
            .server
            .journal
            .tunnel()
            .line(Severity::Error, format_args!("{text}"));
    }
    world.launcher().paused = false;
    world.run(2000);
    let status = world.ask(7);
    assert!(status.events_lost > 0);
    let mut next = 1;
    let mut lost = 0;
    for message in &world.launcher().heard {
        match message {
            ToHost::Event(event) => {
                assert_eq!(event.number, next);
                next += 1;
            }
            ToHost::Lost { events } => {
                lost += events;
                next += events;
            }
            _ => {}
        }
    }
    assert_eq!(lost, status.events_lost);
    assert!(next > 2000);
}

#[test]
fn the_status_counts_connections_and_bytes() {
    let pair = Pair::new();
    let mut world = started(&pair, &two_services()).with_backends(&[80, 81]);
    world.run(50);
    let first = world.is_served(443);
    world.is_served(443);
    world.is_served(444);
    world.leave(first);
    world.run(100);
    let status = world.ask(1);
    assert_eq!(status.revision, 0);
    assert_eq!((status.sessions, status.old_sessions), (2, 0));
    assert_eq!((status.accepted_total, status.failed_total), (3, 0));
    assert_eq!(status.bytes_to_backends, 15);
    assert_eq!(status.bytes_to_clients, 15);
    let now = world.machine.now.as_micros() / 1000;
    assert!((now - 50..=now).contains(&status.uptime_ms));
    assert_eq!(status.heap_size, 64 << 20);
    assert!(status.admission > 0);
    let services: Vec<_> = status
        .services
        .iter()
        .map(|service| {
            let listening: Vec<String> =
                service.listening.iter().map(ToString::to_string).collect();
            (
                service.name.as_str(),
                listening.join(" "),
                service.sessions,
                service.accepted_total,
                service.backends.join(" "),
            )
        })
        .collect();
    assert_eq!(
        services,
        [
            ("one", "10.9.0.2:443".into(), 1, 2, "localhost:80".into()),
            ("two", "10.9.0.2:444".into(), 1, 1, "10.9.0.1:81".into()),
        ]
    );
}

#[test]
fn what_is_no_order_is_told_and_passed_over() {
    let pair = Pair::new();
    let mut world = started(&pair, &two_services());
    world.run(50);
    // Longer than the image has room for.
    let archive = config::Zeroizing::new(vec![0; 3 << 20]);
    let revision = 9;
    world.order(&ToGuest::Configure { revision, archive });
    world.run(500);
    let launcher = world.launcher();
    let told = |event: &channel::Event| event.text.starts_with("Management channel: ");
    assert_eq!(launcher.events().filter(|event| told(event)).count(), 1);
    assert_eq!(world.ask(3).revision, 0);
}

#[test]
fn an_image_that_cannot_start_says_why_before_it_ends() {
    let pair = Pair::new();
    let archive = pair.archive("[one]\naccept = 443\n");
    let (near, _far) = wire();
    let mut machine = TestMachine {
        nic: near,
        now: Instant::ZERO,
        heap: 64 << 20,
        channel: Some(Pipes::default()),
    };
    let status = crate::start(&mut machine, LINE, Some(&archive));
    assert_eq!(status, config::exit::ExitStatus::Configuration);
    let expected = crate::check(LINE, Some(&archive), 1_800_000_000).unwrap_err();
    let mut pipes = machine.channel.take().unwrap();
    // Nobody has acknowledged anything, so all of it went out more than once.
    let mut launcher = Launcher::default();
    launcher.attend(&mut pipes, machine.now);
    let texts: Vec<_> = launcher.events().map(|event| event.text.clone()).collect();
    assert_eq!(texts, expected);
    assert!(
        launcher
            .kinds()
            .iter()
            .all(|kind| *kind == Kind::ConfigurationFailed)
    );
    let status = status.value();
    assert_eq!(launcher.heard.last(), Some(&ToHost::Stopping { status }));
}

#[test]
fn a_status_has_room_for_the_first_hosts() {
    let host = |number: usize| crate::keeper::HostStatus {
        name: std::format!("{number}.example"),
        not_after: Some(1),
        next: None,
        trouble: Some("ü".repeat(1000)),
    };
    let told = super::super::orders::told_hosts((0..1000).map(host).collect());
    assert!((100..=512).contains(&told.len()), "{}", told.len());
    assert_eq!(told[0].trouble, Some("ü".repeat(150)));
    let quiet = |number| crate::keeper::HostStatus {
        trouble: None,
        ..host(number)
    };
    let told = super::super::orders::told_hosts((0..1000).map(quiet).collect());
    assert_eq!(told.len(), 512);
}
