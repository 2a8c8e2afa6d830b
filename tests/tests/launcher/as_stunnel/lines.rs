//! What of a log can be compared.

use std::collections::BTreeSet;

/// Lines that only Debian's has, and why. `…` stands for anything.
const DEBIANS: &[(&str, &str)] = &[
    ("Compiled with OpenSSL", "there is none here"),
    (
        "Local mode child started",
        "the number of a process; ours is told of apart from its connection",
    ),
    ("Child process ", "likewise"),
    ("Running  with OpenSSL", "there is none here"),
    ("Threading:", "one core, one loop"),
    ("Insecure file permissions", "ours names more files"),
    (
        "No trusted certificates found",
        "OpenSSL's error queue after a good start",
    ),
    ("Unhandled error library", "OpenSSL's error queue"),
    ("error queue:", "OpenSSL's error queue"),
    (
        "SSL_CTX_",
        "the call of OpenSSL's that failed; the line before it says what",
    ),
    (
        "Initializing inetd mode configuration",
        "it is set up where it is asked for",
    ),
    ("Compression disabled", "there is none in rustls"),
    ("OpenSSL security level is used", "there is one level"),
    ("Session resumption enabled", "the option's default"),
    (
        "Error resolving \"",
        "stunnel asks for each connection by itself, ours for all, and later",
    ),
    (
        "delaying DNS lookup",
        "no name is looked up before the machine runs",
    ),
    (
        "open: ",
        "the system's call; the line before it says the path",
    ),
    (
        "Session id: ",
        "OpenSSL's number of a session; rustls has none for tickets",
    ),
    (
        "Configured trusted ",
        "the list of authorities' names that a server sends",
    ),
    ("DH initialization", "no DH suites"),
    ("ECDH initial", "no library to initialise"),
    ("Updating DH parameters", "no DH suites"),
    ("Executing cron jobs", "no such thread"),
    ("Cron jobs completed", "no such thread"),
    ("service thread(s)", "no threads"),
    ("Service threads terminated", "no threads"),
    ("PSK identities: ", "what OpenSSL was given"),
    (
        "hexadecimal key configured for identity",
        "what OpenSSL was given",
    ),
    (
        "ASCII key configured for identity",
        "what OpenSSL was given",
    ),
    (
        "Reading configuration from file…/more/",
        "what is included is read with the file that includes it",
    ),
    (
        "Failed to include a file",
        "the line before says which, and where",
    ),
    (
        "Pre-verification error ignored",
        "what OpenSSL finds of a chain that nobody has asked for",
    ),
    (
        "Received trusted client CA",
        "the list of names that a server sends",
    ),
    ("Client certificate not requested", "rustls does not tell"),
    ("s_poll_wait: waiting", "stunnel's innards"),
    (
        "SNI: sending servername: 127.0.0.1",
        "an address is none: \"Literal IPv4 and IPv6 addresses are not permitted\" (RFC 6066 §3)",
    ),
];

/// Lines that only ours has, and why.
const OURS: &[(&str, &str)] = &[
    (
        "Local mode child started",
        "the launcher starts programs, and does not know a connection's number",
    ),
    ("Child process ", "likewise"),
    ("No OpenSSL: ", "what stands in its place"),
    ("Image: ", "there is a machine"),
    ("Machine ", "there is a machine"),
    ("Serving, ", "there is a machine"),
    ("Stopping; ", "there is a machine"),
    (
        "is on the host, reached by the gateway",
        "how the machine reaches it",
    ),
    (
        "The server may not know the PSK identity",
        "what an alert most often means",
    ),
    (
        "the peer's certificate was refused",
        "why a client is led elsewhere",
    ),
    (
        "the peer has shown no certificate",
        "why a client is led elsewhere",
    ),
    (
        "bound to 0.0.0.0:",
        "a socket for each family, where stunnel has one for both",
    ),
    ("No control socket: ", "stockade status and the like"),
];

