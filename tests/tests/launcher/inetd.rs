//! The inetd mode: a configuration without sections, whose one client is standard input and output.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use stockade_tests::client::{self, TlsStream};
use stockade_tests::{PATIENCE, wait_until};

use crate::as_stunnel::Kind;
use crate::scene::{LOOPBACK, Scene, echo, end};

const BOTH: [Kind; 2] = [Kind::Debian, Kind::Ours];

/// How the image says what stunnel has no need to say.
const REACHED: &str = "is on the host, reached by the gateway";

/// Where the log goes, below the scene's place.
const LOG: &str = "inetd.log";

/// A configuration without sections.
fn write(scene: &Scene, lines: &str) -> String {
    let path = |file| scene.place.files.path(file);
    let (cert, key, log) = (path("cert.pem"), path("key.pem"), path(LOG));
    scene.write(&format!(
        "syslog = no\noutput = {log}\ndebug = 6\ncert = {cert}\nkey = {key}\n{lines}\n"
    ))
}

fn log(scene: &Scene) -> String {
    fs::read_to_string(scene.place.files.path(LOG)).unwrap_or_default()
}

/// Two ends of a TCP connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let client = client::tcp(address).expect("it listens");
    let (server, _) = listener.accept().expect("a client");
    (client, server)
}

