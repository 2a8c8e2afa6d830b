//! Every malformed command line with its message.

use super::*;

mod addresses;
mod hosting;
mod services;

/// Asserts the whole message for a line, to which a right identity is appended.
fn check(line: &str, messages: &[&str]) {
    check_whole(format!("{line} {IDENTITY}").as_bytes(), messages);
}

/// Asserts the whole message for a line as it is.
fn check_whole(line: &[u8], messages: &[&str]) {
    let shown = String::from_utf8_lossy(line);
    match parse_bytes(line) {
        Ok(config) => panic!("{shown:?} was taken: {config:?}"),
        Err(errors) => assert_eq!(errors.to_string(), messages.join("\n"), "{shown:?}"),
    }
}

#[test]
fn words_services_and_levels() {
    for (line, messages) in services::TABLE {
        check(line, messages);
    }
}

#[test]
fn addresses_gateways_and_name_servers() {
    for (line, messages) in addresses::TABLE {
        check(line, messages);
    }
}

#[test]
fn identities() {
    let expected = "expected file:NAME or base64:TEXT such as";
    let cert = format!("{expected} file:cert.pem");
    let key = format!("{expected} file:key.pem");
    let not_pem = base64("no PEM at all");
    let swapped = base64(&pem("PRIVATE KEY"));
    for (line, messages) in [
        (
            "",
            vec![
                format!("--cert: missing; {cert}"),
                format!("--key: missing; {key}"),
            ],
        ),
        (
            "--cert=file:c",
            vec![format!(
                "--key: missing while --cert (word 1, column 1) is given; {key}"
            )],
        ),
        (
            " --key file:k",
            vec![format!(
                "--cert: missing while --key (word 1, column 2) is given; {cert}"
            )],
        ),
        (
            "--cert= --key=",
            vec![
                format!("--cert (word 1, column 1): {cert}, found nothing"),
                format!("--key (word 2, column 9): {key}, found nothing"),
            ],
        ),
        (
            "--cert --key",
            vec![
                format!("--cert (word 1, column 1): no value; {cert}"),
                format!("--key (word 2, column 8): no value; {key}"),
            ],
        ),
        (
            "--cert=/etc/cert.pem --key=key.pem",
            vec![
                format!("--cert (word 1, column 1): {cert}, found 13 bytes (not shown)"),
                format!("--key (word 2, column 22): {key}, found 7 bytes (not shown)"),
            ],
        ),
        (
            "--cert=file: --key=file:/etc/key.pem",
            vec![
                "--cert (word 1, column 1): the name after file: is empty".into(),
                "--key (word 2, column 14): the name after file: begins or ends with a slash"
                    .into(),
            ],
        ),
        (
            &format!("--cert=file:command-line --key=file:{}", "k".repeat(101)),
            vec![
                "--cert (word 1, column 1): the name after file: is reserved, as are \
                 stockade-manifest and command-line"
                    .into(),
                "--key (word 2, column 26): the name after file: is longer than 100 bytes".into(),
            ],
        ),
        (
            "--cert=base64: --key=base64:!",
            vec![
                "--cert (word 1, column 1): no text after base64:".into(),
                "--key (word 2, column 16): damaged base64 text: no base64 character at byte 0 \
                 after base64:"
                    .into(),
            ],
        ),
        (
            "--cert=base64:Zm9v=Zg --key=base64:Zm9vZ",
            vec![
                "--cert (word 1, column 1): damaged base64 text: wrong padding at byte 4 \
                 after base64:"
                    .into(),
                "--key (word 2, column 23): damaged base64 text: cut off at byte 5 after base64:"
                    .into(),
            ],
        ),
        (
            &format!("--cert=base64:{swapped} --key=base64:{not_pem}"),
            vec![
                "--cert (word 1, column 1): expected the base64 of PEM text with a section \
                 CERTIFICATE-----, found none in it"
                    .into(),
                format!(
                    "--key (word 2, column {}): expected the base64 of PEM text with a section \
                     PRIVATE KEY-----, found none in it",
                    swapped.len() + 16
                ),
            ],
        ),
        (
            "--cert=file:c --key=file:k --key=file:k --cert file:c",
            vec![
                "--key (word 3, column 28): given before (word 2, column 15); expected once".into(),
                "--cert (word 4, column 41): given before (word 1, column 1); expected once".into(),
            ],
        ),
    ] {
        let messages: Vec<_> = messages.iter().map(String::as_str).collect();
        check_whole(line.as_bytes(), &messages);
    }
}

