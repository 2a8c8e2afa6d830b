//! Programs of this host that services start: `exec`, `execArgs`, `pty`.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use stockade_host::conf::{self, Passphrases};
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::process;
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, wait_until};

use crate::as_stunnel::Kind;
use crate::scene::{GLOBALS, LOOPBACK, Scene, echo, end, open_together};

/// Both do the same with a program, and their clients hear the same.
const BOTH: [Kind; 2] = [Kind::Debian, Kind::Ours];

/// A shell script; gives its path.
fn script(scene: &Scene, name: &str, body: &str) -> String {
    let path = scene.place.files.add(name, format!("#!/bin/sh\n{body}\n"));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("our own file");
    path
}

/// A section that accepts TLS, with these lines.
fn section(scene: &Scene, name: &str, accept: SocketAddr, lines: &str) -> String {
    let path = |file| scene.place.files.path(file);
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    format!("[{name}]\naccept = {accept}\ncert = {cert}\nkey = {key}\n{lines}\n")
}

fn free() -> SocketAddr {
    SocketAddr::new(LOOPBACK, ports::next())
}

/// Says this, and hears all that comes until the other side ends.
fn hear(scene: &Scene, server: SocketAddr, words: &[u8]) -> String {
    let mut stream = scene.connect_to(server);
    stream.write_all(words).expect("a connection");
    let heard = stream.read_into(Vec::new());
    String::from_utf8(heard.expect("an orderly end")).expect("text")
}

/// What openssl's client hears that shows this certificate.
fn hear_with(server: SocketAddr, cert: &str, key: &str) -> String {
    let mut command = Command::new("openssl");
    let server = server.to_string();
    command.args(["s_client", "-quiet", "-connect", &server]);
    command.args(["-cert", cert, "-key", key]);
    // Its input stays open until the program has answered and gone.
    let (input, held) = io::pipe().expect("a pipe");
    let finished = process::start(&mut command, input, Vec::new()).finish(PATIENCE);
    drop(held);
    String::from_utf8(finished.stdout).expect("text")
}

/// Processes of a launcher that are neither it nor its QEMU.
fn programs(launcher: &Program) -> Vec<String> {
    let family = launcher.family().into_iter();
    let names = family
        .filter(|one| one.pid != launcher.pid())
        .map(|one| one.name);
    names.filter(|name| !name.starts_with("qemu")).collect()
}

/// Waits until none of its programs is left, ended ones that nobody waited for included.
fn expect_no_programs(launcher: &Program) {
    let none = wait_until(PATIENCE, || programs(launcher).is_empty().then_some(()));
    assert!(none.is_some(), "{:?}", programs(launcher));
}

