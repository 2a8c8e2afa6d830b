//! Programs of this host that the guest connects to, or that are its clients.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use guest::Call;
use stockade_config::introduction::Introduction;
use stockade_config::stunnel::Program;
use stockade_net::StreamError;

use super::*;

const PORT: u16 = 4_000;

/// A shell that runs this.
fn shell(port: u16, words: &str, pty: bool, role: Role) -> HostProgram {
    HostProgram {
        port,
        program: Program {
            path: "/bin/sh".to_owned(),
            arguments: ["sh", "-c", words].map(str::to_owned).to_vec(),
            pty,
        },
        role,
        own_errors: true,
    }
}

/// A call to the program that begins with who the client is.
fn call(words: &[u8], ends: bool) -> Call {
    let client = Introduction {
        host: Some("192.0.2.1".to_owned()),
        port: "40000".to_owned(),
        names: Some(("CN=client".to_owned(), "CN=authority".to_owned())),
    };
    Call {
        to: SocketAddr::new(HOST_SOCKETS.into(), PORT),
        send: [&client.encode(), words].concat(),
        ends,
        resets: false,
    }
}

/// What the guest hears of a program that runs `script`, and how its connection ended.
fn run(script: &str, pty: bool, call: Call) -> (String, Option<StreamError>) {
    let setup = Setup::new();
    let program = shell(PORT, script, pty, Role::Offered);
    setup.network.offer(&[], &[program]).unwrap();
    let outcome = setup.guest.call(call);
    eventually(|| setup.network.counters().open == 0);
    (String::from_utf8(outcome.received).unwrap(), outcome.error)
}

#[test]
fn it_hears_its_client_and_the_end_of_it() {
    let (heard, error) = run("cat; echo end", false, call(b"words\n", true));
    assert_eq!((heard.as_str(), error), ("words\nend\n", None));
}

#[test]
fn it_is_told_who_the_client_is() {
    let script = "echo $REMOTE_HOST $REMOTE_PORT $SSL_CLIENT_DN $SSL_CLIENT_I_DN";
    let (heard, _) = run(script, false, call(b"", true));
    assert_eq!(heard, "192.0.2.1 40000 CN=client CN=authority\n");
}

/// What it has said counts though it has not read everything.
#[test]
fn it_may_leave_before_it_has_read_everything() {
    let (heard, error) = run("echo said", false, call(&[b'x'; 400_000], true));
    assert_eq!((heard.as_str(), error), ("said\n", None));
}

#[test]
fn it_may_have_a_terminal() {
    let script = "test -t 0 && read line && echo \"got $line\"";
    let (heard, error) = run(script, true, call(b"words\n", false));
    assert_eq!((heard.as_str(), error), ("words\r\ngot words\r\n", None));
}

#[test]
fn one_that_cannot_be_started_is_told_and_its_client_hears_an_end() {
    let setup = Setup::new();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    setup.network.on_program(Arc::new(move |severity, line| {
        told.lock().unwrap().push((severity, line.to_owned()));
    }));
    let mut program = shell(PORT, "", false, Role::Offered);
    program.program.path = "/nobody/has/this".to_owned();
    setup.network.offer(&[], &[program]).unwrap();
    let outcome = setup.guest.call(call(b"", true));
    assert_eq!((outcome.received, outcome.error), (Vec::new(), None));
    let line = "exec /nobody/has/this: No such file or directory (2)";
    eventually(|| *lines.lock().unwrap() == [(3, line.to_owned())]);
}

/// The guest may be anybody: who does not say for whom starts nothing.
#[test]
fn without_an_introduction_nothing_is_started() {
    for send in [&b"\xff\xff"[..], b"\0\x03ab\0", b"\0"] {
        let made = Call {
            send: send.to_vec(),
            ..call(b"", true)
        };
        let (heard, error) = run("echo started", false, made);
        assert_eq!(heard, "");
        assert_eq!(error, Some(StreamError::Reset), "{send:?}");
    }
}

#[test]
fn a_port_stands_for_one_program() {
    let setup = Setup::new();
    let (one, other) = (
        shell(PORT, "echo one", false, Role::Offered),
        shell(PORT, "echo other", false, Role::Offered),
    );
    setup
        .network
        .offer(&[], std::slice::from_ref(&one))
        .unwrap();
    let error = setup.network.offer(&[], &[other]);
    assert!(matches!(error, Err(Error::SocketPort { .. })));
    setup.network.offer(&[], &[one]).unwrap();
    setup.network.take_back(&[], &[]);
    let outcome = setup.guest.call(call(b"", true));
    assert_eq!(outcome.received, b"one\n", "a session of before goes there");
}

#[test]
fn one_that_is_the_client_is_started_until_it_is_taken_back() {
    let setup = Setup::new();
    setup.guest.listen(7_000, guest::Service::Echo);
    let lines = Arc::new(Mutex::new(0));
    let told = Arc::clone(&lines);
    setup.network.on_program(Arc::new(move |_, line| {
        *told.lock().unwrap() += u32::from(line.ends_with("finished with code 7"));
    }));
    let retry = Some(Duration::from_millis(1));
    let script = "echo hello; read line; test \"$line\" = hello && exit 7";
    let program = shell(7_000, script, false, Role::Started { retry });
    setup.network.run_programs(&[program]);
    eventually(|| *lines.lock().unwrap() >= 3);
    setup.network.run_programs(&[]);
    eventually(|| setup.network.counters().open == 0);
}

#[test]
fn a_client_that_somebody_else_accepted_is_led_in_and_told_of() {
    let setup = Setup::new();
    setup.guest.listen(7_000, guest::Service::Echo);
    let (mut client, server) = UnixStream::pair().unwrap();
    let (over, told) = channel();
    let on_end = Box::new(move || over.send(()).unwrap());
    setup.network.adopt(server.into(), 7_000, on_end);
    client.write_all(b"words").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(&client), b"words");
    told.recv_timeout(PATIENCE).unwrap();
}
