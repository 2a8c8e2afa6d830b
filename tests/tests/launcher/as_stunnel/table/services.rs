//! Rows about TLS: servers, clients, certificates, pre-shared keys and names.

use super::Step::{
    BackendResets, Echo, EchoThenFin, EchoThenReset, Leaves, Openssl, Plain, Says, Silent,
};
use super::{Apart, Row};

/// TLS is accepted.
pub const SERVERS: &[Row] = &[
    Row {
        name: "a server with a certificate",
        conf: "\
[tls]
accept = 127.0.0.1:{A}
connect = {backend}
cert = {dir}/server.pem
key = {dir}/server.key
[modern]
accept = 127.0.0.1:{B}
connect = {backend}
cert = {dir}/server.pem
key = {dir}/server.key
sslVersion = TLSv1.3
",
        steps: &[
            Echo('A'),
            Openssl('A', ""),
            Openssl('A', "-tls1_2"),
            Openssl('A', "-sess_out {dir}/session"),
            Openssl('A', "-sess_in {dir}/session"),
            Openssl('A', "-tls1_2 -cipher ECDHE-RSA-AES256-GCM-SHA384"),
            Openssl('B', "-tls1_2"),
            Says('A', "GET / HTTP/1.1\r\n\r\n"),
            Says('A', "EHLO somebody\r\n"),
            Leaves('A'),
        ],
        lines: &[
            "TLS accepted: new session negotiated",
            "TLS accepted: previous session reused",
            "SSL_accept: error:0A00009C:SSL routines::http request",
            "SSL_accept: error:0A00010B:SSL routines::wrong version number",
            "Connection closed: 5 byte(s) sent to TLS, 7 byte(s) sent to socket",
            "SSL_shutdown successfully sent close_notify alert",
        ],
        seen: &[],
    },
    Row {
        name: "clients with and without a certificate",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
connect = {backend}
[chain]
accept = 127.0.0.1:{A}
CAfile = {dir}/ca.pem
verifyChain = yes
[known]
accept = 127.0.0.1:{B}
CAfile = {dir}/client.pem
verifyPeer = yes
[any]
accept = 127.0.0.1:{C}
requireCert = yes
[asked]
accept = 127.0.0.1:{D}
CAfile = {dir}/ca.pem
verify = 1
[led]
accept = 127.0.0.1:{E}
CAfile = {dir}/ca.pem
verifyChain = yes
redirect = {backend}
",
        steps: &[
            Openssl('A', ""),
            Openssl('A', "-cert {dir}/client.pem -key {dir}/client.key"),
            Openssl('A', "-cert {dir}/stranger.pem -key {dir}/stranger.key"),
            Openssl('A', "-cert {dir}/expired.pem -key {dir}/expired.key"),
            Openssl('B', "-cert {dir}/client.pem -key {dir}/client.key"),
            Openssl('C', ""),
            Openssl('C', "-cert {dir}/stranger.pem -key {dir}/stranger.key"),
            Openssl('D', ""),
            Openssl('E', ""),
            Openssl('E', "-cert {dir}/client.pem -key {dir}/client.key"),
        ],
        lines: &[
            "SSL_accept: error:0A0000C7:SSL routines::peer did not return a certificate",
            "SSL_accept: error:0A000086:SSL routines::certificate verify failed",
            "Certificate accepted at depth=1: CN=Drop-in CA",
            "Certificate accepted at depth=0: CN=a client",
            "Redirecting connection",
        ],
        seen: &["alert 116"],
    },
    Row {
        name: "pre-shared keys",
        conf: "\
[server]
accept = 127.0.0.1:{A}
connect = {backend}
PSKsecrets = {dir}/psk
[client]
client = yes
accept = 127.0.0.1:{B}
connect = {psk}
PSKsecrets = {dir}/psk
[wrong]
client = yes
accept = 127.0.0.1:{C}
connect = {psk}
PSKsecrets = {dir}/other-psk
[unknown]
client = yes
accept = 127.0.0.1:{D}
connect = {psk}
PSKsecrets = {dir}/unknown-psk
[nothing]
client = yes
accept = 127.0.0.1:{E}
connect = {psk}
",
        steps: &[
            Openssl(
                'A',
                "-ciphersuites TLS_AES_128_GCM_SHA256 -psk 0123456789abcdef0123456789abcdef -psk_identity one",
            ),
            Openssl(
                'A',
                "-ciphersuites TLS_AES_128_GCM_SHA256 -psk ffffffffffffffffffffffffffffffff -psk_identity one",
            ),
            Openssl(
                'A',
                "-ciphersuites TLS_AES_128_GCM_SHA256 -psk 0123456789abcdef0123456789abcdef -psk_identity two",
            ),
            Plain('B'),
            Plain('C'),
            Plain('D'),
            Plain('E'),
        ],
        lines: &[
            "Key configured for PSK identity \"one\"",
            "PSK client configured for identity \"one\"",
            "SSL_accept: error:0A0000FD:SSL routines::binder does not verify",
            "TLS connected: previous session reused",
            "PSK identity not found (session resumption?)",
        ],
        seen: &[],
    },
    Row {
        name: "names",
        conf: "\
cert = {dir}/server.pem
key = {dir}/server.key
connect = {backend}
[front]
accept = 127.0.0.1:{A}
[one]
sni = front:one.example
[wild]
sni = front:*.one.example
[rest]
sni = front:*.example
CAfile = {dir}/ca.pem
verifyChain = yes
",
        steps: &[
            Openssl('A', "-servername one.example"),
            Openssl('A', "-servername a.b.one.example"),
            Openssl('A', "-servername two.example"),
            Openssl('A', "-servername elsewhere.org"),
            Openssl('A', "-noservername"),
        ],
        lines: &[
            "SNI: switched to service [one]",
            "SNI: switched to service [wild]",
            "SNI: switched to service [rest]",
            "SNI: no pattern matched servername: elsewhere.org",
            "SNI: no servername received",
        ],
        seen: &[],
    },
];