#[test]
fn what_programs_say_is_the_same() {
    let scene = Scene::new();
    let ask = script(&scene, "ask", "echo name?; read name; echo \"hello $name\"");
    let tells = script(&scene, "tells", "echo said and gone");
    let fails = script(&scene, "fails", "exit 3");
    let given = script(&scene, "given", "printf '<%s>' \"$@\"");
    let counts = script(&scene, "counts", "ls /proc/self/fd | wc -l");
    let terminal = script(
        &scene,
        "terminal",
        "test -t 0 && test -t 1 && echo both; stty -a; stty size; read line; echo \"got $line\"",
    );
    let idle = scene.place.files.add("idle", "#!/bin/sh\necho never\n");
    let missing = scene.place.files.path("missing");
    let cases: [(&str, String, &[u8], &str); 9] = [
        ("ask", format!("exec = {ask}"), b"you\n", "hello you"),
        ("tells", format!("exec = {tells}"), b"", "said and gone"),
        ("fails", format!("exec = {fails}"), b"", ""),
        ("missing", format!("exec = {missing}"), b"", ""),
        ("idle", format!("exec = {idle}"), b"", ""),
        (
            "given",
            format!("exec = {given}\nexecArgs = given  a \t 'b c' $(id) ;"),
            b"",
            "<a><'b><c'><$(id)><;>",
        ),
        ("counts", format!("exec = {counts}"), b"", ""),
        (
            "name",
            "exec = /bin/sh\nexecArgs = called -c echo${IFS}$0".to_owned(),
            b"",
            "called",
        ),
        (
            "terminal",
            format!("exec = {terminal}\npty = yes"),
            b"typed\n",
            "got typed",
        ),
    ];
    let places: Vec<SocketAddr> = cases.iter().map(|_| free()).collect();
    let sections = cases.iter().zip(&places);
    let sections: String = sections
        .map(|((name, lines, ..), place)| section(&scene, name, *place, lines))
        .collect();
    let conf = scene.write(&format!("{GLOBALS}debug = 6\n{sections}"));
    let heard = BOTH.map(|kind| {
        let mut program = kind.start(&scene, &[&conf]);
        let heard = cases.iter().zip(&places);
        let heard: Vec<String> = heard
            .map(|((_, _, words, _), place)| hear(&scene, *place, words))
            .collect();
        program.log.wait_for("finished with code 3");
        program.signal(Signal::TERM);
        assert_eq!(program.finish().code(), Some(0), "{}", program.log.text());
        heard
    });
    let [debian, ours] = heard;
    for ((name, _, _, expected), (debian, ours)) in cases.iter().zip(debian.iter().zip(&ours)) {
        if *name == "counts" {
            // Debian's may leave a descriptor of another connection open in a program.
            let count = |heard: &str| heard.trim().parse::<u32>().expect("a number");
            assert!(count(ours) <= count(debian), "{ours} descriptors, {debian}");
            continue;
        }
        // A terminal's echo comes when it comes.
        let [debian, ours] = [debian, ours].map(|heard| heard.replacen("typed\r\n", "", 1));
        assert_eq!(debian, ours, "{name}: Debian's, then ours");
        assert!(ours.contains(expected), "{name}: {ours}");
    }
}

/// A name in a certificate is a stranger's choice; it stays a value.
#[test]
fn a_program_knows_its_client() {
    let scene = Scene::new();
    let path = |name: &str| scene.place.files.path(name);
    let (cert, key) = (path("client.pem"), path("client.key"));
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    make.args([
        "-nodes", "-days", "30", "-keyout", &key, "-out", &cert, "-utf8",
    ]);
    make.args([
        "-subj",
        "/C=PL/O=A=b \\+ \"c\", d/CN=$(id) `id` \\\\ \u{e9}/emailAddress=a@b",
    ]);
    process::start(&mut make, io::empty(), Vec::new())
        .finish(PATIENCE)
        .succeeded();
    let tell = script(
        &scene,
        "tell",
        "echo \"host=$REMOTE_HOST port=${REMOTE_PORT:+known} dn=${SSL_CLIENT_DN-none} \
         issuer=${SSL_CLIENT_I_DN-none} other=$OTHER\"",
    );
    let (with, without) = (free(), free());
    let conf = scene.write(&format!(
        "{GLOBALS}{}{}",
        section(&scene, "with", with, &format!("exec = {tell}\nverify = 0")),
        section(&scene, "without", without, &format!("exec = {tell}")),
    ));
    let heard = BOTH.map(|kind| {
        let mut command = kind.command(&scene, &[&conf]);
        command.env("OTHER", "the launcher's");
        let program = Program::spawn(&command);
        let served = wait_until(PATIENCE, || {
            program.log.find(0, "Configuration successful").map(drop)
        });
        assert!(served.is_some(), "{}", program.log.text());
        [hear_with(with, &cert, &key), hear(&scene, without, b"")]
    });
    let [debian, ours] = heard;
    assert_eq!(debian, ours, "Debian's, then ours");
    let [with, without] = ours;
    assert!(
        with.contains("$(id) `id`") && with.contains("host=127.0.0.1 port=known"),
        "{with}"
    );
    assert!(
        without.contains("dn=none issuer=none other=the launcher's"),
        "{without}"
    );
}

