//! Malformed lines about hosts by name. None of them has an identity.

use alloc::format;

use super::check_whole;
use crate::command_line::{parse, parse_bytes};

use alloc::string::ToString;

const STORE: &str = "--remote=git@h:p --ssh-key=file:k";

/// Lines that follow [`STORE`], and what is wrong with each.
const TABLE: &[(&str, &[&str])] = &[
    // What takes another's place.
    (
        "--cert=file:c --key=file:k --conf=file:f",
        &[
            "--cert (word 3, column 35): can't stand beside --remote (word 1, column 1), which takes its place",
            "--key (word 4, column 49): can't stand beside --remote (word 1, column 1), which takes its place",
            "--conf (word 5, column 62): can't stand beside --remote (word 1, column 1), which takes its place",
        ],
    ),
    (
        "--connect=80",
        &["--connect (word 3, column 35): needs --hosts with file:DIR such as file:hosts"],
    ),
    (
        "-r git@h:p",
        &["--remote (word 3, column 35): given before (word 1, column 1); expected once"],
    ),
    // Keys and secrets.
    (
        "--ssh-host-key",
        &[
            "--ssh-host-key (word 3, column 35): no value; expected ssh-ed25519:TEXT, file:NAME or base64:TEXT such as file:host-key.txt",
        ],
    ),
    (
        "--pass= --store-key=base64: --account-seed=file:",
        &[
            "--pass (word 3, column 35): expected TEXT, file:NAME or base64:TEXT such as file:pass.txt, found nothing",
            "--store-key (word 4, column 43): no text after base64:",
            "--account-seed (word 5, column 63): the name after file: is empty",
        ],
    ),
    (
        "--pass two words",
        &[
            "--pass (word 5, column 46): 1 stray word after the value; a text with blanks goes as file:NAME or base64:TEXT, one word",
        ],
    ),
    (
        "--eab=onlykey",
        &[
            "--eab (word 3, column 35): expected ID:KEY, file:NAME or base64:TEXT such as file:eab.txt, found 7 bytes (not shown)",
        ],
    ),
    (
        "--eab=id:k+y",
        &[
            "--eab (word 3, column 35): expected ID:KEY, file:NAME or base64:TEXT such as file:eab.txt, found 6 bytes (not shown)",
        ],
    ),
    (
        "--legacy-reload --reload-port=9",
        &[
            "--legacy-reload (word 3, column 35): needs --pass with TEXT, file:NAME or base64:TEXT such as file:pass.txt",
            "--reload-port (word 4, column 51): needs --pass with TEXT, file:NAME or base64:TEXT such as file:pass.txt",
        ],
    ),
    (
        "--legacy-reload=yes --pass=x",
        &["--legacy-reload (word 3, column 35): takes no value"],
    ),
    // The authority.
    (
        "--production=maybe",
        &["--production (word 3, column 35): expected true|false, found \"maybe\""],
    ),
    (
        "--production 1",
        &["\"1\" (word 4, column 48): not an option, options begin with --"],
    ),
    (
        "--production --authority=https://ca/",
        &[
            "--production (word 3, column 35): can't stand beside --authority (word 4, column 48), which says the contrary",
        ],
    ),
    (
        "--authority=http://ca/",
        &[
            "--authority (word 3, column 35): expected an address that begins with https://, found \"http://ca/\"",
        ],
    ),
    (
        "--authority=https://",
        &[
            "--authority (word 3, column 35): expected URL such as https://ca.example.org/acme, found \"https://\"",
        ],
    ),
    (
        "--email=nobody --profile=",
        &[
            "--email (word 3, column 35): expected ADDRESS such as admin@example.org, found \"nobody\"",
            "--profile (word 4, column 50): expected NAME such as shortlived, found nothing",
        ],
    ),
    (
        "--key-type=rsa",
        &["--key-type (word 3, column 35): expected p256|rsa2048|rsa3072|rsa4096, found \"rsa\""],
    ),
    (
        "--no-acme --email=a@b --production --key-type=p256",
        &[
            "--email (word 4, column 45): can't stand beside --no-acme (word 3, column 35), which says the contrary",
            "--production (word 5, column 57): can't stand beside --no-acme (word 3, column 35), which says the contrary",
            "--key-type (word 6, column 70): can't stand beside --no-acme (word 3, column 35), which says the contrary",
        ],
    ),
    // Listeners.
    (
        "--http=0",
        &["--http (word 3, column 35): expected a port from 1 to 65535, found \"0\""],
    ),
    (
        "--http=off",
        &["--http (word 3, column 35): expected [ADDRESS:]PORT or none such as 80, found \"off\""],
    ),
    (
        "--http=443",
        &["--http (word 3, column 35): port 443 is that of --accept, too; expected another one"],
    ),
    (
        "--accept=80",
        &["--accept (word 3, column 35): port 80 is that of --http, too; expected another one"],
    ),
    (
        "--pass=x --reload-port=80",
        &[
            "--reload-port (word 4, column 44): port 80 is that of --http, too; expected another one",
        ],
    ),
    (
        "--pass=x --reload-port=https",
        &["--reload-port (word 4, column 44): expected a port from 1 to 65535, found \"https\""],
    ),
    (
        "--poll=0",
        &["--poll (word 3, column 35): expected a number of seconds from 1 to 86400, found \"0\""],
    ),
    (
        "--poll=+5",
        &["--poll (word 3, column 35): expected a number of seconds from 1 to 86400, found \"+5\""],
    ),
    (
        "--poll=5m",
        &["--poll (word 3, column 35): expected a number of seconds from 1 to 86400, found \"5m\""],
    ),
    (
        "--default-host=-x",
        &[
            "--default-host (word 3, column 35): expected NAME such as www.example.org, found \"-x\"",
        ],
    ),
    (
        "--hosts=hosts",
        &["--hosts (word 3, column 35): expected file:DIR such as file:hosts, found \"hosts\""],
    ),
    (
        "--hosts=file:/",
        &["--hosts (word 3, column 35): the name after file: is empty"],
    ),
    // contruno's, of which there are none here.
    (
        "--certificate-seed=foo --certificate-bits 4096 --account-bits=4096",
        &[
            "--certificate-seed (word 3, column 35): not taken: each certificate has a key of its own, made anew and kept in the store",
            "--certificate-bits (word 4, column 58): not taken: --key-type says it all, such as --key-type=rsa4096",
            "--account-bits (word 6, column 82): not taken: the account's key is always of P-256, and grows from --account-seed",
        ],
    ),
    (
        "--name tls",
        &[
            "--name (word 3, column 35): not taken: the image has no name; that of a run stands before the --, as in stockade run --name NAME",
        ],
    ),
];

