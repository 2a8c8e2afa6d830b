//! The listeners of this host, which outlive machines.

use std::net::{SocketAddr, TcpListener, TcpStream};

use super::stand_in::become_image;
use super::*;
use crate::network::{Forward, Listen};

/// A port of this host that nobody has.
fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_ok()
}

/// A launcher that listens on these ports, whatever they are at the moment.
fn start(script: &str, ports: &Arc<Mutex<Vec<u16>>>, change: impl FnOnce(&mut Options)) -> Trial {
    let ports = Arc::clone(ports);
    Trial::start_with(script, |options| {
        let mut before = std::mem::replace(&mut options.source, Box::new(|| Err(Vec::new())));
        options.source = Box::new(move || {
            let ports = ports.lock().unwrap().clone();
            let forwards = ports.into_iter().map(|port| Forward::local(port, 443));
            Ok(Setup {
                forwards: forwards.collect(),
                ..before.read()?
            })
        });
        options.machinery.link = Link::Rootless;
        change(options);
    })
}

#[test]
fn clients_can_connect_between_two_machines() {
    let port = free();
    let trial = start("exit 37", &Arc::new(Mutex::new(vec![port])), |options| {
        options.pauses.first = Duration::from_secs(600);
        options.pauses.longest = Duration::from_secs(600);
    });
    let status = trial.wait_for("the pause", |status| status.phase == Phase::Restarting);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(status.bound[0].listen, Listen::Tcp(address));
    assert!(listens(port));
    assert!(trial.launcher().stop(Duration::ZERO).is_success());
    assert!(!listens(port));
}

#[test]
fn listeners_follow_the_configuration_that_is_in_force() {
    let (old, new) = (free(), free());
    let ports = Arc::new(Mutex::new(vec![old]));
    let trial = start(&format!("role=serve\n{}", become_image()), &ports, |_| {});
    trial.ready();
    let stand = || (listens(old), listens(new));
    assert_eq!(stand(), (true, false));

    *ports.lock().unwrap() = vec![new];
    trial.set("bad");
    trial.launcher().reload().unwrap_err();
    assert_eq!(
        stand(),
        (true, false),
        "a refused configuration has no listeners"
    );

    trial.set("good");
    let reloaded = trial.launcher().reload().unwrap();
    assert_eq!(reloaded.bound.len(), 1);
    assert_eq!(stand(), (false, true));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    *ports.lock().unwrap() = vec![old, taken.local_addr().unwrap().port()];
    let errors = trial.launcher().reload().unwrap_err();
    assert!(errors[0].contains("can't be listened on"), "{errors:?}");
    assert_eq!(stand(), (false, true), "all listeners or none");

    trial.launcher().stop(Duration::ZERO);
    assert_eq!(stand(), (false, false));
}

#[test]
fn a_port_that_is_taken_starts_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (trial, mut options) = Trial::new("exit 37");
    options.machinery.link = Link::Rootless;
    options.source = Box::new(move || {
        Ok(Setup {
            forwards: vec![Forward::local(port, 443)],
            ..Setup::default()
        })
    });
    let error = Launcher::start(options).err().unwrap();
    assert!(matches!(error, Error::Listen { .. }), "{error}");
    assert!(!trial.directory.join("starts").exists());
}