/// What the launcher's own environment has by these names is nobody's certificate.
#[test]
fn nothing_is_said_of_a_client_that_it_did_not_show() {
    let scene = Scene::new();
    let tell = script(
        &scene,
        "tell",
        "echo \"${SSL_CLIENT_DN-none} ${SSL_CLIENT_I_DN-none}\"",
    );
    let conf = section(&scene, "tell", scene.server, &format!("exec = {tell}"));
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut command = Kind::Ours.command(&scene, &[&conf]);
    command.env("SSL_CLIENT_DN", "CN=forged");
    command.env("SSL_CLIENT_I_DN", "CN=forged");
    let program = Program::spawn(&command);
    program.log.wait_for("Configuration successful");
    assert_eq!(hear(&scene, scene.server, b""), "none none\n");
}

/// Errors go where stunnel's do: to its own standard error, or to the client where it has none.
#[test]
fn standard_error_is_the_launchers_or_the_clients() {
    let scene = Scene::new();
    let loud = script(&scene, "loud", "echo out; echo error >&2");
    let log = scene.place.files.path("stunnel.log");
    for (foreground, expected) in [("yes", "out\n"), ("quiet", "out\nerror\n")] {
        let conf = section(&scene, "loud", scene.server, &format!("exec = {loud}"));
        let conf = scene.write(&format!(
            "foreground = {foreground}\ndebug = 6\nsyslog = no\noutput = {log}\npid =\n{conf}"
        ));
        for kind in BOTH {
            let _ = fs::remove_file(&log);
            let program = kind.start(&scene, &[&conf]);
            let heard = hear(&scene, scene.server, b"");
            assert_eq!(heard, expected, "{kind:?} {foreground}");
            if foreground == "yes" {
                program.log.wait_for("error");
            }
        }
    }
}

#[test]
fn fifty_programs_at_once_and_nothing_is_left_of_them() {
    const PROGRAMS: usize = 50;
    let scene = Scene::new();
    let conf = section(&scene, "cat", scene.server, "exec = /bin/cat");
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &["--memory", "256"]);
    launcher.wait_until_serving();
    let words = |number: usize| format!("connection {number}").into_bytes();
    let descriptors = || processes::descriptors(launcher.pid()).len();
    // What is opened once and kept.
    end({
        let mut stream = scene.connect();
        echo(&mut stream, b"first").expect("an echo");
        stream
    })
    .expect("an orderly end");
    expect_no_programs(&launcher);
    let before = descriptors();
    let streams = open_together(PROGRAMS, |number| {
        let mut stream = scene.connect();
        echo(&mut stream, &words(number)).expect("an echo");
        stream
    });
    assert_eq!(programs(&launcher), vec!["cat"; PROGRAMS]);
    for (number, mut stream) in streams {
        match number % 2 {
            0 => {
                echo(&mut stream, &words(number + PROGRAMS)).expect("an echo");
                end(stream).unwrap_or_else(|error| panic!("the end of {number}: {error}"));
            }
            // Nobody says good-bye.
            _ => stream.reset(),
        }
    }
    expect_no_programs(&launcher);
    let closed = wait_until(PATIENCE, || (descriptors() <= before).then_some(()));
    assert!(
        closed.is_some(),
        "{} descriptors, {before} before",
        descriptors()
    );
    // Its own are all that a program has.
    let family = {
        let mut stream = scene.connect();
        echo(&mut stream, b"one more").expect("an echo");
        let family = launcher.family();
        end(stream).expect("an orderly end");
        family
    };
    assert!(family.iter().any(|one| one.name == "cat"), "{family:?}");
}

#[test]
fn a_program_has_no_descriptors_but_its_own() {
    let scene = Scene::new();
    let list = script(&scene, "list", "exec ls /proc/self/fd");
    // What whoever runs this test has left open is the launcher's, too.
    let alone = process::start(&mut Command::new(&list), io::empty(), Vec::new())
        .finish(PATIENCE)
        .succeeded();
    let conf = section(&scene, "list", scene.server, &format!("exec = {list}"));
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let expected = String::from_utf8(alone.stdout).expect("text");
    assert_eq!(hear(&scene, scene.server, b""), expected);
}