#[test]
fn hosts_stores_and_authorities() {
    for (line, messages) in TABLE {
        check_whole(format!("{STORE} {line}").as_bytes(), messages);
    }
}

#[test]
fn a_store_needs_a_key() {
    let expected = "expected ed25519:TEXT, file:NAME or base64:TEXT such as file:key.txt";
    check_whole(
        b"--remote=git@h:p",
        &[&format!(
            "--ssh-key: missing while --remote (word 1, column 1) is given; {expected}"
        )],
    );
    check_whole(
        b"--remote= --ssh-key=",
        &[
            "--remote (word 1, column 1): expected USER@HOST:PATH[#BRANCH] such as \
             git@10.0.0.1:certificates.git#master, found nothing",
            &format!("--ssh-key (word 2, column 11): {expected}, found nothing"),
        ],
    );
    let foreign = "a key of this kind is not taken, nor a seed of awa's; make one with stockade \
                   keygen, add its line to authorized_keys, and give the text that begins with \
                   ed25519: (not shown)";
    for key in ["U01hpCOJ/MHLri7YBi7NBXqZ8TXDkVyXSb7CdGQr", "rsa:U01h"] {
        for option in ["--ssh-key=", "--ssh-seed ", "--ssh-ssh "] {
            check_whole(
                format!("-r git@h:p {option}{key}").as_bytes(),
                &[&format!("--ssh-key (word 3, column 12): {foreign}")],
            );
        }
    }
    check_whole(
        b"-r git@h:p --ssh-key",
        &[&format!(
            "--ssh-key (word 3, column 12): no value; {expected}"
        )],
    );
    check_whole(
        b"--remote --ssh-key=file:k",
        &[
            "--remote (word 1, column 1): no value; expected USER@HOST:PATH[#BRANCH] such as \
             git@10.0.0.1:certificates.git#master",
        ],
    );
}

