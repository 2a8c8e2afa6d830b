//! What is done with both.

use std::fs;
use std::net::SocketAddr;

use rustix::process::Signal;
use stockade_tests::launcher::processes;
use stockade_tests::launcher::program::Program;

use super::{Case, Daemon, Kind, LOG, PID, Seen, finish, occupy, serve_one, wait_for_log};
use crate::scene::{GLOBALS, Scene};

/// Global options of what stays in the foreground. At this level both tell when they accept.
const FOREGROUND_YES: &str = "foreground = yes\nsyslog = no\ndebug = 6\npid =\n";

/// A word for which the path of the case's file stands.
const FILE: &str = "FILE";

/// The case's file with these global options and one service.
fn write(scene: &Scene, global: &str) -> String {
    let service = section(scene, scene.backend.address());
    scene.write(&format!("{global}{service}"))
}

fn section(scene: &Scene, backend: SocketAddr) -> String {
    scene.service("tls", scene.server, backend)
}

/// Global options of a daemon.
fn daemon(scene: &Scene) -> String {
    let path = |name| scene.place.files.path(name);
    format!(
        "syslog = no\ndebug = 6\noutput = {}\npid = {}\n",
        path(LOG),
        path(PID)
    )
}

/// A call that is refused.
fn refused(kind: Kind, scene: &Scene, conf: &str, words: &[&str]) -> Seen {
    let conf = scene.write(conf);
    let words: Vec<&str> = words
        .iter()
        .map(|word| if *word == FILE { conf.as_str() } else { word })
        .collect();
    let finished = kind.call(scene, &words);
    Seen::new(scene, finished.status, &finished.stderr)
}

/// A run in the foreground that is ended by this signal.
fn ended(scene: &Scene, mut program: Program, signal: Signal) -> Seen {
    program.signal(signal);
    let status = program.finish();
    // The threads that read its output end a moment after it.
    program.expect_no_family();
    program.log.wait_for("erminat");
    Seen::new(scene, status, &program.log.text())
}