/// What is written differently in lines that are the same, and why: what is left out is between the
/// two texts, or behind the first where the second is empty.
const CUT: &[(&str, &str, &str)] = &[
    ("stunnel 5.", "", "the version and the platform"),
    ("accepted connection from ", "", "a port that nobody chose"),
    (
        "connected remote server from ",
        "",
        "a port that nobody chose",
    ),
    ("starting at entry #", "", "stunnel begins at random"),
    ("SSL_accept: ", "error:", "the place in OpenSSL's source"),
    ("SSL_connect: ", "error:", "the place in OpenSSL's source"),
    ("SSL_read: ", "error:", "the place in OpenSSL's source"),
    ("certificate verify failed", "", "our own words say more"),
    ("wrong version number", "", "our own words say more"),
    ("http request", "", "our own words say more"),
    ("binder does not verify", "", "our own words say more"),
    (
        "no suitable signature algorithm",
        "",
        "our own words say more",
    ),
    ("no shared cipher", "", "our own words say more"),
    ("unsupported protocol", "", "our own words say more"),
    ("no suitable key share", "", "our own words say more"),
    ("unexpected eof while reading", "", "our own words say more"),
    (
        "Invalid groups list in 'curves'",
        "",
        "our own words say more",
    ),
    (
        "Peer temporary key: X25519",
        "",
        "OpenSSL 3.0 has no hybrid group",
    ),
    ("Read socket closed (", ")", "how the system told stunnel"),
    ("No remote host resolved", "", "ours has xapi's words too"),
];

/// Lines of level 7 that are compared: what a connection's life consists of.
const DEBUG: [&str; 2] = ["] started", "] finished ("];

/// Up to which level lines are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `LOG5` and below.
    Notice,
    /// `LOG6` and below, and of `LOG7` what [`DEBUG`] lists.
    Debug,
}

/// The lines of the levels that stunnel shows when nobody asks for others, without times, versions
/// and the ports that nobody chose.
pub fn comparable(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| is_shown(line, Level::Notice));
    let lines = lines.map(plain).filter(|line| !is_others(line));
    let mut lines: Vec<String> = lines.filter(|line| !is_syntax(line)).collect();
    let reasons: Vec<usize> = (1..lines.len())
        .filter(|at| is_reason(&lines, *at))
        .collect();
    for at in reasons.into_iter().rev() {
        lines.remove(at - 1);
    }
    lines
}

/// Whether the line before this one is why TLS can't be set up: OpenSSL's errors have words of their
/// own for that, and not for all of it. What is not there has the same.
fn is_reason(lines: &[String], at: usize) -> bool {
    let why = &lines[at - 1];
    lines[at].ends_with("Failed to initialize TLS context")
        && why.starts_with("[!] ")
        && !why.contains("Invalid groups list")
}

/// The lines up to this level, of each speaker by itself: stunnel's threads write as it comes.
pub fn of_connections(text: &str, level: Level) -> Vec<String> {
    let lines = text.lines().filter(|line| is_shown(line, level));
    let mut lines: Vec<String> = lines.map(plain).filter(|line| !is_others(line)).collect();
    // What the configuration is warned of, ours tells when it has read all of it.
    let of_start = |line: &str| speaker(line).is_none() && line.starts_with("LOG6");
    lines.sort_by_key(|line| (speaker(line), of_start(line)));
    let mut told = BTreeSet::new();
    lines.retain(|line| {
        let is_repeated = REPEATED.iter().any(|(text, _)| line.contains(text));
        !is_repeated || told.insert(line.clone())
    });
    let all = lines.clone();
    lines.retain(|line| !is_before_failure(line, &all));
    lines
}

/// Lines that stunnel repeats, within a connection or at a reload, and why: the first is compared.
const REPEATED: &[(&str, &str)] = &[
    ("No peer certificate received", "once for each session"),
    ("UTF-8 byte order mark", "once for each included file"),
    (
        "Initializing service [",
        "ours begins when nothing is wrong with the file",
    ),
    (
        "Loading certificate",
        "ours begins when nothing is wrong with the file",
    ),
    (
        "Certificate loaded",
        "ours begins when nothing is wrong with the file",
    ),
    (
        "Loading private key",
        "ours begins when nothing is wrong with the file",
    ),
    (
        "Private key loaded",
        "ours begins when nothing is wrong with the file",
    ),
    ("CERT: ", "once for each of OpenSSL's questions"),
    (
        "Certificate accepted at depth=",
        "once for each of OpenSSL's questions",
    ),
    (
        "Certificate verification disabled",
        "once for each of OpenSSL's questions",
    ),
];

/// Lines of a connection that are left out for what came of it, with the reason.
const BEFORE: &[(&str, &str, &str)] = &[
    (
        "Certificate accepted at depth=1",
        "Rejected by CERT",
        "of a peer that is refused, rustls keeps no chain",
    ),
    (
        "Key configured for PSK identity",
        "binder does not verify",
        "ours says so of keys that fit",
    ),
    (
        "No peer certificate received",
        "TLS connected: ",
        "OpenSSL's client looks whenever a ticket comes",
    ),
];