#[test]
fn stores_and_authorities_are_other_machines() {
    let message = "the image is a machine of its own, where loopback reaches nothing; give the other \
                   machine's address (that of the host of stockade run is 10.0.2.2, unless --net says \
                   otherwise)";
    for remote in [
        "git@localhost:p",
        "git@127.0.0.1:p#b",
        "git@[::1]:p",
        "ssh://git@LOCALHOST:2222/p",
        "ssh://git@127.1.2.3/p",
        "ssh://git@[::1]:22/p",
    ] {
        check_whole(
            format!("--ssh-key=file:k --remote={remote}").as_bytes(),
            &[&format!("--remote (word 2, column 18): {message}")],
        );
    }
    for url in [
        "https://localhost:14000/dir",
        "https://127.0.0.1/dir",
        "https://[::1]:1/",
    ] {
        check_whole(
            format!("{STORE} --authority={url}").as_bytes(),
            &[&format!("--authority (word 3, column 35): {message}")],
        );
    }
    for right in [
        "git@10.0.2.2:localhost",
        "git@h:127.0.0.1/p",
        "ssh://localhost@h/p",
    ] {
        let line = format!("--ssh-key=file:k --remote={right}");
        assert!(parse(&line).is_ok(), "{line}");
    }
}

#[test]
fn options_of_hosts_mean_nothing_without_hosts() {
    let remote = "needs --remote with USER@HOST:PATH[#BRANCH] such as \
                  git@10.0.0.1:certificates.git#master";
    let hosts = "needs hosts by name, from --remote or --hosts";
    for (option, message) in [
        ("--ssh-key=file:k", remote),
        ("--ssh-host-key=x", remote),
        ("--pass=x", remote),
        ("--production", remote),
        ("--email=a@b", remote),
        ("--authority=https://ca", remote),
        ("--authority-ca=file:c", remote),
        ("--profile=p", remote),
        ("--eab=a:b", remote),
        ("--account-seed=s", remote),
        ("--key-type=p256", remote),
        ("--store-key=s", remote),
        ("--no-acme", remote),
        ("--poll=9", remote),
        ("--legacy-reload", remote),
        ("--reload-port=9", remote),
        ("--http=none", hosts),
        ("--default-host=a", hosts),
    ] {
        let name = option.split('=').next().unwrap_or(option);
        super::check(option, &[&format!("{name} (word 1, column 1): {message}")]);
        let line = format!("--conf=file:c {option}");
        let expected = format!("{name} (word 2, column 15): {message}");
        check_whole(line.as_bytes(), &[&expected]);
        if message == remote {
            let line = format!("--hosts=file:h {option}");
            let expected = format!("{name} (word 2, column 16): {message}");
            check_whole(line.as_bytes(), &[&expected]);
        }
    }
}

/// Every way in which a secret may end up in the wrong place.
#[test]
fn no_message_ever_shows_a_secret() {
    let secret = "U01hpCOJ";
    for line in [
        format!("--ssh-key={secret}"),
        format!("--ssh-key rsa:{secret}"),
        format!("--ssh-seed {secret}"),
        format!("--ssh-ssh {secret}"),
        format!("--ssh-key=ed25519:{secret} {secret} {secret}"),
        format!("--pass {secret} {secret} --log=info"),
        format!("--pass={secret}"),
        format!("--pass base64:{secret}!"),
        format!("--eab={secret}"),
        format!("--eab {secret}:k+{secret}"),
        format!("--account-seed={secret} {secret}"),
        format!("--store-key {secret} {secret}"),
        format!("--certificate-seed {secret}"),
        format!("--ssh-password={secret}"),
        format!("--pas={secret}"),
        format!("--ssh-kye {secret}"),
        format!("--remote=base64:{secret}"),
        format!("--email=base64:{secret}"),
    ] {
        for line in [
            line.clone(),
            format!("{STORE} {line}"),
            format!("--remote=git@h:p {line} --qqqq"),
        ] {
            let Err(errors) = parse(&line) else {
                continue;
            };
            for shown in [errors.to_string(), format!("{errors:?}")] {
                assert!(!shown.contains(secret), "{line}\n{shown}");
            }
            let bytes = [line.as_bytes(), b"\xff"].concat();
            let shown = parse_bytes(&bytes).unwrap_err().to_string();
            assert!(!shown.contains(secret), "{line}\n{shown}");
        }
    }
}