#[test]
fn words_that_are_not_utf_8() {
    let identity = IDENTITY.as_bytes();
    for (line, message) in [
        (
            &b"--log=\xffinfo "[..],
            "--log (word 1, column 1): not UTF-8 text at column 7",
        ),
        (
            b"--log \xff ",
            "--log (word 1, column 1): not UTF-8 text at column 7",
        ),
        (
            b"--lo\xff=info ",
            "--lo (word 1, column 1): not UTF-8 text at column 5",
        ),
        (
            b"ab\xc3 ",
            "\"ab\" (word 1, column 1): not UTF-8 text at column 3",
        ),
        (
            b"\x80 ",
            "\"\" (word 1, column 1): not UTF-8 text at column 1",
        ),
    ] {
        check_whole(&[line, identity].concat(), &[message]);
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_whole() {
    let line = " ".repeat(MAX_LINE + 1);
    check_whole(
        line.as_bytes(),
        &["command line: 262145 bytes long, of at most 262144"],
    );
    let longest = format!("{IDENTITY}{}", " ".repeat(MAX_LINE - IDENTITY.len()));
    assert!(parse(&longest).is_ok());
}

#[test]
fn errors_are_counted_when_there_are_too_many_to_keep() {
    let line = format!("{} {IDENTITY}", "x ".repeat(1000));
    let errors = parse(&line).unwrap_err();
    assert_eq!(errors.len(), 1000);
    assert_eq!(errors.iter().count(), 64);
    let text = errors.to_string();
    assert!(text.ends_with("\nand 936 errors more"), "{text}");
    let one_more = format!("{} {IDENTITY}", "x ".repeat(65));
    let text = parse(&one_more).unwrap_err().to_string();
    assert!(text.ends_with("\nand 1 error more"), "{text}");
}

#[test]
fn long_and_strange_values_are_cut_and_escaped() {
    check(
        &format!("--connect={}:80 {}", "-".repeat(70), "y".repeat(70)),
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, \
             found 73 bytes (not shown)",
            "\"yyyyyyyyyyyyyyyyyyyyyyyy…\" (word 2, column 85): not an option, \
             options begin with --",
        ],
    );
    check(
        &format!("--connect={}:80", "é".repeat(70)),
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, \
             found \"éééééééééééé…\"",
        ],
    );
    check(
        "--log=\u{1b}[31m\"\u{202e}",
        &[
            "--log (word 1, column 1): expected error|warn|info|debug|trace, \
             found \"\\u{1b}[31m\\\"\\u{202e}\"",
        ],
    );
}

/// Every way in which a key may end up in the wrong place.
#[test]
fn no_message_ever_shows_a_key() {
    let secret = "U2VjcmV0";
    let text = base64(&pem("PRIVATE KEY")).replace("Tm8", secret);
    let lines: String = [secret; 9].join(" ");
    let raw = format!("-----BEGIN PRIVATE KEY----- {lines} -----END PRIVATE KEY-----");
    for line in [
        format!("--key={secret}"),
        format!("--key {secret}"),
        format!("--key=base64:{secret}! --cert=file:c"),
        format!("--key=base64:{secret}"),
        format!("--key base64:{secret} {lines} --log=info"),
        format!("--key=base64:{text}\n{text}\n{text} ro {secret}"),
        format!("--key=base64:{secret} quiet {secret}"),
        format!("--key= {secret}"),
        format!("--key = base64:{secret}"),
        format!("--cert=base64:{secret} {lines}"),
        format!("--key={raw}"),
        format!("--key {raw}"),
        format!("--cert {raw}"),
        format!("--keybase64:{secret}"),
        format!("--private=base64:{secret}"),
        format!("--private base64:{secret}"),
        format!("base64:{secret}"),
        format!("key=base64:{secret}"),
        format!("-key={secret}"),
        format!("--accept=base64:{secret}"),
        format!("--connect=base64:{secret}"),
        format!("--log base64:{secret}"),
        format!("--ipv4=base64:{secret}/24 --dns=base64:{secret},1.2.3.4"),
        format!("--key=file:{secret}/"),
        format!("--key=file:{}", secret.repeat(20)),
    ] {
        let errors = parse(&line).unwrap_err();
        for shown in [errors.to_string(), format!("{errors:?}")] {
            assert!(!shown.contains(secret), "{line}\n{shown}");
        }
        let bytes = [line.as_bytes(), b"\xff"].concat();
        let shown = parse_bytes(&bytes).unwrap_err().to_string();
        assert!(!shown.contains(secret), "{line}\n{shown}");
    }
}

#[test]
fn wrapped_base64_text_is_one_error() {
    let key = base64(&pem("PRIVATE KEY"));
    check_whole(
        format!("--cert=file:c --key=base64:{key} AAAA\nBBBB\n --log=info CCCC").as_bytes(),
        &[
            &format!(
                "--key (word 3, column {}): 2 stray words after the value; \
                 base64 text must be one word (base64 -w0)",
                29 + key.len()
            ),
            &format!(
                "\"CCCC\" (word 6, column {}): not an option, options begin with --",
                51 + key.len()
            ),
        ],
    );
    check_whole(
        format!("--cert=file:c --key=base64:{key} AAAA").as_bytes(),
        &[&format!(
            "--key (word 3, column {}): 1 stray word after the value; \
             base64 text must be one word (base64 -w0)",
            29 + key.len()
        )],
    );
}
