//! The program under socat's name beside socat itself: the same words, the same sockets, bytes and
//! statuses, but for that of SIGTERM.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;
use stockade_tests::stunnel::ports;
use stockade_tests::{PATIENCE, wait_until};

use crate::as_stunnel::system_log::in_own_devices;
use crate::side_car::{NAME, SideCar, connect, echo, end};
use crate::unix::{PERMISSIONS, other_group};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socat,
    Ours,
}

const BOTH: [Kind; 2] = [Kind::Socat, Kind::Ours];

impl Kind {
    fn command(self, car: &SideCar, words: &[&str]) -> Command {
        match self {
            Kind::Ours => car.place.command_called("socat", words),
            Kind::Socat => {
                let mut command = Command::new("socat");
                command.args(words);
                command
            }
        }
    }

    fn start(self, car: &SideCar, words: &[&str]) -> Program {
        let mut command = self.command(car, words);
        command.current_dir(car.place.files.folder());
        Program::spawn(&command)
    }

    /// The status when SIGTERM has ended it.
    fn terminated(self) -> i32 {
        match self {
            Kind::Socat => 128 + 15,
            Kind::Ours => 0,
        }
    }
}

/// The address of the server, with these options besides those of mutual TLS.
fn openssl(car: &SideCar, options: &str) -> String {
    let [certificate, key, authority] =
        ["client.pem", "client.key", "ca.pem"].map(|name| car.path(name));
    format!(
        "OPENSSL:{},certificate={certificate},key={key},cafile={authority}{options}",
        car.remote
    )
}

/// The listening address with these options.
fn listening(car: &SideCar, options: &str) -> String {
    format!("UNIX-LISTEN:{}{options}", car.socket())
}

/// The script of the side-car's image, word for word, but for the folder of the socket, the log, and
/// whose the socket is; `pkill` looks among the script's own session alone, as it would in a pod.
fn script(car: &SideCar, group: u32) -> String {
    let (socket, log) = (car.socket(), car.path("socat.txt"));
    let user = rustix::process::geteuid().as_raw();
    format!(
        "#!/bin/bash\n\
         socat -d -d -d -D -t 50 -T 50 -lf {log} \
         UNIX-LISTEN:{socket},fork,user={user},group={group},mode=0660,unlink-early  \
         OPENSSL:${{DEST_HOST}}:${{DEST_PORT}},certificate=${{CLIENT_CERT}},key=${{CLIENT_KEY}},\
         cafile=${{CAFILE}},verify=1,cipher=TLSv1.2,pf=ip4,commonname=${{DEST_CN}}\n\
         echo \"socat client exit code : \" $?\n\
         exit 0\n"
    )
}