fn is_before_failure(line: &str, all: &[String]) -> bool {
    BEFORE.iter().any(|(text, end, _)| {
        let own = |other: &&String| speaker(other) == speaker(line);
        line.contains(text) && all.iter().filter(own).any(|other| other.contains(end))
    })
}

/// What differs, speaker by speaker; empty when nothing does.
pub fn difference(debian: &[String], ours: &[String]) -> String {
    let speakers: BTreeSet<_> = debian
        .iter()
        .chain(ours)
        .map(|line| speaker(line))
        .collect();
    let mut shown = String::new();
    for speaker in speakers {
        let own = |lines: &[String]| -> Vec<String> {
            let lines = lines.iter().filter(|line| self::speaker(line) == speaker);
            lines.cloned().collect()
        };
        let (debian, ours) = (own(debian), own(ours));
        if debian != ours {
            shown += &compared(&debian, &ours);
        }
    }
    shown
}

/// Both texts, with a mark before each line that the other does not have.
fn compared(debian: &[String], ours: &[String]) -> String {
    let marked = |own: &[String], other: &[String]| -> String {
        let lines = own.iter().map(|line| match other.contains(line) {
            true => format!("    {line}\n"),
            false => format!(" !! {line}\n"),
        });
        lines.collect()
    };
    let (debian, ours) = (marked(debian, ours), marked(ours, debian));
    format!("Debian's\n{debian}ours\n{ours}")
}

/// The place among the speakers: `[ui]` first, then connections by their numbers.
fn speaker(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once('[')?;
    rest.split_once("]: ")?.0.parse().ok()
}

fn is_others(line: &str) -> bool {
    let mut others = DEBIANS.iter().chain(OURS);
    others.any(|(text, _)| text.split('…').all(|part| line.contains(part)))
}

/// Whether it is a notice or more: `LOG5[` and below, or marked so on a terminal.
fn is_shown(line: &str, level: Level) -> bool {
    let digit = line.get(20..25).and_then(|word| word.strip_prefix("LOG"));
    match (digit.and_then(|rest| rest.chars().next()), level) {
        (Some(own), Level::Notice) => own <= '5',
        (Some('7'), Level::Debug) => DEBUG.iter().any(|text| line.contains(text)),
        (Some(_), Level::Debug) => true,
        (None, _) => !line.starts_with("[ ]"),
    }
}

/// The command line's description, which each has in words of its own.
fn is_syntax(line: &str) -> bool {
    ["[.]  ", "[.] Syntax:", "[.] stunnel [<", "[.] stunnel [F"]
        .iter()
        .any(|head| line.starts_with(head))
}

/// A line without what can't be the same.
pub fn plain(line: &str) -> String {
    let is_dated = line.get(20..23) == Some("LOG");
    let mut line = if is_dated { &line[20..] } else { line }.to_owned();
    for (head, tail, _) in CUT {
        let Some(at) = line.find(head).map(|at| at + head.len()) else {
            continue;
        };
        match (tail, line[at..].find(tail)) {
            (&"", _) => line.truncate(at),
            (_, Some(end)) => line.replace_range(at..at + end, ""),
            (_, None) => {}
        }
    }
    // The number behind the words says the same again.
    let missing = "No such file or directory";
    let line = line.replace(&format!("{missing} (2)"), missing);
    without_descriptor(&line)
}

/// `Service [s] (FD=9) bound to` without the number of stunnel's descriptor.
fn without_descriptor(line: &str) -> String {
    match line.split_once(" (FD=") {
        Some((head, rest)) => match rest.split_once(") ") {
            Some((_, tail)) => format!("{head} {tail}"),
            None => line.to_owned(),
        },
        None => line.to_owned(),
    }
}

#[test]
fn only_what_cannot_be_the_same_is_taken_away() {
    let log = "\
2026.11.22 14:20:19 LOG6[ui]: Initializing inetd mode configuration
2026.11.22 14:20:19 LOG5[ui]: stunnel 5.68 on x86_64-pc-linux-gnu platform
2026.11.22 14:20:19 LOG3[ui]: a.conf:7: \"colour = red\": Specified option name is not valid here
2026.11.22 14:20:20 LOG5[0]: Service [tls] accepted connection from 127.0.0.1:56320
[ ] Deallocating
[!] realpath: No such file or directory (2)
[.] Syntax:";
    assert_eq!(
        comparable(log),
        [
            "LOG5[ui]: stunnel 5.",
            "LOG3[ui]: a.conf:7: \"colour = red\": Specified option name is not valid here",
            "LOG5[0]: Service [tls] accepted connection from ",
            "[!] realpath: No such file or directory",
        ]
    );
}
