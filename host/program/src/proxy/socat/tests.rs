//! What socat's words mean.

use std::time::Duration;

use stockade::{Families, Listen, UnixSocket};

use super::*;
use crate::proxy::log::Sink;

/// Words that have no blanks in them.
fn read_words(line: &str) -> Result<Request, Refused> {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    read(&words, "")
}

#[track_caller]
fn order_of(line: &str) -> Order {
    match read_words(line) {
        Ok(Request::Serve(order)) => *order,
        Ok(Request::Tell(text)) => panic!("{line}: {text}"),
        Err(refused) => panic!("{line}: {}", refused.text),
    }
}

/// An OPENSSL address with these options, before a socket that serves many.
fn connecting(options: &str) -> Order {
    order_of(&format!(
        "UNIX-LISTEN:/s,fork OPENSSL:db.example:3306,cafile=/ca{options}"
    ))
}

/// A listening address, and what is listened on.
fn listening(address: &str) -> Listen {
    order_of(&format!("{address} OPENSSL:a:1,cafile=/ca"))
        .wish
        .listen
}

#[track_caller]
fn refused(line: &str, told: &str) {
    match read_words(line) {
        Err(refused) => assert!(refused.text.contains(told), "{line}: {}", refused.text),
        Ok(_) => panic!("{line} is taken"),
    }
}

/// The line of the side-car that this is for, with this host's root in place of its accounts.
#[test]
fn the_side_cars_own_line_is_taken() {
    let order = order_of(
        "-d -d -d -D -t 50 -T 50 -lf /tmp/socat.txt \
         UNIX-LISTEN:/SOCK/mysqld.sock,fork,user=root,group=0,mode=0660,unlink-early \
         OPENSSL:civicrmdbproxy:443,certificate=/k/cert,key=/k/key,cafile=/k/ca,verify=1,cipher=TLSv1.2,\
         pf=ip4,commonname=civicrmdbproxy",
    );
    let socket = UnixSocket {
        mode: Some(0o660),
        user: Some(0),
        group: Some(0),
        ..UnixSocket::at("/SOCK/mysqld.sock")
    };
    let wish = &order.wish;
    assert_eq!(wish.listen, Listen::Unix(socket));
    assert_eq!(wish.remote.to_string(), "civicrmdbproxy:443");
    assert_eq!(wish.certificate, Some("/k/cert".into()));
    assert_eq!(wish.key, Some("/k/key".into()));
    assert_eq!(wish.authorities, Some("/k/ca".into()));
    assert!(wish.verify);
    assert_eq!(wish.name.as_deref(), Some("civicrmdbproxy"));
    assert_eq!(wish.families, Families::Ipv4);
    assert_eq!(wish.options, ["ciphers = TLSv1.2"]);
    let fifty = Duration::from_secs(50);
    assert_eq!((wish.idle, wish.half_close), (Some(fifty), fifty));
    assert_eq!(order.style.sink, Sink::File("/tmp/socat.txt".into()));
    assert_eq!(order.style.level, Level::Info);
    assert_eq!((order.once, order.hosting.exit_code), (false, 0));
    assert_eq!(order.drain, Duration::ZERO);
    assert_eq!(
        order.notes,
        [(Level::Info, "-D has no effect here".to_owned())]
    );
}

#[test]
fn keywords_and_options_have_other_names() {
    for line in [
        "unix-l:/s,fork ssl:a:1,cafile=/ca",
        "Unix-Listen:/s,FORK openssl-connect:a:1,openssl-cafile=/ca",
    ] {
        let order = order_of(line);
        assert_eq!(order.wish.authorities, Some("/ca".into()), "{line}");
        assert!(!order.once);
    }
    let wish = connecting(",cert=/c,openssl-key=/k,cn=n,snihost=s.example,ciphers=HIGH").wish;
    assert_eq!(wish.certificate, Some("/c".into()));
    assert_eq!(wish.key, Some("/k".into()));
    assert_eq!(wish.name.as_deref(), Some("n"));
    assert_eq!(wish.server_name.as_deref(), Some("s.example"));
    assert_eq!(wish.options, ["ciphers = HIGH"]);
}