/// As inetd starts it: the socket is standard input, output and error.
fn start(mut command: Command, server: TcpStream) -> Child {
    let server = OwnedFd::from(server);
    let copy = || Stdio::from(server.try_clone().expect("a descriptor"));
    let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn();
    child.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Carries each piece as it comes.
fn pump(mut from: impl Read, mut to: impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

/// The status that it ends with.
fn finish(mut child: Child) -> Option<i32> {
    let ended = wait_until(PATIENCE, || child.try_wait().expect("our own child"));
    if ended.is_none() {
        child.kill().expect("our own child");
        panic!("it still runs");
    }
    ended.and_then(|status| status.code())
}

/// Lets either serve one client by `talk`, which is given the TLS stream before its handshake; gives
/// what the log says.
fn serve(
    scene: &Scene,
    kind: Kind,
    conf: &str,
    talk: impl FnOnce(TlsStream) -> io::Result<()>,
) -> String {
    let _ = fs::remove_file(scene.place.files.path(LOG));
    let (client, server) = pair();
    let child = start(kind.command(scene, &[conf]), server);
    let stream = TlsStream::open(client, &client::verifying(&scene.identity));
    talk(stream.expect("a client")).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    assert_eq!(finish(child), Some(0), "{kind:?}: {}", log(scene));
    log(scene)
}

/// The lines that both have and that a user reads, without times and what is OpenSSL's.
fn common(log: &str) -> Vec<String> {
    let told = [
        "Configuration successful",
        "Service [",
        "Connection ",
        "Local mode child started",
    ];
    let lines = log.lines().filter_map(|line| line.split_once(": "));
    let lines = lines
        .map(|(_, text)| text)
        .filter(|text| !text.ends_with(REACHED) && told.iter().any(|head| text.starts_with(head)));
    // Ports that nobody chose, and processes' numbers.
    let plain = lines.map(|line| {
        line.split_inclusive(|byte: char| !byte.is_ascii_digit())
            .map(|part| part.trim_start_matches(|byte: char| byte.is_ascii_digit()))
            .collect()
    });
    plain.collect()
}

#[test]
fn one_client_is_led_to_the_backend() {
    let scene = Scene::new();
    let conf = write(&scene, &format!("connect = {}", scene.backend.address()));
    let logs = BOTH.map(|kind| {
        serve(&scene, kind, &conf, |mut stream| {
            stream.complete_handshake()?;
            stream.write_all(b"ECHO\n")?;
            echo(&mut stream, b"by inetd")?;
            end(stream)
        })
    });
    let [debian, ours] = logs.each_ref().map(|log| common(log));
    assert_eq!(debian, ours, "{logs:#?}");
    assert!(
        ours.iter()
            .any(|line| line.starts_with("Service [stunnel] accepted connection from ")),
        "{ours:#?}"
    );
}

#[test]
fn one_client_is_led_to_a_program() {
    let scene = Scene::new();
    let lines =
        "service = mail\nexec = /bin/sh\nexecArgs = sh -c echo${IFS}$REMOTE_HOST;exec${IFS}cat";
    let conf = write(&scene, lines);
    let logs = BOTH.map(|kind| {
        serve(&scene, kind, &conf, |mut stream| {
            stream.complete_handshake()?;
            let mut heard = [0; 10];
            stream.read_exact(&mut heard)?;
            assert_eq!(heard, *b"127.0.0.1\n");
            echo(&mut stream, b"by inetd")?;
            end(stream)
        })
    });
    let [debian, ours] = logs.each_ref().map(|log| common(log));
    assert_eq!(debian, ours, "{logs:#?}");
    assert!(ours.iter().any(|line| line.contains("[mail]")), "{ours:#?}");
}

/// Who is refused hears so in TLS, and nothing but TLS; the status is what it always is.
#[test]
fn a_client_that_is_refused_is_the_end_of_it() {
    let scene = Scene::new();
    let authority = scene.place.files.add("ca.pem", &scene.identity.chain);
    let lines = format!("exec = /bin/cat\nverifyChain = yes\nCAfile = {authority}");
    let conf = write(&scene, &lines);
    for kind in BOTH {
        let log = serve(&scene, kind, &conf, |mut stream| {
            let refused = stream
                .complete_handshake()
                .and_then(|()| stream.read_into(Vec::new()).map(drop));
            match refused {
                Ok(()) => Err(io::Error::other("it was let in")),
                // An alert, which is TLS; anything else would be called unintelligible.
                Err(error) => {
                    let text = error.to_string();
                    assert!(!text.to_lowercase().contains("corrupt"), "{kind:?}: {text}");
                    Ok(())
                }
            }
        });
        assert!(log.contains("SSL_accept: "), "{kind:?}: {log}");
        assert!(!log.contains("Local mode child"), "{kind:?}: {log}");
    }
}

/// Neither of the two is a socket, and they are not the same.
#[test]
fn pipes_are_a_client_too() {
    let scene = Scene::new();
    let conf = write(&scene, &format!("connect = {}", scene.backend.address()));
    let _ = fs::remove_file(scene.place.files.path(LOG));
    let (client, server) = pair();
    let (input, writing) = io::pipe().expect("a pipe");
    let (reading, output) = io::pipe().expect("a pipe");
    let mut command = Kind::Ours.command(&scene, &[&conf]);
    command.stdin(input).stdout(output).stderr(Stdio::null());
    let child = command.spawn().unwrap_or_else(|error| panic!("{error}"));
    drop(command);
    let input = server.try_clone().expect("a descriptor");
    thread::spawn(move || pump(input, writing));
    thread::spawn(move || pump(reading, server));
    let stream = TlsStream::open(client, &client::verifying(&scene.identity));
    let mut stream = stream.expect("a client");
    stream.complete_handshake().expect("a handshake");
    stream.write_all(b"ECHO\n").expect("a connection");
    echo(&mut stream, b"by pipes").expect("an echo");
    stream.finish().expect("a connection");
    assert_eq!(stream.read(&mut [0]).expect("close_notify"), 0);
    assert_eq!(finish(child), Some(0), "{}", log(&scene));
}

/// What is wrong with the configuration is told as stunnel tells it; the client hears none of it.
#[test]
fn a_wrong_configuration_is_told_on_standard_error_alone() {
    let scene = Scene::new();
    for (lines, expected) in [
        (
            "accept = 4433",
            "[!] Inetd mode: 'accept' option is only allowed in a [section]",
        ),
        (
            "debug = 5",
            "[!] Inetd mode: Inetd mode must define one endpoint",
        ),
    ] {
        let conf = write(&scene, lines);
        for kind in BOTH {
            let (mut client, server) = pair();
            let copy = server.try_clone().expect("a descriptor");
            let mut command = kind.command(&scene, &[&conf]);
            command
                .stdin(OwnedFd::from(server))
                .stdout(OwnedFd::from(copy));
            let child = command.stderr(Stdio::piped()).spawn();
            let mut child = child.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
            drop(command);
            let mut told = String::new();
            let mut stderr = child.stderr.take().expect("piped above");
            stderr.read_to_string(&mut told).expect("text");
            assert_eq!(finish(child), Some(1), "{kind:?}: {told}");
            assert!(told.contains(expected), "{kind:?}: {told}");
            assert!(
                told.contains("[!] Configuration failed"),
                "{kind:?}: {told}"
            );
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).expect("an end");
            assert_eq!(heard, b"", "{kind:?}");
        }
    }
}

/// `run` has no client of its own.
#[test]
fn a_run_says_how_to_start_it() {
    let scene = Scene::new();
    let conf = write(&scene, "exec = /bin/cat");
    let mut launcher = scene.launch_with(&conf, &[]);
    assert!(!launcher.finish().success());
    launcher.log.wait_for("start it as `stockade stunnel FILE`");
}

/// `-fd N` where the descriptor is a socket, as some programs hand their configuration over.
#[test]
fn a_configuration_comes_over_a_socket() {
    let scene = Scene::new();
    let text = scene.conf("");
    for kind in BOTH {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        let words = text.clone();
        let writing = thread::spawn(move || ours.write_all(words.as_bytes()));
        let mut command = kind.command(&scene, &["-fd", "0"]);
        command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        drop(command);
        writing.join().expect("it writes").expect("it is read");
        let log = stockade_tests::stunnel::log::Log::default();
        log.follow(child.stderr.take().expect("piped above"));
        let served = wait_until(PATIENCE, || scene.try_echo(scene.server).ok());
        let _ = child.kill();
        let _ = child.wait();
        assert!(served.is_some(), "{kind:?}: {}", log.text());
        assert!(
            log.text()
                .contains("Reading configuration from descriptor 0"),
            "{}",
            log.text()
        );
    }
}
