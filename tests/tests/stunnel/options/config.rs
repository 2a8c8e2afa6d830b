//! Whether every option has a row, and what of the options that the launcher heeds.

use std::collections::BTreeSet;

use stockade_config::stunnel::{self, Configuration, Disposition};
use stockade_tests::stunnel::disk::Disk;
use stockade_tests::stunnel::files::Files;

/// Options that must work or are commonly relied on, and that a tunnel shows by itself.
const OBSERVED: [&str; 52] = [
    "accept",
    "alpn",
    "CAfile",
    "CApath",
    "cert",
    "checkEmail",
    "checkHost",
    "checkIP",
    "ciphers",
    "ciphersuites",
    "client",
    "connect",
    "CRLfile",
    "CRLpath",
    "curve",
    "curves",
    "debug",
    "failover",
    "fips",
    "include",
    "key",
    "logId",
    "options",
    "redirect",
    "requireCert",
    "reset",
    "session",
    "sessionCacheSize",
    "sessionCacheTimeout",
    "sessionResume",
    "sni",
    "socket",
    "sslVersion",
    "sslVersionMax",
    "sslVersionMin",
    "ticketKeySecret",
    "ticketMacSecret",
    "TIMEOUTbusy",
    "TIMEOUTclose",
    "TIMEOUTconnect",
    "TIMEOUTidle",
    "verify",
    "verifyChain",
    "verifyPeer",
    "delay",
    "syslog",
    "OCSP",
    "OCSPaia",
    "OCSPflag",
    "OCSPnonce",
    "OCSPrequire",
    "TIMEOUTocsp",
];

/// Options of those that have a test of their own instead of a row: `services::delayed_names` and
/// `services::syslog` give the tunnel a name server and a syslog server, and `ocsp` responders.
const ELSEWHERE: [&str; 8] = [
    "delay",
    "syslog",
    "OCSP",
    "OCSPaia",
    "OCSPflag",
    "OCSPnonce",
    "OCSPrequire",
    "TIMEOUTocsp",
];

#[test]
fn every_option_has_a_row() {
    let covered = super::covered();
    let missing: Vec<_> = OBSERVED
        .iter()
        .filter(|option| !covered.contains(*option) && !ELSEWHERE.contains(option))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The other way round: what the product says to honour is what is observed.
#[test]
fn every_row_s_option_is_honoured() {
    let honoured = BTreeSet::from(OBSERVED);
    let beside: Vec<_> = super::covered().difference(&honoured).copied().collect();
    assert!(beside.is_empty(), "{beside:?}");
}

/// What the launcher needs to know is in the configuration, and is not there without its option.
#[test]
fn options_of_the_launcher() {
    check("output = /var/log/a.log", |conf| {
        format!("{:?}", conf.global.output)
    });
    check("log = overwrite", |conf| conf.global.append.to_string());
    check("pid = /run/a.pid", |conf| format!("{:?}", conf.global.pid));
    check("syslog = no", |conf| conf.global.syslog.to_string());
    check("foreground = yes", |conf| {
        conf.global.foreground.to_string()
    });
    check("service = mail", |conf| conf.global.service.clone());
    check("debug = local0.7", |conf| {
        format!("{:?}", conf.global.facility)
    });
}

/// `show` tells a configuration with the line from one without it, and the line is honoured or
/// says why not.
fn check(line: &str, show: fn(&Configuration) -> String) {
    let files = Files::create();
    let rest = "[x]\nclient = yes\naccept = 1\nconnect = 127.0.0.1:2\n";
    let read = |text: String| {
        let path = files.add("stunnel.conf", text);
        stunnel::read(&path, &mut Disk).unwrap_or_else(|errors| panic!("{errors}"))
    };
    let (with, without) = (read(format!("{line}\n{rest}")), read(rest.into()));
    assert_ne!(show(&with), show(&without), "{line}");
    let refused = |disposition: &Disposition| matches!(disposition, Disposition::Refused(_));
    assert!(
        !with.report.iter().any(|entry| refused(&entry.disposition)),
        "{line}"
    );
}
