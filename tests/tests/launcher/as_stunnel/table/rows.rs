//! Rows about backends, addresses, files and signals.

use rustix::process::Signal;

use super::Row;
use super::Step::{Add, Echo, OpenWhile, Openssl, Plain, Send, Wait, Write};

/// Where connections go, and where they come from.
pub const BACKENDS: &[Row] = &[
    Row {
        name: "failover",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
[first]
accept = 127.0.0.1:{A}
connect = {dead}
connect = {dead}
connect = {backend}
[none]
accept = 127.0.0.1:{B}
connect = {dead}
connect = {dead}
failover = rr
[turns]
accept = 127.0.0.1:{C}
connect = {backend}
connect = {backend}
failover = rr
[nameless]
accept = 127.0.0.1:{D}
connect = nobody.invalid:80
[refused]
accept = 127.0.0.1:{E}
connect = {dead}
[late]
accept = 127.0.0.1:{F}
connect = {backend}
delay = yes
",
        steps: &[
            Openssl('A', ""),
            Openssl('A', ""),
            Openssl('B', ""),
            Openssl('C', ""),
            Openssl('C', ""),
            Openssl('D', ""),
            Openssl('E', ""),
            Openssl('F', ""),
        ],
        lines: &[
            "failover: priority, starting at entry #0",
            "failover: round-robin, starting at entry #",
            "s_connect: connect {dead}: Connection refused (111)",
            "No more addresses to connect",
            "No remote host resolved",
        ],
        seen: &[],
    },
    Row {
        name: "IPv6",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
[out]
accept = 127.0.0.1:{A}
connect = {backend6}
[both]
accept = :::{B}
connect = {backend}
",
        steps: &[Openssl('A', ""), Echo('B')],
        lines: &["s_connect: connected ::1:"],
        seen: &["an echo, then an orderly end"],
    },
    Row {
        name: "a plain backend in client mode, and one that refuses",
        conf: "\
client = yes
[open]
accept = 127.0.0.1:{A}
connect = {good}
[both]
accept = 127.0.0.1:{B}
connect = {dead}
connect = {good}
",
        steps: &[Plain('A'), Plain('B'), Plain('B')],
        lines: &["TLS connected: new session negotiated"],
        seen: &["then FIN"],
    },
];

/// Files that change, and signals.
pub const FILES: &[Row] = &[
    Row {
        name: "an included folder, a reload of a changed file, and one of a broken one",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
include = {dir}/more
",
        steps: &[
            Add(
                "more/01-one.conf",
                "[one]\naccept = 127.0.0.1:{A}\nconnect = {backend}\n",
            ),
            Add(
                "more/02-two.conf",
                "[two]\naccept = 127.0.0.1:{B}\nconnect = {dead}\n",
            ),
            Openssl('A', ""),
            Openssl('B', ""),
            Add(
                "more/03-three.conf",
                "[three]\naccept = 127.0.0.1:{C}\nconnect = {backend}\n",
            ),
            Send(Signal::HUP),
            Wait("Configuration successful", 2),
            Wait("bound to 127.0.0.1:{C}", 1),
            Openssl('C', ""),
            Openssl('A', ""),
            Add(
                "more/03-three.conf",
                "[three]\naccept = 127.0.0.1:{C}\ncolour = red\n",
            ),
            Send(Signal::HUP),
            Wait("Failed to reload the configuration file", 1),
            Openssl('C', ""),
        ],
        lines: &[
            "Configuration successful",
            "\"colour = red\": Specified option name is not valid here",
            "Failed to reload the configuration file",
        ],
        seen: &[],
    },
    Row {
        name: "another port by a reload, and a connection that goes on",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
[tls]
accept = 127.0.0.1:{A}
connect = {backend}
",
        steps: &[
            Echo('A'),
            OpenWhile('A', Signal::USR2, "Listed 1 active connection(s)"),
            Write(
                "\
cert = {dir}/server.pem
key = {dir}/server.key
[tls]
accept = 127.0.0.1:{B}
connect = {backend}
",
            ),
            OpenWhile('A', Signal::HUP, "bound to 127.0.0.1:{B}"),
            Echo('B'),
            Send(Signal::USR1),
            Wait("Log file reopened", 1),
            Send(Signal::USR2),
            Wait("Listed 0 active connection(s)", 1),
        ],
        lines: &[
            "LOG0[ui]: Active connection 1: Service [tls], 5 byte(s) sent to TLS, 10 byte(s) sent to \
             socket",
            "LOG0[ui]: Listed 1 active connection(s)",
            "LOG0[ui]: Listed 0 active connection(s)",
        ],
        seen: &["an echo, then an orderly end"],
    },
];
