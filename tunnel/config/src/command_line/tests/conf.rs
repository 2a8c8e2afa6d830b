//! `--conf`, `--published` and `--syslog`.

use super::*;

/// Asserts the whole message for a line that is wrong.
#[track_caller]
fn wrong(line: &str, message: &str) {
    match parse(line) {
        Ok(config) => panic!("{line:?} was taken: {config:?}"),
        Err(errors) => assert_eq!(errors.to_string(), message, "{line}"),
    }
}

#[test]
fn a_configuration_takes_the_place_of_a_single_service() {
    let config = parse("--conf=file:conf/0 --log=warn").unwrap();
    assert_eq!(
        config.services,
        ServiceSource::Conf(Source::Archive("conf/0".into()))
    );
    assert_eq!(config.log, log::LevelFilter::Warn);
    assert!(!config.published);

    let config = parse("--published --conf base64:W3hdCg==").unwrap();
    let ServiceSource::Conf(Source::Inline(text)) = config.services else {
        panic!("{:?}", config.services);
    };
    assert_eq!(&text[..], b"[x]\n");
    assert!(config.published);

    // A single service can be a launcher's, too.
    assert!(
        parse("--published --cert=file:c --key=file:k")
            .unwrap()
            .published
    );

    // No gateway is needed for a backend that is not there.
    assert!(parse("--conf=file:c --ipv4=10.0.0.2/24").is_ok());
}

#[test]
fn options_of_a_single_service_can_not_stand_beside_a_configuration() {
    wrong(
        "--accept=1 --connect=2 --conf=file:c --cert=file:c --key=file:k",
        "--accept (word 1, column 1): can't stand beside --conf (word 3, column 24), which takes its place\n\
         --connect (word 2, column 12): can't stand beside --conf (word 3, column 24), which takes its place\n\
         --cert (word 4, column 38): can't stand beside --conf (word 3, column 24), which takes its place\n\
         --key (word 5, column 52): can't stand beside --conf (word 3, column 24), which takes its place",
    );
    wrong(
        "--conf=file:c --conf=file:d",
        "--conf (word 2, column 15): given before (word 1, column 1); expected once",
    );
    wrong(
        "--conf=off.conf",
        "--conf (word 1, column 1): expected file:NAME or base64:TEXT such as file:stunnel.conf, \
         found 8 bytes (not shown)",
    );
    wrong(
        "--conf=base64:!",
        "--conf (word 1, column 1): damaged base64 text: no base64 character at byte 0 after base64:",
    );
}

#[test]
fn a_flag_takes_no_value() {
    wrong(
        "--conf=file:c --published=yes",
        "--published (word 2, column 15): takes no value",
    );
    // The word after it is not its value.
    wrong(
        "--conf=file:c --published words",
        "\"words\" (word 3, column 27): not an option, options begin with --",
    );
}

#[test]
fn a_configuration_in_the_line_may_be_secret() {
    assert!(holds_secret("--conf=base64:W3hdCg=="));
    assert!(!holds_secret("--conf=file:conf/0 --published"));
    assert!(mentions("--conf=file:conf/0 --published", "--published"));
    // What wraps is not shown.
    let errors = parse("--conf=base64:W3hd Cg== more")
        .unwrap_err()
        .to_string();
    assert!(
        !errors.contains("Cg") && !errors.contains("more"),
        "{errors}"
    );
}

#[test]
fn a_syslog_server_is_an_address_with_or_without_a_port() {
    for (text, expected) in [
        ("10.0.0.1", "10.0.0.1:514"),
        ("10.0.0.1:5514", "10.0.0.1:5514"),
        ("2001:db8::1", "[2001:db8::1]:514"),
        ("[2001:db8::1]", "[2001:db8::1]:514"),
        ("[2001:db8::1]:601", "[2001:db8::1]:601"),
    ] {
        let line = format!("--ipv4=dhcp --ipv6=2001:db8::2/64 --syslog={text}");
        assert_eq!(
            right(&line).syslog,
            Some(expected.parse().unwrap()),
            "{text}"
        );
    }
    assert_eq!(right("").syslog, None);
    for (text, reason) in [
        (
            "logs.example",
            "expected ADDRESS[:PORT] such as 10.0.0.1, found \"logs.example\"",
        ),
        (
            "logs.example:514",
            "expected ADDRESS[:PORT] such as 10.0.0.1, found \"logs.example:514\"",
        ),
        (
            "514",
            "expected ADDRESS[:PORT] such as 10.0.0.1, found \"514\"",
        ),
        ("10.0.0.1:0", "expected a port from 1 to 65535, found \"0\""),
        (
            "127.0.0.1",
            "expected a host's address, found 127.0.0.1, a loopback address",
        ),
        (
            "10.0.0.2",
            "expected another host's address, found the image's own, 10.0.0.2",
        ),
        ("2001:db8::1", "2001:db8::1 needs IPv6; give --ipv6"),
        (
            "10.9.0.1",
            "10.9.0.1 is not on the image's network; give --ipv4-gateway",
        ),
    ] {
        wrong(
            &format!("--conf=file:c --ipv4=10.0.0.2/24 --syslog={text}"),
            &format!("--syslog (word 3, column 34): {reason}"),
        );
    }
}