/// What each does where they are not the same, and why.
pub const APART: &[Apart] = &[
    Apart {
        step: EchoThenReset('A'),
        debian: "Connection closed: 5 byte(s) sent to TLS",
        ours: "Connection reset: 5 byte(s) sent to TLS",
        why: "a lost end is passed on as such: what was read before may not be all",
    },
    Apart {
        step: EchoThenFin('A'),
        debian: "TLS socket closed (SSL_read)",
        ours: "SSL_read: error:0A000126:SSL routines::unexpected eof while reading",
        why: "a truncated stream is no whole one (RFC 8446 §6.1)",
    },
    Apart {
        step: BackendResets('A'),
        debian: "close_notify",
        ours: "RST",
        why: "a backend that resets has not said all",
    },
    Apart {
        step: Openssl('B', "-tls1_2"),
        debian: "alert 40",
        ours: "alert 116",
        why: "rustls has one alert for both versions",
    },
    Apart {
        step: Openssl('C', "-cert {dir}/stranger.pem -key {dir}/stranger.key"),
        debian: "alert 42",
        ours: "alert 49",
        why: "the certificate is right, and its owner has no access (RFC 8446 §6.2)",
    },
    Apart {
        step: Openssl('A', "-curves X448 -tls1_3"),
        debian: "Peer temporary key: X448, 448 bits",
        ours: "no suitable key share",
        why: "rustls has no X448",
    },
];

/// What they are done with.
pub const APART_CONF: &str = "\
connect = {backend}
cert = {dir}/server.pem
key = {dir}/server.key
[tls]
accept = 127.0.0.1:{A}
[chain]
accept = 127.0.0.1:{B}
CAfile = {dir}/ca.pem
verifyChain = yes
[known]
accept = 127.0.0.1:{C}
CAfile = {dir}/client.pem
verifyPeer = yes
";