/// Nothing is started.
pub const REFUSALS: &[Case] = &[
    Case {
        name: "a file that is not there",
        run: |kind, scene| refused(kind, scene, "", &["/nonexistent/stunnel.conf"]),
        line: "[!] Invalid configuration file name \"/nonexistent/stunnel.conf\"",
        status: 1,
    },
    Case {
        name: "a word that is not known",
        run: |kind, scene| refused(kind, scene, "", &["-what"]),
        line: "[!] Invalid configuration file name \"-what\"",
        status: 1,
    },
    Case {
        name: "two dashes",
        run: |kind, scene| refused(kind, scene, "", &["--help"]),
        line: "[!] realpath: No such file or directory",
        status: 1,
    },
    Case {
        name: "no descriptor",
        run: |kind, scene| refused(kind, scene, "", &["-fd"]),
        line: "[!] No file descriptor specified",
        status: 1,
    },
    Case {
        name: "no number of a descriptor",
        run: |kind, scene| refused(kind, scene, "", &["-fd", "x"]),
        line: "[!] Invalid file descriptor number",
        status: 1,
    },
    Case {
        name: "a descriptor that is not open",
        run: |kind, scene| refused(kind, scene, "", &["-fd", "99"]),
        line: "[!] Cannot open configuration file",
        status: 1,
    },
    Case {
        name: "an option that there is not",
        run: |kind, scene| {
            let conf = scene.conf("") + "colour = red\n";
            refused(kind, scene, &conf, &[FILE])
        },
        line: "\"colour = red\": Specified option name is not valid here",
        status: 1,
    },
    Case {
        name: "the same in a daemon",
        run: |kind, scene| {
            let conf = daemon(scene) + &section(scene, scene.backend.address()) + "colour = red\n";
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Configuration failed",
        status: 1,
    },
    Case {
        name: "a global option in a section",
        run: |kind, scene| {
            let conf = section(scene, scene.backend.address()) + "foreground = yes\n";
            refused(kind, scene, &conf, &[FILE])
        },
        line: "\"foreground = yes\": Specified option name is not valid here",
        status: 1,
    },
    Case {
        name: "a line without a sign",
        run: |kind, scene| refused(kind, scene, "foreground yes\n", &[FILE]),
        line: "stunnel.conf:1: \"foreground yes\": No '=' found",
        status: 1,
    },
    Case {
        name: "a user that there is not",
        run: |kind, scene| {
            let conf = scene.conf("setuid = nobody-is-called-so\n");
            refused(kind, scene, &conf, &[FILE])
        },
        line: "\"setuid = nobody-is-called-so\": Illegal UID",
        status: 1,
    },
    Case {
        name: "no certificate",
        run: |kind, scene| {
            let conf = "foreground = yes\n[tls]\naccept = 127.0.0.1:9\nconnect = 127.0.0.1:9\n";
            refused(kind, scene, conf, &[FILE])
        },
        line: "[!] Service [tls]: TLS server needs a certificate",
        status: 1,
    },
    Case {
        name: "a key that is not there",
        run: |kind, scene| {
            let conf = scene.conf("") + "key = /nonexistent/key.pem\n";
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Service [tls]: Failed to initialize TLS context",
        status: 1,
    },
    Case {
        name: "nothing to verify with",
        run: |kind, scene| {
            let conf = scene.conf("") + "verifyChain = yes\n";
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Service [tls]: Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured",
        status: 1,
    },
    Case {
        name: "one endpoint",
        run: |kind, scene| {
            let conf = format!("{GLOBALS}[tls]\nclient = yes\naccept = {}\n", scene.server);
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Service [tls]: Each service must define two endpoints",
        status: 1,
    },
    Case {
        name: "a folder that is not there",
        run: |kind, scene| refused(kind, scene, "include = /nonexistent\n", &[FILE]),
        line: "\"include = /nonexistent\": Failed to include directory",
        status: 1,
    },
    Case {
        name: "a relative log in a daemon",
        run: |kind, scene| {
            let conf = scene.conf("foreground = no\noutput = relative.log\n");
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Global options: Log file must include full path name",
        status: 1,
    },
    Case {
        name: "a port that is taken",
        run: |kind, scene| {
            let _taken = occupy(scene);
            refused(kind, scene, &scene.conf(""), &[FILE])
        },
        line: "[!] Binding service [tls] failed",
        status: 1,
    },
    Case {
        name: "the same for a daemon",
        run: |kind, scene| {
            let _taken = occupy(scene);
            let conf = daemon(scene) + &section(scene, scene.backend.address());
            refused(kind, scene, &conf, &[FILE])
        },
        line: "Address already in use (98)",
        status: 1,
    },
    Case {
        name: "a log that can't be opened",
        run: |kind, scene| {
            let conf = scene.conf("output = /nonexistent/stunnel.log\n");
            refused(kind, scene, &conf, &[FILE])
        },
        line: "[!] Cannot open log file: /nonexistent/stunnel.log",
        status: 1,
    },
    Case {
        name: "a pid file that can't be made",
        run: |kind, scene| {
            let conf = scene.conf("pid = /nonexistent/stunnel.pid\n");
            refused(kind, scene, &conf, &[FILE])
        },
        line: "LOG3[ui]: create: No such file or directory",
        status: 1,
    },
];

/// One process serves, from its start to its end.
pub const FOREGROUND: &[Case] = &[
    Case {
        name: "a connection, and SIGTERM",
        run: |kind, scene| {
            let program = kind.start(scene, &[&write(scene, FOREGROUND_YES)]);
            serve_one(scene);
            program.log.wait_for("Connection closed");
            ended(scene, program, Signal::TERM)
        },
        line: "LOG5[0]: Connection closed: ",
        status: 0,
    },
    Case {
        name: "a backend that refuses",
        run: |kind, scene| {
            let conf = format!(
                "{FOREGROUND_YES}{}",
                section(scene, "127.0.0.1:9".parse().expect("an address"))
            );
            let program = kind.start(scene, &[&scene.write(&conf)]);
            let error = scene.try_echo(scene.server).expect_err("nobody is there");
            program.log.wait_for("Connection reset");
            assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused);
            ended(scene, program, Signal::TERM)
        },
        line: "LOG3[0]: s_connect: connect 127.0.0.1:9: Connection refused (111)",
        status: 0,
    },
    Case {
        name: "a client that trusts everybody",
        run: |kind, scene| {
            let section = format!(
                "[open]\nclient = yes\naccept = {}\nconnect = {}\n",
                scene.server,
                scene.backend.address()
            );
            let conf = format!("{FOREGROUND_YES}{section}");
            let program = kind.start(scene, &[&scene.write(&conf)]);
            ended(scene, program, Signal::TERM)
        },
        line: "LOG4[ui]: Service [open] needs authentication to prevent MITM attacks",
        status: 0,
    },
    Case {
        name: "SIGINT",
        run: |kind, scene| {
            let program = kind.start(scene, &[&write(scene, FOREGROUND_YES)]);
            ended(scene, program, Signal::INT)
        },
        line: "LOG3[ui]: Received SIGINT; terminating",
        status: 0,
    },
    Case {
        name: "SIGQUIT",
        run: |kind, scene| {
            let program = kind.start(scene, &[&write(scene, FOREGROUND_YES)]);
            ended(scene, program, Signal::QUIT)
        },
        line: "LOG3[ui]: Received SIGQUIT; terminating",
        status: 0,
    },
    Case {
        name: "a good and a spoiled configuration by SIGHUP",
        run: |kind, scene| {
            let program = kind.start(scene, &[&write(scene, FOREGROUND_YES)]);
            serve_one(scene);
            program.log.wait_for("Connection closed");
            let before = program.log.len();
            program.signal(Signal::HUP);
            program
                .log
                .wait_for_after(before, "Configuration successful");
            // Debian's binds its port anew after that line.
            program.log.wait_for_after(before, "bound to");
            serve_one(scene);
            program.log.wait_for("LOG5[1]: Connection closed");
            let conf = write(scene, FOREGROUND_YES);
            let text = fs::read_to_string(&conf).expect("written just now");
            scene.write(&(text + "colour = red\n"));
            program.signal(Signal::HUP);
            program
                .log
                .wait_for("Failed to reload the configuration file");
            serve_one(scene);
            program.log.wait_for("LOG5[2]: Connection closed");
            ended(scene, program, Signal::TERM)
        },
        line: "LOG3[ui]: Failed to reload the configuration file",
        status: 0,
    },
    Case {
        name: "a descriptor",
        run: |kind, scene| {
            let conf = write(scene, FOREGROUND_YES);
            let inner = kind.command(scene, &["-fd", "5"]);
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "exec \"$0\" \"$@\" 5< \"$CONF\""]);
            command.arg(inner.get_program()).args(inner.get_args());
            for (name, value) in inner.get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command.env("CONF", &conf);
            let mut program = Program::spawn(&command);
            kind.wait_until_accepting(scene, &mut program);
            serve_one(scene);
            program.log.wait_for("Connection closed");
            // Nobody but who was given it may read it.
            let file = std::path::Path::new(&conf);
            for process in program.family() {
                let open = processes::descriptors(process.pid);
                assert!(!open.iter().any(|path| path == file), "{process:?}");
            }
            ended(scene, program, Signal::TERM)
        },
        line: "LOG5[ui]: Reading configuration from descriptor 5",
        status: 0,
    },
    Case {
        name: "a log file beside the terminal",
        run: |kind, scene| {
            let global = format!("{FOREGROUND_YES}output = {}\n", scene.place.files.path(LOG));
            let program = kind.start(scene, &[&write(scene, &global)]);
            ended(scene, program, Signal::TERM)
        },
        line: "LOG5[ui]: Terminated",
        status: 0,
    },
    Case {
        name: "a quiet terminal, and a log that is moved",
        run: |kind, scene| {
            let log = scene.place.files.path(LOG);
            let global = format!(
                "{}output = {log}\n",
                FOREGROUND_YES.replace("= yes", "= quiet")
            );
            let mut program = kind.start(scene, &[&write(scene, &global)]);
            serve_one(scene);
            wait_for_log(scene, "Connection closed", 1);
            fs::rename(&log, format!("{log}.1")).expect("a file of our own");
            program.signal(Signal::USR1);
            wait_for_log(scene, "Log file reopened", 1);
            serve_one(scene);
            wait_for_log(scene, "Connection closed", 1);
            program.signal(Signal::TERM);
            let status = program.finish();
            let mut seen = Seen::new(scene, status, &program.log.text());
            let moved = fs::read_to_string(format!("{log}.1")).expect("moved there");
            seen.terminal.extend(super::lines::comparable(&moved));
            seen
        },
        line: "LOG5[ui]: Log file reopened",
        status: 0,
    },
];

/// The process that is called ends, and another one serves.
pub const DAEMONS: &[Case] = &[
    Case {
        name: "a connection, and SIGTERM",
        run: |kind, scene| {
            let conf = write(scene, &daemon(scene));
            let called = kind.call(scene, &[&conf]);
            let daemon = Daemon::of(scene);
            wait_for_log(scene, "Accepting new connections", 1);
            serve_one(scene);
            wait_for_log(scene, "Connection closed", 1);
            daemon.signal(Signal::TERM);
            daemon.expect_end(scene);
            Seen::new(scene, called.status, &called.stderr)
        },
        line: "LOG5[main]: Terminated",
        status: 0,
    },
    Case {
        name: "SIGHUP and SIGUSR1",
        run: |kind, scene| {
            let conf = write(scene, &daemon(scene));
            let called = kind.call(scene, &[&conf]);
            let number = Daemon::of(scene);
            wait_for_log(scene, "Accepting new connections", 1);
            number.signal(Signal::HUP);
            wait_for_log(scene, "bound to", 2);
            scene.write(&format!("{}colour = red\n", daemon(scene)));
            number.signal(Signal::HUP);
            wait_for_log(scene, "Failed to reload the configuration file", 1);
            number.signal(Signal::USR1);
            wait_for_log(scene, "Log file reopened", 1);
            serve_one(scene);
            wait_for_log(scene, "Connection closed", 1);
            number.signal(Signal::TERM);
            number.expect_end(scene);
            Seen::new(scene, called.status, &called.stderr)
        },
        line: "LOG5[main]: Log file reopened",
        status: 0,
    },
    Case {
        name: "a configuration from a pipe",
        run: |kind, scene| {
            let conf = write(scene, &daemon(scene));
            let inner = kind.command(scene, &["-fd", "0"]);
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "cat \"$CONF\" | \"$0\" \"$@\""]);
            command.arg(inner.get_program()).args(inner.get_args());
            for (name, value) in inner.get_envs() {
                if let Some(value) = value {
                    command.env(name, value);
                }
            }
            command.env("CONF", conf);
            let called = finish(&mut command);
            let daemon = Daemon::of(scene);
            wait_for_log(scene, "Accepting new connections", 1);
            serve_one(scene);
            wait_for_log(scene, "Connection closed", 1);
            daemon.signal(Signal::TERM);
            daemon.expect_end(scene);
            Seen::new(scene, called.status, &called.stderr)
        },
        line: "LOG5[ui]: Reading configuration from descriptor 0",
        status: 0,
    },
];
