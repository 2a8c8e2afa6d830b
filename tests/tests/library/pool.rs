//! Many remotes in one machine.

use stockade::{Error, EventKind};
use stockade_tests::stunnel::ports;

use crate::scene::{Scene, Server, add, echo, errors, fail, has_gone, open_echo};

#[test]
fn one_that_fails_does_not_disturb_the_others() {
    let scene = Scene::new();
    let (_first, first) = scene.serve(Server::Stunnel, &scene.good());
    let (_second, second) = scene.serve(Server::Stunnel, &scene.good());
    let pool = scene.pool();
    let good = [first, second].map(|port| add(&pool, scene.config(port, None)));
    let bad = add(&pool, scene.config(ports::next(), None));
    assert_eq!(pool.count(), 3);
    let mut streams = good.each_ref().map(open_echo);
    for _ in 0..5 {
        fail(&bad);
        for stream in &mut streams {
            echo(stream, b"still here");
        }
    }
    let failures = errors(&bad);
    assert_eq!(failures.len(), 5);
    let refused = |error: &Error| matches!(error, Error::ConnectionRefused(_));
    assert!(failures.iter().all(refused), "{failures:?}");
    for proxy in &good {
        let events = proxy.diagnose();
        let accepted = events
            .iter()
            .filter(|event| event.kind == EventKind::Accepted);
        assert_eq!(accepted.count(), 1, "{events:?}");
        assert!(
            events.iter().all(|event| event.error().is_none()),
            "{events:?}"
        );
    }
}

#[test]
fn proxies_come_and_go_while_connections_live() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let pool = scene.pool();
    let first = add(&pool, scene.config(port, None));
    let machine = pool.process_id().expect("a machine");
    let mut old = open_echo(&first);

    let second = add(&pool, scene.config(port, None));
    let mut new = open_echo(&second);
    echo(&mut old, b"beside the second");
    let path = second.socket_path().to_owned();
    second.stop().expect("an end");
    assert!(!path.exists());
    echo(&mut old, b"after the second");
    // Its own connection ends by itself.
    echo(&mut new, b"an orphan");
    drop(new);

    // The same path is free again, and its events are another proxy's.
    let mut config = scene.config(port, None);
    config.listen = stockade::Listen::Unix(stockade::UnixSocket::at(&path));
    let third = add(&pool, config);
    drop(open_echo(&third));
    drop(first);
    drop(open_echo(&third));
    assert_eq!(pool.process_id(), Some(machine));
    assert_eq!(errors(&third), []);

    drop(third);
    assert!(has_gone(machine));
    assert_eq!((pool.count(), pool.process_id()), (0, None));
    // And from the beginning.
    let fourth = add(&pool, scene.config(port, None));
    drop(open_echo(&fourth));
}

/// A remote's file that has gone keeps nobody else from coming or going.
#[test]
fn files_of_one_are_no_concern_of_another() {
    use stockade::{Check, Verification};
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let pool = scene.pool();
    let bundle = scene
        .files
        .add("soon-gone.pem", scene.authority.certificate());
    let verification = Verification::new(Check::Chain, &bundle);
    let first = add(&pool, scene.config(port, Some(verification)));
    std::fs::remove_file(&bundle).expect("it is there");
    let second = add(&pool, scene.config(port, None));
    drop(open_echo(&second));
    drop(open_echo(&first));
    second.stop().expect("an end");
    assert_eq!(errors(&first), []);
}
