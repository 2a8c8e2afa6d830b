//! What of a log can be compared.

/// Lines that only OpenSSL, or only stunnel's own innards, can have.
const OTHERS: [&str; 10] = [
    "Compiled with OpenSSL",
    "Running  with OpenSSL",
    "No OpenSSL: ",
    "Threading:",
    "No trusted certificates found",
    "Unhandled error library",
    "error queue:",
    "SSL_CTX_",
    "open: ",
    "Insecure file permissions",
];

/// The lines of the levels that stunnel shows when nobody asks for others, without times, versions
/// and the ports that nobody chose.
pub fn comparable(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| is_shown(line)).map(plain);
    lines
        .filter(|line| !OTHERS.iter().any(|other| line.contains(other)))
        .filter(|line| !is_syntax(line))
        .collect()
}

/// Whether it is a notice or more: `LOG5[` and below, or marked so on a terminal.
fn is_shown(line: &str) -> bool {
    let digit = line.get(20..25).and_then(|word| word.strip_prefix("LOG"));
    match digit.and_then(|rest| rest.chars().next()) {
        Some(level) => level <= '5',
        None => !line.starts_with("[ ]"),
    }
}

/// The command line's description, which each has in words of its own.
fn is_syntax(line: &str) -> bool {
    ["[.]  ", "[.] Syntax:", "[.] stunnel [<", "[.] stunnel [F"]
        .iter()
        .any(|head| line.starts_with(head))
}

fn plain(line: &str) -> String {
    let is_dated = line.get(20..23) == Some("LOG");
    let line = if is_dated { &line[20..] } else { line };
    for (head, rest) in [
        ("stunnel 5.", "VERSION"),
        ("accepted connection from ", "CLIENT"),
        ("connected remote server from ", "LOCAL"),
    ] {
        if let Some(at) = line.find(head) {
            return format!("{}{rest}", &line[..at + head.len()]);
        }
    }
    // The number behind the words says the same again.
    let missing = "No such file or directory";
    line.replace(&format!("{missing} (2)"), missing)
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
            "LOG5[ui]: stunnel 5.VERSION",
            "LOG3[ui]: a.conf:7: \"colour = red\": Specified option name is not valid here",
            "LOG5[0]: Service [tls] accepted connection from CLIENT",
            "[!] realpath: No such file or directory",
        ]
    );
}