#[test]
fn much_is_carried_whole_and_slowly() {
    const BYTES: usize = 8_000_000;
    let scene = Scene::new();
    let much = script(
        &scene,
        "much",
        &format!("head -c {BYTES} /dev/zero | tr '\\0' x"),
    );
    let conf = section(&scene, "much", scene.server, &format!("exec = {much}"));
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut stream = scene.connect();
    // The program waits for its reader.
    thread::sleep(Duration::from_millis(300));
    let heard = stream.read_into(Vec::new()).expect("an orderly end");
    assert!(heard.len() == BYTES && heard.iter().all(|byte| *byte == b'x'));
    expect_no_programs(&launcher);
}

/// Nothing is killed, and the end of its input is what a program hears of it.
#[test]
fn a_program_that_heeds_no_signal_does_not_hold_up_the_end() {
    let scene = Scene::new();
    let deaf = script(
        &scene,
        "deaf",
        "trap '' TERM INT HUP; echo here; cat >/dev/null",
    );
    let conf = section(&scene, "deaf", scene.server, &format!("exec = {deaf}"));
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &["--drain", "0"]);
    launcher.wait_until_serving();
    let mut stream = scene.connect();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).expect("its word");
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success(), "{}", launcher.log.text());
    launcher.expect_no_family();
}

/// Not even a launcher that is killed leaves one behind.
#[test]
fn a_killed_launcher_ends_the_input_of_its_programs() {
    let scene = Scene::new();
    let conf = section(&scene, "cat", scene.server, "exec = /bin/cat");
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut stream = scene.connect();
    echo(&mut stream, b"here").expect("an echo");
    launcher.kill();
    launcher.expect_no_family();
}

#[test]
fn a_reload_changes_the_program_for_new_clients() {
    let scene = Scene::new();
    let write = |arguments: &str| {
        let lines = format!("exec = /bin/sh\nexecArgs = sh -c {arguments}");
        let conf = section(&scene, "sh", scene.server, &lines);
        scene.write(&format!("{GLOBALS}{conf}"))
    };
    let conf = write("exec${IFS}cat");
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut old = scene.connect();
    echo(&mut old, b"before").expect("an echo");
    write("echo${IFS}new");
    scene.place.control(&["reload"]).succeeded();
    assert_eq!(hear(&scene, scene.server, b""), "new\n");
    echo(&mut old, b"after").expect("an echo");
    end(old).expect("an orderly end");
}

/// The launcher's user is its programs' user.
#[test]
fn setuid_holds_for_programs() {
    const NOBODY: u32 = 65534;
    let map = fs::read_to_string("/proc/self/uid_map").expect("proc is mounted");
    let count = map.split_whitespace().nth(2).map(str::parse::<u32>);
    if !matches!(count, Some(Ok(count)) if count > NOBODY) {
        // There is no other user here; as_stunnel's test sees the refusal.
        return;
    }
    let scene = Scene::new();
    let lines = "exec = /bin/sh\nexecArgs = sh -c id${IFS}-u;id${IFS}-g;id${IFS}-G";
    let conf = section(&scene, "id", scene.server, lines);
    let conf = scene.write(&format!(
        "{GLOBALS}debug = 6\nsetuid = {NOBODY}\nsetgid = {NOBODY}\n{conf}"
    ));
    let expected = format!("{NOBODY}\n{NOBODY}\n{NOBODY}\n");
    for kind in BOTH {
        let _program = kind.start(&scene, &[&conf]);
        assert_eq!(hear(&scene, scene.server, b""), expected, "{kind:?}");
    }
}