#[test]
fn sockets_have_modes_and_owners() {
    for (options, mode, user, group) in [
        (",perm=600,uid=7,gid=8", Some(0o600), Some(7), Some(8)),
        (",umask=0117,owner=root", Some(0o660), Some(0), None),
        (
            ",mode=640,unlink,new,unlink-close=1",
            Some(0o640),
            None,
            None,
        ),
        ("", None, None, None),
    ] {
        let socket = UnixSocket {
            mode,
            user,
            group,
            ..UnixSocket::at("/s")
        };
        assert_eq!(
            listening(&format!("UNIX-LISTEN:/s{options}")),
            Listen::Unix(socket)
        );
    }
}

#[test]
fn ports_are_on_all_addresses_unless_bound() {
    for (address, shown) in [
        ("TCP-LISTEN:3306", "0.0.0.0:3306"),
        ("tcp4-l:3306,reuseaddr,bind=127.0.0.1", "127.0.0.1:3306"),
        ("TCP-LISTEN:3306,bind=localhost", "127.0.0.1:3306"),
        ("TCP6-LISTEN:3306", "[::]:3306"),
        ("TCP-LISTEN:3306,pf=ip6,bind=[::1]", "[::1]:3306"),
        ("-6 TCP-LISTEN:3306", "[::]:3306"),
    ] {
        assert_eq!(listening(address).to_string(), shown, "{address}");
    }
}

#[test]
fn one_connection_is_served_without_fork() {
    assert!(order_of("UNIX-LISTEN:/s OPENSSL:a:1,cafile=/ca").once);
    assert!(order_of("UNIX-LISTEN:/s,fork=0 OPENSSL:a:1,cafile=/ca").once);
    assert!(!order_of("UNIX-LISTEN:/s,fork=1 OPENSSL:a:1,cafile=/ca").once);
}

#[test]
fn names_and_versions_can_be_said() {
    assert_eq!(connecting(",no-sni").wish.server_name.as_deref(), Some(""));
    assert_eq!(connecting(",no-sni=0").wish.server_name, None);
    let wish = connecting(",min-version=TLS1.3,openssl-max-proto-version=TLS1.3").wish;
    assert_eq!(
        wish.options,
        ["sslVersionMin = TLSv1.3", "sslVersionMax = TLSv1.3"]
    );
    let low = connecting(",min-version=TLS1");
    assert!(
        low.wish.options.is_empty() && low.notes.len() == 2,
        "{:?}",
        low.notes
    );
    let wish = connecting(",connect-timeout=2.5,capath=/d").wish;
    assert_eq!(wish.options, ["TIMEOUTconnect = 3"]);
    assert_eq!(wish.directory, Some("/d".into()));
}

#[test]
fn verification_ends_only_by_word() {
    for (options, verify) in [
        ("", true),
        (",verify", true),
        (",verify=1", true),
        (",verify=0", false),
    ] {
        assert_eq!(connecting(options).wish.verify, verify, "{options}");
    }
    let warned = connecting(",verify=0").notes;
    assert!(
        warned.iter().any(|(level, _)| *level == Level::Warning),
        "{warned:?}"
    );
}

