//! A proxy's life: its socket, its end, and what it tells meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use stockade::{Error, Event, EventKind, Listen, Options, Proxy, UnixSocket, with_proxy};
use stockade_tests::stunnel::ports;

use crate::scene::{Scene, Server, connect, fail, has_gone, open_echo, options};

/// Permission bits of a file's mode.
const PERMISSIONS: u32 = 0o777;

#[test]
fn the_socket_is_as_asked_for_and_goes_with_the_proxy() {
    let scene = Scene::new();
    let (_server, port) = scene.serve(Server::Stunnel, &scene.good());
    let path = PathBuf::from(scene.files.path("proxy.sock"));
    let config = || {
        let mut config = scene.config(port, None);
        config.listen = Listen::Unix(UnixSocket {
            mode: Some(0o620),
            ..UnixSocket::at(&path)
        });
        config
    };
    // One that was left behind.
    drop(UnixListener::bind(&path).expect("a free path"));
    for by_drop in [true, false] {
        let proxy = scene.start(config());
        assert_eq!(proxy.socket_path(), path);
        let file = fs::symlink_metadata(&path).expect("it is there");
        assert_eq!(file.mode() & PERMISSIONS, 0o620);
        let pid = proxy.process_id().expect("a machine");
        drop(open_echo(&proxy));
        match by_drop {
            true => drop(proxy),
            false => proxy.stop().expect("an end"),
        }
        assert!(!path.exists());
        assert!(has_gone(pid));
    }
}

#[test]
fn an_error_and_a_panic_leave_nothing_behind() {
    let scene = Scene::new();
    let nobody = ports::next();
    let seen = |proxy: &Proxy| {
        drop(connect(proxy.socket_path()));
        let pid = proxy.process_id().expect("a machine");
        (proxy.socket_path().to_owned(), pid)
    };
    let mut of_error = None;
    let failed: Result<(), Error> = with_proxy(scene.config(nobody, None), |proxy| {
        of_error = Some(seen(proxy));
        Err(Error::InvalidArgument("on purpose".to_owned()))
    });
    assert_eq!(failed, Err(Error::InvalidArgument("on purpose".to_owned())));
    let mut of_panic = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        with_proxy(scene.config(nobody, None), |proxy| -> Result<(), Error> {
            of_panic = Some(seen(proxy));
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    for seen in [of_error, of_panic] {
        let (path, pid) = seen.expect("a proxy that ran");
        assert!(!path.exists(), "{}", path.display());
        assert!(has_gone(pid));
    }
}

/// Failures from several clients, and several that ask.
#[test]
fn hundreds_of_failures_are_told_of_once_each() {
    const CLIENTS: usize = 6;
    const EACH: usize = 50;
    let scene = Scene::new();
    let proxy = scene.start(scene.config(ports::next(), None));
    let working = AtomicUsize::new(CLIENTS);
    let mut events: Vec<Event> = thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                (0..EACH).for_each(|_| fail(&proxy));
                working.fetch_sub(1, Ordering::Release);
            });
        }
        let ask = || {
            let mut mine = Vec::new();
            while working.load(Ordering::Acquire) > 0 {
                mine.extend(proxy.diagnose());
            }
            mine
        };
        let asking = [scope.spawn(ask), scope.spawn(ask)];
        let asking = asking.into_iter().map(|asker| asker.join());
        asking
            .flat_map(|events| events.expect("its words are above"))
            .collect()
    });
    events.extend(proxy.diagnose());
    assert!(proxy.diagnose().is_empty());
    let refused = events
        .iter()
        .filter(|event| event.kind == EventKind::ConnectionRefused);
    let refused: Vec<&str> = refused.map(|event| event.connection.as_str()).collect();
    let connections: BTreeSet<&&str> = refused.iter().collect();
    assert_eq!((refused.len(), connections.len()), (300, 300));
    events.sort_by_key(|event| event.number);
    let numbers = events.iter().map(|event| event.number);
    assert!(
        numbers.eq(1..=events.len() as u64),
        "a number is missing or comes twice"
    );
}

#[test]
fn beyond_what_is_kept_it_is_said_how_much_is_missing() {
    const FAILURES: u64 = 8;
    let scene = Scene::new();
    let few = Options {
        kept_events: 3,
        ..options()
    };
    let proxy = Proxy::start_with(scene.config(ports::next(), None), few);
    let proxy = proxy.unwrap_or_else(|error| panic!("{error:#}"));
    proxy.diagnose();
    (0..FAILURES).for_each(|_| fail(&proxy));
    let events = proxy.diagnose();
    let missing = events.iter().find_map(|event| match event.kind {
        EventKind::Missing(events) => Some(events),
        _ => None,
    });
    let kept = events.iter().filter(|event| event.error().is_some());
    assert_eq!(kept.count(), 3);
    let first = events.iter().map(|event| event.number).min().expect("some");
    let last = events.iter().map(|event| event.number).max().expect("some");
    let told = events.len() as u64 - 1;
    assert_eq!(missing, Some(last - first + 1 - told), "{events:?}");
    assert!(missing > Some(FAILURES - 3));
}