/// The script runs as it is with either; `pkill socat` ends it, and finds nothing else.
#[test]
fn the_side_cars_script_runs_unchanged() {
    for kind in BOTH {
        let car = SideCar::new();
        let server = car.serve();
        let group = other_group();
        let script = car.place.files.add("side-car.sh", script(&car, group));
        // Makes the link.
        let ours = Kind::Ours.command(&car, &[]);
        let mut command = Command::new("bash");
        command.arg(&script);
        for (name, value) in ours.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let path = std::env::var("PATH").expect("programs are found by it");
        if kind == Kind::Ours {
            command.env("PATH", format!("{}:{path}", car.place.files.folder()));
        }
        for (name, value) in [
            ("CAFILE", car.path("ca.pem")),
            ("CLIENT_CERT", car.path("client.pem")),
            ("CLIENT_KEY", car.path("client.key")),
            ("DEST_HOST", "localhost".to_owned()),
            ("DEST_PORT", car.remote.port().to_string()),
            ("DEST_CN", NAME.to_owned()),
        ] {
            command.env(name, value);
        }
        let mut running = Program::spawn(&command);
        car.expect_echo();
        let file = fs::symlink_metadata(car.socket()).expect("it is there");
        assert_eq!(
            (file.mode() & PERMISSIONS, file.gid()),
            (0o660, group),
            "{kind:?}"
        );
        let accepted = server
            .log()
            .count("Certificate accepted at depth=0: CN=civicrm");
        assert!(accepted >= 1, "{kind:?}: {}", server.log().text());

        let log = || fs::read_to_string(car.path("socat.txt")).unwrap_or_default();
        let listening = format!("N listening on AF=1 \"{}\"", car.socket());
        for line in log().lines() {
            // 2026/11/22 16:20:00 socat[4711] N …
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            let [date, time, who, level, _] = words.as_slice() else {
                panic!("{kind:?}: {line}");
            };
            let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            assert_eq!(form(date), "0000/00/00", "{kind:?}: {line}");
            assert_eq!(form(time), "00:00:00", "{kind:?}: {line}");
            assert!(
                who.starts_with("socat[") && who.ends_with(']'),
                "{kind:?}: {line}"
            );
            assert!(["E", "W", "N", "I"].contains(level), "{kind:?}: {line}");
        }
        assert!(log().contains(&listening), "{kind:?}: {}", log());

        let family = running.family();
        let named = family.iter().filter(|process| process.name == "socat");
        assert!(named.count() >= 1, "{kind:?}: {family:?}");
        let session = running.pid().to_string();
        let killed = Command::new("pkill")
            .args(["--session", &session, "socat"])
            .status();
        assert!(killed.expect("pkill is there").success(), "{kind:?}");
        assert_eq!(running.finish().code(), Some(0), "{kind:?}");
        let told = running.log.wait_for("socat client exit code : ");
        assert_eq!(
            told,
            format!("socat client exit code :  {}", kind.terminated())
        );
        assert!(!Path::new(&car.socket()).exists(), "{kind:?}");
        running.expect_no_family();
    }
}