/// `exec` with `connect`: the program is the client, at once, and again after its end.
#[test]
fn a_program_is_the_client() {
    let scene = Scene::new();
    let heard = scene.place.files.path("heard");
    let talk = script(
        &scene,
        "talk",
        &format!(
            "echo ECHO; echo \"$1\"; read line; echo \"$line ${{REMOTE_HOST-none}}\" >>{heard}"
        ),
    );
    let backend = scene.service("tls", scene.server, scene.backend.address());
    let authority = scene.place.files.add("ca.pem", &scene.identity.chain);
    let conf_text = format!(
        "{GLOBALS}{backend}[talk]\nclient = yes\nconnect = {}\nexec = {talk}\n\
         execArgs = talk words\nretry = yes\nverifyPeer = yes\nCAfile = {authority}\n",
        scene.server
    );
    let conf = scene.write(&conf_text);
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let twice = wait_until(PATIENCE, || {
        let lines = fs::read_to_string(&heard).unwrap_or_default();
        lines.starts_with("words none\nwords none\n").then_some(())
    });
    assert!(twice.is_some(), "{}", launcher.log.text());
    let event = scene.place.wait_for_event(0, "program").to_string();
    assert!(event.contains("Local mode child started (PID="), "{event}");
    // Taken back, it is not started again.
    let section = conf_text.find("[talk]").expect("its section");
    let kept = conf_text[..section].to_owned() + &scene.service_to("more", free(), "1");
    let kept = kept.replace(
        "key.pem\n",
        &format!("key.pem\nCAfile = {authority}\nverify = 0\n"),
    );
    scene.write(&kept);
    scene.place.control(&["reload"]).succeeded();
    expect_no_programs(&launcher);
    launcher.signal(Signal::TERM);
    assert!(launcher.finish().success(), "{}", launcher.log.text());
}

/// A client that says itself where it goes does not get to a program.
#[test]
fn clients_that_choose_their_way_reach_no_program() {
    let scene = Scene::new();
    let (socks, cat) = (free(), free());
    let conf = scene.write(&format!(
        "{GLOBALS}{}{}",
        section(&scene, "socks", socks, "protocol = socks"),
        section(&scene, "cat", cat, "exec = /bin/cat"),
    ));
    let read = conf::find(&conf, Passphrases::Nobody)
        .examination
        .configuration;
    let read = read.expect("it is right");
    let known = stockade_config::stunnel::HostPorts::of(&read);
    let program = read.services[1].program_behind().expect("its program");
    let port = known.program(program).expect("its port").to_be_bytes();
    let mut launcher = scene.launch_with(&conf, &[]);
    launcher.wait_until_serving();
    let mut stream = scene.connect_to(cat);
    echo(&mut stream, b"it is there").expect("an echo");
    end(stream).expect("an orderly end");
    let mut stream = scene.connect_to(socks);
    // RFC 1928 §3 and §4: no authentication; CONNECT to 10.0.2.4.
    stream.write_all(&[5, 1, 0]).expect("a connection");
    let mut method = [0; 2];
    stream.read_exact(&mut method).expect("a method");
    let [high, low] = port;
    stream
        .write_all(&[5, 1, 0, 1, 10, 0, 2, 4, high, low])
        .expect("a connection");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).expect("an answer");
    assert!(answer[0] == 5 && answer[1] != 0, "{answer:?}");
    expect_no_programs(&launcher);
}

/// A program is this host's, to which nothing leads from an image on a TAP.
#[test]
fn on_a_tap_it_is_refused_with_its_line() {
    let scene = Scene::new();
    let conf = section(&scene, "cat", scene.server, "exec = /bin/cat");
    let conf = conf.replace("accept = 127.0.0.1:", "accept = ");
    let conf = scene.write(&format!("{GLOBALS}{conf}"));
    let mut launcher =
        scene.launch_with(&conf, &["--net", "tap=nobodys", "--", "--ipv4=10.0.0.2/24"]);
    assert!(!launcher.finish().success());
    launcher
        .log
        .wait_for("stunnel.conf:8: exec = /bin/cat: programs are this host's");
}
