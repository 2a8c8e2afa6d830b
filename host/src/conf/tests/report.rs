//! The table that tells what became of each option.

use std::sync::Arc;

use stockade_config::stunnel::{Diagnostic, Disposition, Notice, Origin, Reported};

use super::super::{error_lines, notice_line, report};

fn reported(
    line: u32,
    service: Option<&str>,
    option: &'static str,
    value: &str,
    disposition: Disposition,
) -> Reported {
    Reported {
        origin: origin(line),
        service: service.map(str::to_owned),
        option,
        value: value.to_owned(),
        disposition,
    }
}

fn origin(line: u32) -> Origin {
    Origin {
        file: Arc::from("off.conf"),
        line,
    }
}

#[test]
fn the_table_is_aligned_and_counted() {
    let options = [
        reported(1, None, "pid", "/run/stunnel.pid", Disposition::Honoured),
        reported(
            3,
            None,
            "chroot",
            "/var/lib",
            Disposition::WithoutEffect("the image has no file system".to_owned()),
        ),
        reported(9, Some("redis"), "accept", "6380", Disposition::Honoured),
        reported(
            10,
            Some("redis"),
            "engineId",
            "pkcs11",
            Disposition::Refused("there are no engines here".to_owned()),
        ),
    ];
    assert_eq!(
        report(&options),
        "\
off.conf:1            pid = /run/stunnel.pid  honoured
off.conf:3            chroot = /var/lib       accepted without effect: the image has no file system
off.conf:9   [redis]  accept = 6380           honoured
off.conf:10  [redis]  engineId = pkcs11       refused: there are no engines here
4 options: 2 honoured, 1 accepted without effect, 1 refused
"
    );
}

#[test]
fn a_long_value_pushes_its_own_line_alone() {
    let long = "A".repeat(80);
    let options = [
        reported(1, None, "ciphers", &long, Disposition::Honoured),
        reported(2, None, "client", "yes", Disposition::Honoured),
    ];
    assert_eq!(
        report(&options),
        format!(
            "\
off.conf:1  ciphers = {long}  honoured
off.conf:2  client = yes  honoured
2 options: 2 honoured, 0 accepted without effect, 0 refused
"
        )
    );
}

#[test]
fn errors_end_with_stunnel_s_verdict_and_warnings_are_marked() {
    let errors = [
        Diagnostic {
            origin: origin(2),
            text: "\"x\": No '=' found".to_owned(),
        },
        Diagnostic {
            origin: origin(0),
            text: "the whole file".to_owned(),
        },
    ];
    assert_eq!(
        error_lines(&errors),
        "off.conf:2: \"x\": No '=' found\noff.conf: the whole file\nConfiguration failed\n"
    );
    let mut notice = Notice {
        origin: origin(4),
        level: 5,
        text: "said".to_owned(),
    };
    assert_eq!(notice_line(&notice), "off.conf:4: said");
    notice.level = 4;
    assert_eq!(notice_line(&notice), "off.conf:4: warning: said");
}