#[test]
fn what_has_no_effect_is_told() {
    let order = connecting(",compress=none,keepalive");
    let told: Vec<&str> = order.notes.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        told.contains(&"option keepalive has no effect here"),
        "{told:?}"
    );
    assert!(told.contains(&"-t 0.5: rounded up to a second"), "{told:?}");
    let order = order_of("-b 100 -g TCP-LISTEN:1,reuseaddr OPENSSL:a:1,cafile=/ca");
    assert_eq!(order.notes.len(), 4, "{:?}", order.notes);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let first = "UNIX-LISTEN:/s";
    let second = "OPENSSL:a:1,cafile=/ca";
    for (options, told) in [
        (",colour=red", "unknown option \"colour\""),
        (
            ",range=10.0.0.0/8",
            "\"range\" of UNIX-LISTEN is not supported: use a firewall",
        ),
        (",max-children=5", "--memory"),
        (",su=nobody", "start it as that user"),
        (",mode=9", "missing numerical value of option \"mode=9\""),
        (",mode=7777", "from 0 to 0777"),
        (",mode", "option \"mode\": value required"),
        (",user=nosuch", "getpwnam(\"nosuch\"): no such user"),
        (",group=nosuch", "getgrnam(\"nosuch\"): no such group"),
        (",unlink-close=0", "always removed"),
        (",fork=x", "trailing garbage"),
        (":more", "wrong number of parameters (2 instead of 1)"),
    ] {
        refused(&format!("{first}{options} {second}"), told);
    }
    for (options, told) in [
        (",commonname=", "the value is empty"),
        (",colour=red", "unknown option \"colour\""),
        (",method=TLS1.2", "min-version"),
        (",retry=3", "come again"),
        (",bind=127.0.0.1", "source address"),
        (",crnl", "passed on as they come"),
        (",max-version=TLS1.1", "lowest version"),
        (",min-version=9", "expected TLS1.2"),
        (",pf=ipx", "expected ip4 or ip6"),
        (",fork", "of the listening address"),
        (",key=/k", "without a certificate"),
    ] {
        refused(&format!("{first} {second}{options}"), told);
    }
    for (line, told) in [
        ("OPENSSL:a:1 UNIX-LISTEN:/s", "listening address first"),
        ("UNIX-LISTEN:/s TCP:a:1", "the second OPENSSL:HOST:PORT"),
        ("- OPENSSL:a:1", "standard input"),
        ("UNIX-LISTEN:/s EXEC:/bin/sh", "programs are not started"),
        ("OPENSSL-LISTEN:443 TCP:a:1", "stockade run"),
        ("/s OPENSSL:a:1", "is not supported"),
        (
            "UNIX-LISTEN:/s OPENSSL:a",
            "wrong number of parameters (1 instead of 2)",
        ),
        ("UNIX-LISTEN:/s OPENSSL:a:nosuchport", "neither a TCP port"),
        ("UNIX-LISTEN: OPENSSL:a:1", "path is missing"),
        (
            "UNIX-LISTEN:/s!!UNIX-LISTEN:/t OPENSSL:a:1",
            "two addresses",
        ),
    ] {
        refused(line, told);
    }
}

#[test]
fn options_about_the_machine_come_from_the_environment() {
    let words = ["UNIX-LISTEN:/s,fork", "OPENSSL:a:1,cafile=/ca"].map(OsString::from);
    let options = "--exit-code 143 --memory 64 --drain 2 --name db";
    let Ok(Request::Serve(order)) = read(&words, options) else {
        panic!("refused");
    };
    assert_eq!(order.hosting.exit_code, 143);
    assert_eq!(order.hosting.machinery.memory, Some(64));
    assert_eq!(order.drain, Duration::from_secs(2));
    let Err(refused) = read(&words, "--listen unix:/x") else {
        panic!("taken");
    };
    assert!(
        refused.text.starts_with("STOCKADE_OPTIONS: "),
        "{}",
        refused.text
    );
}

#[test]
fn services_have_names() {
    let services = "# a comment\nmysql\t\t3306/tcp\t\t# words\nhttps 443/tcp www2\ntftp 69/udp\n";
    for (name, port) in [
        ("mysql", Some(3306)),
        ("www2", Some(443)),
        ("tftp", None),
        ("words", None),
    ] {
        assert_eq!(values::service(services, name), port, "{name}");
    }
    assert_eq!(port("443"), Ok(443));
    for wrong in ["0", "65536", "+1", "-1", ""] {
        assert!(port(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn questions_are_answered() {
    for (word, told) in [("-h", "LISTEN-ADDRESS"), ("-V", "WITH_OPENSSL")] {
        let Ok(Request::Tell(text)) = read_words(word) else {
            panic!("{word}");
        };
        assert!(text.contains(told), "{text}");
    }
}