/// TLS is dialled.
pub const CLIENTS: &[Row] = &[
    Row {
        name: "servers' certificates",
        conf: "\
client = yes
[good]
accept = 127.0.0.1:{A}
connect = {good}
CAfile = {dir}/ca.pem
verifyChain = yes
checkHost = localhost
[other]
accept = 127.0.0.1:{B}
connect = {good}
CAfile = {dir}/ca.pem
verifyChain = yes
checkHost = other.example
[unknown]
accept = 127.0.0.1:{C}
connect = {good}
CAfile = {dir}/other-ca.pem
verifyChain = yes
[expired]
accept = 127.0.0.1:{D}
connect = {expired}
CAfile = {dir}/ca.pem
verifyChain = yes
[self]
accept = 127.0.0.1:{E}
connect = {self}
CAfile = {dir}/ca.pem
verifyChain = yes
[known]
accept = 127.0.0.1:{F}
connect = {self}
CAfile = {dir}/self.pem
verifyPeer = yes
[unlike]
accept = 127.0.0.1:{G}
connect = {good}
CAfile = {dir}/self.pem
verifyPeer = yes
[trusting]
accept = 127.0.0.1:{H}
connect = {good}
",
        steps: &[
            Plain('A'),
            Plain('A'),
            Plain('B'),
            Plain('C'),
            Plain('D'),
            Plain('E'),
            Plain('F'),
            Plain('G'),
            Plain('H'),
        ],
        lines: &[
            "CERT: Host name \"localhost\" matched with \"localhost\"",
            "CERT: Subject checks failed",
            "CERT: Pre-verification error: unable to get local issuer certificate",
            "CERT: Pre-verification error: certificate has expired",
            "CERT: Pre-verification error: self-signed certificate",
            "Certificate accepted at depth=0: CN=localhost",
        ],
        seen: &["then RST", "then FIN"],
    },
    Row {
        name: "servers that want certificates, and that are none",
        conf: "\
client = yes
[shown]
accept = 127.0.0.1:{A}
connect = {mutual}
cert = {dir}/client.pem
key = {dir}/client.key
[plain]
accept = 127.0.0.1:{C}
connect = {backend}
[refused]
accept = 127.0.0.1:{D}
connect = {dead}
[nameless]
accept = 127.0.0.1:{E}
connect = nobody.invalid:443
[older]
accept = 127.0.0.1:{F}
connect = {good}
sslVersion = TLSv1.2
sni = localhost
",
        steps: &[Plain('A'), Plain('C'), Plain('D'), Plain('E'), Plain('F')],
        lines: &[
            "s_connect: connect {dead}: Connection refused (111)",
            "No more addresses to connect",
            "No remote host resolved",
            "SNI: sending servername: localhost",
        ],
        seen: &["then RST"],
    },
    Row {
        name: "a program",
        conf: "\
[program]
accept = 127.0.0.1:{A}
exec = /bin/sh
execArgs = sh -c read${IFS}words;echo${IFS}said:$words
cert = {dir}/server.pem
key = {dir}/server.key
",
        steps: &[Openssl('A', "")],
        lines: &["Connection closed: 12 byte(s) sent to TLS, 7 byte(s) sent to socket"],
        seen: &["[73, 61, 69, 64, 3a, 44, 4f, 57, 4e, 20, 35, 0a]"],
    },
    Row {
        name: "times",
        conf: "\
[slow]
accept = 127.0.0.1:{A}
connect = {full}
cert = {dir}/server.pem
key = {dir}/server.key
TIMEOUTconnect = 1
[busy]
accept = 127.0.0.1:{B}
connect = {backend}
cert = {dir}/server.pem
key = {dir}/server.key
TIMEOUTbusy = 1
[plain]
client = yes
accept = 127.0.0.1:{C}
connect = {backend}
TIMEOUTbusy = 1
",
        steps: &[Openssl('A', ""), Silent('B'), Silent('C')],
        lines: &[
            "s_connect: s_poll_wait {full}: TIMEOUTconnect exceeded",
            "TIMEOUTbusy exceeded: sending reset",
            "Connection reset: ",
        ],
        seen: &[],
    },
];