/// Whoever waits for socat's own status gets it when that is asked for.
#[test]
fn sigterm_leads_to_the_status_that_was_asked_for() {
    let car = SideCar::new();
    let words = [listening(&car, ",fork"), openssl(&car, "")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for signal in [Signal::TERM, Signal::INT] {
        let mut ours = Kind::Ours.start(&car, &words);
        connect(&car.socket());
        assert_eq!(end(&mut ours, signal), Some(0), "{}", ours.log.text());
    }
    let mut command = Kind::Ours.command(&car, &words);
    let options = command
        .get_envs()
        .find(|(name, _)| *name == "STOCKADE_OPTIONS")
        .and_then(|(_, value)| value?.to_str().map(str::to_owned));
    let options = options.expect("it names the image") + " --exit-code 143";
    let mut ours = Program::spawn(command.env("STOCKADE_OPTIONS", options));
    connect(&car.socket());
    assert_eq!(
        end(&mut ours, Signal::TERM),
        Some(143),
        "{}",
        ours.log.text()
    );
}

/// One client, and then nobody: the status tells how it went.
#[test]
fn without_fork_one_connection_is_served() {
    for kind in BOTH {
        let car = SideCar::new();
        let words = [
            listening(&car, ""),
            openssl(&car, &format!(",commonname={NAME}")),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let server = car.serve();
        let mut program = kind.start(&car, &words);
        let mut client = car.begin_echo();
        assert!(UnixStream::connect(car.socket()).is_err(), "{kind:?}");
        echo(&mut client, b"alone");
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("an open socket");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("an orderly end");
        assert_eq!(
            program.finish().code(),
            Some(0),
            "{kind:?}: {}",
            program.log.text()
        );
        assert!(!Path::new(&car.socket()).exists(), "{kind:?}");

        drop(server);
        let mut program = kind.start(&car, &words);
        car.expect_nothing();
        assert_eq!(
            program.finish().code(),
            Some(1),
            "{kind:?}: {}",
            program.log.text()
        );
        program.log.wait_for("Connection refused");
        assert!(!Path::new(&car.socket()).exists(), "{kind:?}");
    }
}

/// What follows a client's end of writing arrives, and what never comes is waited for no longer than
/// was said.
#[test]
fn one_direction_ends_without_the_other() {
    for kind in BOTH {
        let car = SideCar::new();
        let _server = car.serve();
        let words = [
            listening(&car, ",fork"),
            openssl(&car, &format!(",cn={NAME}")),
        ];
        let words = ["-t", "50", &words[0], &words[1]];
        let _program = kind.start(&car, &words);
        let length = 100_000;
        let heard = car.ask(format!("LATE {length}\n").as_bytes());
        assert_eq!(heard.expect("an orderly end").len(), length, "{kind:?}");
    }
}

/// Connections whose server can't be had or is not itself end, and others go on.
#[test]
fn refusals_cost_a_connection_and_no_more() {
    for kind in BOTH {
        let car = SideCar::new();
        let words = [listening(&car, ",fork"), openssl(&car, ",commonname=other")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut program = kind.start(&car, &words);
        car.expect_nothing();
        program.log.wait_for("Connection refused");
        let _server = car.serve();
        car.expect_nothing();
        assert!(program.is_running(), "{kind:?}");
        let line = program.log.wait_for(match kind {
            Kind::Socat => "commonName does not match hostname",
            Kind::Ours => "certificate verify failed",
        });
        assert!(line.contains("] E "), "{kind:?}: {line}");
    }
}

/// Whether a server whose certificate has this common name is trusted.
fn is_trusted(kind: Kind, common_name: &str, host: &str, options: &str) -> bool {
    let car = SideCar::new();
    car.leaf("server", common_name, "ca");
    fs::create_dir(car.path("authorities")).expect("a free path");
    fs::copy(car.path("ca.pem"), car.path("authorities/ca.pem")).expect("our own files");
    car.place.files.rehash("authorities");
    let _server = car.serve_reversed(&[]);
    let address = format!("OPENSSL:{host}:{}{options}", car.remote.port());
    let program = kind.start(&car, &[&listening(&car, ",fork"), &address]);
    let mut client = connect(&car.socket());
    client.write_all(b"drawer\n").expect("an open socket");
    let mut heard = [0; 7];
    let trusted = client.read_exact(&mut heard).is_ok();
    assert!(!trusted || &heard == b"reward\n", "{}", program.log.text());
    trusted
}

#[test]
fn names_are_verified_alike() {
    let own = ",cafile=ca.pem";
    for (common_name, host, options, expected) in [
        ("127.0.0.1", "127.0.0.1", own, true),
        ("localhost", "localhost", own, true),
        ("localhost", "127.0.0.1", own, false),
        (
            "My Database",
            "127.0.0.1",
            ",cafile=ca.pem,commonname=My Database",
            true,
        ),
        (
            "*.example.org",
            "localhost",
            ",cafile=ca.pem,cn=db.example.org",
            true,
        ),
        (
            "a.example.org",
            "localhost",
            ",cafile=ca.pem,cn=b.example.org",
            false,
        ),
        ("a.example.org", "localhost", ",verify=0", true),
        ("localhost", "localhost", "", false),
        ("localhost", "localhost", ",capath=authorities", true),
        (
            "localhost",
            "localhost",
            ",cafile=ca.pem,max-version=TLS1.2,cipher=HIGH",
            true,
        ),
        (
            "localhost",
            "localhost",
            ",cafile=ca.pem,min-version=TLS1.3,snihost=other",
            true,
        ),
    ] {
        for kind in BOTH {
            let trusted = is_trusted(kind, common_name, host, options);
            assert_eq!(
                trusted, expected,
                "{kind:?} {common_name:?} {host}{options}"
            );
        }
    }
}

/// All addresses of a family, or of both.
#[test]
fn ports_are_listened_on_alike() {
    let four = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let six = IpAddr::V6(Ipv6Addr::LOCALHOST);
    for (keyword, options, reached) in [
        ("TCP-LISTEN", "", [true, false]),
        ("TCP4-LISTEN", ",bind=127.0.0.1", [true, false]),
        ("TCP6-LISTEN", "", [true, true]),
        ("TCP-L", ",pf=ip6,bind=[::1]", [false, true]),
    ] {
        for kind in BOTH {
            let car = SideCar::new();
            let port = ports::next();
            let listen = format!("{keyword}:{port},fork,reuseaddr{options}");
            let program = kind.start(&car, &["-d", "-d", &listen, "OPENSSL:127.0.0.1:1,verify=0"]);
            program.log.wait_for("listening on ");
            let found = [four, six].map(|address| TcpStream::connect((address, port)).is_ok());
            assert_eq!(found, reached, "{kind:?} {listen}");
        }
    }
}

/// The system's log gets the same priority, tag and text.
#[test]
fn the_system_s_log_has_the_same_datagrams() {
    for kind in BOTH {
        let car = SideCar::new();
        let socket = car.path("log");
        let log = UnixDatagram::bind(&socket).expect("a free path");
        log.set_read_timeout(Some(PATIENCE))
            .expect("an open socket");
        let words = [
            "-d",
            "-d",
            "-lylocal1",
            &listening(&car, ",fork"),
            "OPENSSL:127.0.0.1:1,verify=0",
        ];
        let inner = kind.command(&car, &words);
        let program = Program::spawn(&in_own_devices(&inner, &car.path("devices"), &socket));
        let wanted = format!(" N listening on AF=1 \"{}\"", car.socket());
        let line = loop {
            let mut bytes = [0; 4096];
            let length = log
                .recv(&mut bytes)
                .unwrap_or_else(|error| panic!("{kind:?}: {error}: {}", program.log.text()));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            // socat's own has a line's end.
            if let Some(text) = text.lines().next().filter(|text| text.ends_with(&wanted)) {
                break text.to_owned();
            }
        };
        let facility_and_level = 17 * 8 + 5;
        assert!(
            line.starts_with(&format!("<{facility_and_level}>")),
            "{kind:?}: {line}"
        );
        let tag = format!(" socat[{}]:{wanted}", program.pid());
        assert!(line.ends_with(&tag), "{kind:?}: {line}");
        assert_eq!(program.log.text(), "", "{kind:?}");
    }
}

/// What both refuse, at once and with the same status; ours says why in a line of the same form.
#[test]
fn what_is_wrong_is_refused_as_by_socat() {
    let car = SideCar::new();
    let file = car.place.files.add("a-file", "precious");
    let socket = car.socket();
    let unix = format!("UNIX-LISTEN:{socket}");
    let tls = "OPENSSL:127.0.0.1:1,verify=0";
    let (in_place, nowhere) = (format!("UNIX-LISTEN:{file}"), "UNIX-LISTEN:/nonexistent/s");
    for (words, told) in [
        (&[][..], "exactly 2 addresses required (there are 0)"),
        (
            &[unix.as_str()],
            "exactly 2 addresses required (there are 1)",
        ),
        (
            &[&unix, tls, tls],
            "exactly 2 addresses required (there are 3)",
        ),
        (&["-Z", &unix, tls], "unknown option \"-Z\""),
        (&["-lz", &unix, tls], "unknown log option \"-lz\""),
        (
            &["-t", "x", &unix, tls],
            "missing numerical value of option \"-t\"",
        ),
        (
            &[&format!("{unix},colour=red"), tls],
            "unknown option \"colour\"",
        ),
        (
            &[&format!("{unix},mode=9"), tls],
            "missing numerical value of option \"mode=9\"",
        ),
        (
            &[&format!("{unix},mode"), tls],
            "option \"mode\": value required",
        ),
        (
            &[&format!("{unix},user=nosuch"), tls],
            "getpwnam(\"nosuch\"): no such user",
        ),
        (&[&format!("{unix},range=10.0.0.0/8"), tls], "\"range\""),
        (
            &[&format!("{unix}:more"), tls],
            "wrong number of parameters (2 instead of 1)",
        ),
        (&["UNIX-LISTEN:\"x", tls], "unexpected end of address"),
        (&[nowhere, tls], "No such file or directory"),
        (&[&in_place, tls], "a-file"),
    ] {
        for kind in BOTH {
            let mut program = kind.start(&car, words);
            let log = |program: &Program| program.log.text();
            assert_eq!(
                program.finish().code(),
                Some(1),
                "{kind:?} {words:?}: {}",
                log(&program)
            );
            let line = program.log.wait_for(told);
            assert!(line.contains("] E "), "{kind:?} {words:?}: {line}");
            assert!(!Path::new(&socket).exists(), "{kind:?} {words:?}");
        }
    }
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    // What socat can, and this can't, is refused as well.
    for words in [["-u", &unix, tls], ["-v", &unix, tls], ["-U", &unix, tls]] {
        let mut ours = Kind::Ours.start(&car, &words);
        assert_eq!(ours.finish().code(), Some(1), "{words:?}");
        ours.log.wait_for(&format!("option {}: ", words[0]));
    }
}

/// Quotes and backslashes mean what they mean to socat.
#[test]
fn names_are_quoted_alike() {
    for (written, name) in [
        (r"a\,b", "a,b"),
        ("\"c,d\"", "c,d"),
        ("'e:f'", "e:f"),
        ("(g,h)", "(g,h)"),
        ("\"q\\\"r\"", "q\"r"),
    ] {
        for kind in BOTH {
            let car = SideCar::new();
            let listen = format!("unix-l:{written},FORK,Mode=640");
            let mut program = kind.start(&car, &[&listen, "ssl:127.0.0.1:1,verify=0"]);
            let path = car.path(name);
            let mode = wait_until(PATIENCE, || {
                let mode = fs::symlink_metadata(&path).ok()?.mode() & PERMISSIONS;
                // socat makes the file before it gives it its mode.
                (mode == 0o640).then_some(mode)
            });
            assert_eq!(
                mode,
                Some(0o640),
                "{kind:?} {written}: {}",
                program.log.text()
            );
            connect(&path);
            assert_eq!(
                end(&mut program, Signal::TERM),
                Some(kind.terminated()),
                "{kind:?}"
            );
        }
    }
}

/// The kernel calls it by the link's name, and QEMU by its own.
#[test]
fn processes_are_found_by_name() {
    let car = SideCar::new();
    let words = [listening(&car, ",fork"), openssl(&car, "")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut ours = Kind::Ours.start(&car, &words);
    let qemu = ours.qemu();
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    assert_eq!(name(ours.pid()), "socat\n");
    assert!(name(qemu).starts_with("qemu-system"), "{}", name(qemu));
    let arguments = fs::read(format!("/proc/{qemu}/cmdline")).expect("it runs");
    let arguments = String::from_utf8_lossy(&arguments).into_owned();
    assert!(!arguments.contains("socat"), "{arguments}");
    assert_eq!(end(&mut ours, Signal::TERM), Some(0));
    let gone = wait_until(PATIENCE, || (!processes::is_alive(qemu)).then_some(()));
    assert!(gone.is_some(), "QEMU runs on");
}

/// Open connections end with it, as socat's do by pkill.
#[test]
fn sigterm_waits_for_nobody() {
    let car = SideCar::new();
    let _server = car.serve();
    let words = [
        listening(&car, ",fork"),
        openssl(&car, &format!(",cn={NAME}")),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut ours = Kind::Ours.start(&car, &words);
    let mut open = car.begin_echo();
    assert_eq!(end(&mut ours, Signal::TERM), Some(0));
    let over = open.read(&mut [0]);
    assert!(!matches!(over, Ok(1..)), "{over:?}");
    assert!(open.write_all(b"too late").is_err());
}
