//! Configurations that are wrong: refused with the file, the line and stunnel's own words.

use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::subject::{Kind, Scene};

/// Faulty sections, the number of the line at fault behind the globals, and what is said of it.
const FAULTS: &[(&str, usize, &str)] = &[
    (
        "[x]\nno equals sign\n",
        2,
        "\"no equals sign\": No '=' found",
    ),
    (
        "[x]\nfrob = 1\n",
        2,
        "\"frob = 1\": Specified option name is not valid here",
    ),
    (
        "[x]\noutput = /a\n",
        2,
        "\"output = /a\": Specified option name is not valid here",
    ),
    ("[x\n", 1, "\"[x\": No '=' found"),
    (
        "[x]\nclient = maybe\n",
        2,
        "\"client = maybe\": The argument needs to be either 'yes' or 'no'",
    ),
    (
        "[x]\nconnect = 1\nfailover = lots\n",
        3,
        "\"failover = lots\": The argument needs to be either 'rr' or 'prio'",
    ),
    (
        "[x]\noptions = NO_SUCH\n",
        2,
        "\"options = NO_SUCH\": Illegal TLS option",
    ),
    (
        "[x]\nsslVersion = TLSv9\n",
        2,
        "\"sslVersion = TLSv9\": Invalid protocol version",
    ),
    (
        "[x]\nclient = yes\naccept = 1\nconnect = 127.0.0.1:2\nprotocol = telnet\n",
        5,
        "Protocol not supported",
    ),
    (
        "[x]\nclient = yes\naccept = 1\nconnect = 127.0.0.1:2\nprotocol = proxy\n",
        1,
        "The 'proxy' protocol is not supported in the client mode",
    ),
    ("[x]\nverify = 9\n", 2, "\"verify = 9\": Bad verify level"),
    (
        "[x]\nsocket = l:NO_SUCH=1\n",
        2,
        "\"socket = l:NO_SUCH=1\": Illegal socket option",
    ),
    (
        "[x]\nclient = yes\naccept = 1\n",
        1,
        "Service [x]: Each service must define two endpoints",
    ),
    (
        "[x]\naccept = 1\nconnect = 2\n",
        1,
        "Service [x]: TLS server needs a certificate",
    ),
    (
        "[x]\nclient = yes\naccept = 1\nconnect = 127.0.0.1:2\nverifyChain = yes\n",
        1,
        "Service [x]: Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured",
    ),
    ("debug = 9\n", 1, "\"debug = 9\": Illegal debug"),
    (
        "fips = yes\n[x]\nclient = yes\naccept = 1\nconnect = 127.0.0.1:2\n",
        1,
        "FIPS",
    ),
];

/// Every fault is told with its place.
pub fn in_stunnel_s_words(kind: Kind) {
    let scene = Scene::new(kind);
    let before = GLOBALS.lines().count();
    let mut missing = Vec::new();
    for (sections, line, words) in FAULTS {
        let said = scene.refuse(&format!("{GLOBALS}{sections}"));
        let place = format!("stunnel.conf:{}: ", before + line);
        let told = said
            .lines()
            .any(|said| said.contains(words) && said.contains(&place));
        // stunnel has no line for what it finds once a section is whole.
        let told = told || (kind == Kind::Debian && said.contains(words));
        if !told {
            missing.push(format!("{sections:?}: no {place}{words}\nin {said}"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
