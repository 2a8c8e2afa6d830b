//! Tables of right and of wrong command lines.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::net::IpAddr;

use super::*;
use crate::ServiceSource;
use crate::requests::{Mode, Requests};
use crate::types::{Accept, Connect, Crypto, Host, Ipv4, Ipv6, Source};

mod conf;
mod hosting;
mod malformed;

/// What every right line needs; appended to the lines of most tests.
const IDENTITY: &str = "--cert=file:cert.pem --key=file:key.pem";

fn right(line: &str) -> Config {
    let line = format!("{line} {IDENTITY}");
    parse(&line).unwrap_or_else(|errors| panic!("{line}\n{errors}"))
}

/// What `--cert=file:cert.pem --key=file:key.pem` alone gives.
fn defaults() -> Config {
    Config {
        ipv4: Ipv4::Dhcp,
        ipv6: None,
        dns: Vec::new(),
        accept: Accept {
            host: None,
            port: 443,
        },
        connect: Connect {
            host: None,
            port: 80,
        },
        services: ServiceSource::Single {
            certificate: Source::Archive("cert.pem".into()),
            key: Source::Archive("key.pem".into()),
        },
        requests: Requests::default(),
        published: false,
        syslog: None,
        log: log::LevelFilter::Info,
        crypto: Crypto::Ring,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn static_ipv4(own: [u8; 4], prefix: u8, gateway: Option<[u8; 4]>) -> Ipv4 {
    Ipv4::Static {
        address: own.into(),
        prefix,
        gateway: gateway.map(Into::into),
    }
}

#[test]
fn nothing_but_an_identity_gives_the_defaults() {
    assert_eq!(right(""), defaults());
}

#[test]
fn every_option_is_understood() {
    let line = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64 \
                --ipv6-gateway=fe80::1 --dns=10.0.0.53,2001:db8::53 --accept=10.0.0.2:8443 \
                --connect=backend.example:8080 --log=trace --crypto=rustcrypto";
    let expected = Config {
        ipv4: static_ipv4([10, 0, 0, 2], 24, Some([10, 0, 0, 1])),
        ipv6: Some(Ipv6 {
            address: "2001:db8::2".parse().unwrap(),
            prefix: 64,
            gateway: Some("fe80::1".parse().unwrap()),
        }),
        dns: vec![address("10.0.0.53"), address("2001:db8::53")],
        accept: Accept {
            host: Some(address("10.0.0.2")),
            port: 8443,
        },
        connect: Connect {
            host: Some(Host::Name("backend.example".into())),
            port: 8080,
        },
        log: log::LevelFilter::Trace,
        crypto: Crypto::RustCrypto,
        ..defaults()
    };
    assert_eq!(right(line), expected);
    // The other form, other white space and another order say the same.
    assert_eq!(right(&line.replace('=', " ")), expected);
    assert_eq!(right(&line.replace(' ', "\t \n")), expected);
    let backwards: Vec<_> = line.split(' ').rev().collect();
    assert_eq!(right(&backwards.join(" ")), expected);
}

#[test]
fn the_readme_s_line_is_right() {
    assert_eq!(
        right("--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1"),
        Config {
            ipv4: static_ipv4([10, 0, 0, 2], 24, Some([10, 0, 0, 1])),
            ..defaults()
        }
    );
}

#[test]
fn ipv4_has_three_states() {
    for (line, expected) in [
        ("", Ipv4::Dhcp),
        ("--ipv4=dhcp", Ipv4::Dhcp),
        (
            "--ipv6=2001:db8::2/64 --ipv6-gateway=2001:db8::1",
            Ipv4::Disabled,
        ),
        ("--ipv6=2001:db8::2/64 --ipv4=dhcp", Ipv4::Dhcp),
        (
            "--ipv4=192.0.2.1/31 --connect=192.0.2.0:80",
            static_ipv4([192, 0, 2, 1], 31, None),
        ),
        (
            "--ipv4=192.0.2.255/16 --connect=192.0.0.255:80",
            static_ipv4([192, 0, 2, 255], 16, None),
        ),
        (
            "--ipv4=10.1.2.3/8 --ipv4-gateway=10.255.255.254",
            static_ipv4([10, 1, 2, 3], 8, Some([10, 255, 255, 254])),
        ),
        (
            "--ipv4=10.1.2.3/1 --ipv4-gateway=9.9.9.9",
            static_ipv4([10, 1, 2, 3], 1, Some([9, 9, 9, 9])),
        ),
        (
            "--ipv4=192.0.2.1/32 --ipv6=2001:db8::2/64 --ipv6-gateway=fe80::1",
            static_ipv4([192, 0, 2, 1], 32, None),
        ),
    ] {
        assert_eq!(right(line).ipv4, expected, "{line}");
    }
}

#[test]
fn ipv6_forms() {
    for (line, own, prefix, gateway) in [
        ("--ipv6=2001:db8::2/64 --ipv4=dhcp", "2001:db8::2", 64, None),
        ("--ipv6=2001:DB8:0::2/1 --ipv4=dhcp", "2001:db8::2", 1, None),
        ("--ipv6=2001:db8::/127 --ipv4=dhcp", "2001:db8::", 127, None),
        (
            "--ipv6=2001:db8::2/128 --ipv6-gateway=fe80::1",
            "2001:db8::2",
            128,
            Some("fe80::1"),
        ),
        (
            "--ipv6=fe80::2/64 --ipv6-gateway=fe80::1",
            "fe80::2",
            64,
            Some("fe80::1"),
        ),
        (
            "--ipv6=2001:db8::2/64 --ipv6-gateway=2001:db8::",
            "2001:db8::2",
            64,
            Some("2001:db8::"),
        ),
    ] {
        let expected = Ipv6 {
            address: own.parse().unwrap(),
            prefix,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
        };
        assert_eq!(right(line).ipv6, Some(expected), "{line}");
    }
}

#[test]
fn accept_forms() {
    let ipv6 = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64";
    for (line, host, port) in [
        ("--accept=1", None, 1),
        ("--accept=65535", None, 65535),
        ("--accept=0443", None, 443),
        ("--accept=10.9.8.7:443", Some("10.9.8.7"), 443),
        (
            &format!("{ipv6} --accept=10.0.0.2:25"),
            Some("10.0.0.2"),
            25,
        ),
        (
            &format!("{ipv6} --accept=[2001:db8:0::2]:25"),
            Some("2001:db8::2"),
            25,
        ),
    ] {
        let expected = Accept {
            host: host.map(address),
            port,
        };
        assert_eq!(right(line).accept, expected, "{line}");
    }
}

#[test]
fn connect_forms() {
    let both = "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64";
    let literal = |text: &str| Some(Host::Address(address(text)));
    let name = |text: &str| Some(Host::Name(text.into()));
    for (line, host, port) in [
        ("--connect=8080", None, 8080),
        ("--connect=10.9.8.7:1", literal("10.9.8.7"), 1),
        (
            "--connect=Web.Example.org.:8080",
            name("web.example.org"),
            8080,
        ),
        ("--connect=my_service:8080", name("my_service"), 8080),
        (
            &format!("{both} --connect=[2001:db8::9]:5"),
            literal("2001:db8::9"),
            5,
        ),
        (
            &format!("{both} --connect=8.8.8.8:5"),
            literal("8.8.8.8"),
            5,
        ),
        (
            "--ipv4=10.0.0.2/24 --connect=10.0.0.9:5",
            literal("10.0.0.9"),
            5,
        ),
        (
            "--ipv4=10.0.0.2/24 --dns=10.0.0.9 --connect=backend:5",
            name("backend"),
            5,
        ),
    ] {
        assert_eq!(right(line).connect, Connect { host, port }, "{line}");
    }
}

#[test]
fn name_servers_come_as_lists_and_repeated() {
    let expected = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
    for line in [
        "--dns=10.0.0.1,10.0.0.2,10.0.0.3",
        "--dns=10.0.0.1 --dns=10.0.0.2 --dns=10.0.0.3",
        "--dns=10.0.0.1,10.0.0.2 --dns 10.0.0.3",
    ] {
        assert_eq!(right(line).dns, expected, "{line}");
    }
}

#[test]
fn levels_and_providers() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        let config = right(&format!("--log={level}"));
        assert_eq!(config.log.as_str().to_ascii_lowercase(), level);
    }
    for crypto in [Crypto::Ring, Crypto::RustCrypto] {
        assert_eq!(right(&format!("--crypto={crypto}")).crypto, crypto);
    }
}

/// A section as `openssl` prints them, with a body that is no key.
fn pem(label: &str) -> String {
    format!("some text\n-----BEGIN {label}-----\nTm8ga2V5IGF0IGFsbA==\n-----END {label}-----\n")
}

fn base64(text: &str) -> String {
    use base64ct::Encoding;
    base64ct::Base64::encode_string(text.as_bytes())
}

#[test]
fn inline_pem_is_decoded_padded_or_not() {
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
        for lines in [pem(label), pem(label).replace('\n', "\r\n")] {
            for filler in ["", "\n", "\n\n"] {
                let (cert, key) = (pem("CERTIFICATE"), format!("{filler}{lines}"));
                let padded = format!(
                    "--cert base64:{} --key=base64:{}",
                    base64(&cert),
                    base64(&key)
                );
                let unpadded = padded.replace("= ", " ").replace("= ", " ");
                for line in [padded.as_str(), unpadded.trim_end_matches('=')] {
                    let config = parse(line).unwrap_or_else(|errors| panic!("{errors}"));
                    let ServiceSource::Single {
                        certificate,
                        key: private,
                    } = config.services
                    else {
                        panic!("no --conf was given");
                    };
                    let archive = None;
                    assert_eq!(certificate.load("--cert", archive), Ok(cert.as_bytes()));
                    assert_eq!(private.load("--key", archive), Ok(key.as_bytes()));
                }
            }
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    let (cert, key) = (pem("CERTIFICATE"), pem("PRIVATE KEY"));
    let line = format!(
        "--cert=base64:{} --key=base64:{}",
        base64(&cert),
        base64(&key)
    );
    let shown = format!("{:?}", parse(&line).unwrap());
    assert!(shown.contains("key: Inline("), "{shown}");
    for secret in ["Tm8", "No key", "78, 111"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn words_of_the_machine_are_passed_over() {
    assert_eq!(
        right(
            "console=ttyS0 reboot=k panic=1 pci=off 8250.nr_uarts=0 quiet --log=debug ro \
             virtio_mmio.device=512@0xfeb02e00:12 root=/dev/vda virtio_mmio.device=512@0xfeb02c00:11"
        ),
        Config {
            log: log::LevelFilter::Debug,
            ..defaults()
        }
    );
}

#[test]
fn the_second_half_follows_after_one_space() {
    assert_eq!(
        &join(b"--log=debug", Some(b"--key=x"))[..],
        b"--log=debug --key=x"
    );
    assert_eq!(&join(b"--log=debug", None)[..], b"--log=debug");
    assert_eq!(&join(b"--log=debug", Some(b""))[..], b"--log=debug");
    assert_eq!(&join(b"", Some(b"--key=x"))[..], b"--key=x");
}

#[test]
fn mentions_finds_whole_names() {
    let line = "--ipv4-gateway=10.0.0.1 --cert file:--key --log=info";
    for (option, expected) in [
        ("--cert", true),
        ("--log", true),
        ("--ipv4-gateway", true),
        ("--ipv4", false),
        ("--key", false),
        ("--lo", false),
        ("--remote", false),
    ] {
        assert_eq!(mentions(line, option), expected, "{option}");
    }
}

#[test]
fn lines_that_may_hold_a_key_are_told() {
    for (line, expected) in [
        ("", false),
        ("--log=debug", false),
        ("--key=file:key.pem", false),
        ("--key file:key.pem --log=info", false),
        ("--key", false),
        ("--key=base64:AAAA", true),
        ("--key base64:AAAA", true),
        ("--key=AAAA", true),
        ("--key AAAA", true),
        ("--log=info --cert=base64:AAAA", true),
        ("base64:AAAA", true),
        ("--ssh-key=ed25519:AAAA", true),
        ("--ssh-seed AAAA", true),
        ("--ssh-ssh AAAA", true),
        ("--pass foo", true),
        ("--pass=foo", true),
        ("--eab=id:key", true),
        ("--account-seed=x --log=info", true),
        ("--store-key x", true),
        ("--certificate-seed x", true),
        ("--ssh-password=x", true),
        (
            "--pass=file:pass --ssh-key file:key --eab=file:eab --store-key=file:k",
            false,
        ),
        (
            "--ssh-host-key=ssh-ed25519:AAAA --email=a@b.c --production",
            false,
        ),
    ] {
        assert_eq!(holds_secret(line), expected, "{line}");
    }
}

#[test]
fn what_is_shown_is_what_is_parsed() {
    for line in [
        "--accept=8443 --connect=81",
        "--accept=10.0.0.5:8443 --connect=10.0.0.6:81",
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --accept=[2001:db8::2]:1 --connect=[2001:db8::3]:2",
        "--connect=name.example:3",
    ] {
        let config = right(line);
        let again = format!(
            "--ipv4=dhcp --ipv6=2001:db8::2/64 --accept={} --connect={}",
            config.accept, config.connect
        );
        let again = right(&again);
        assert_eq!(
            (config.accept, config.connect),
            (again.accept, again.connect)
        );
    }
}

#[test]
fn mutations_never_panic_and_errors_are_never_empty() {
    // A multiplicative generator (Knuth, MMIX) is random enough to spread the changes.
    let mut state = 0x5eed_u64;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let seed = format!(
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64 --dns=10.0.0.53 \
         --accept=[2001:db8::2]:8443 --connect backend.example:8080 --log=trace \
         console=ttyS0 --cert=base64:{} --key=file:key.pem",
        base64(&pem("CERTIFICATE"))
    );
    assert!(parse(&seed).is_ok());
    let mut wrong = 0;
    for _ in 0..4000 {
        let mut line = seed.clone().into_bytes();
        for _ in 0..=next(4) {
            let at = next(line.len());
            match next(4) {
                0 => line[at] = next(256) as u8,
                1 => line[at] = b" =-:,./[]"[next(9)],
                2 => drop(line.remove(at)),
                _ => line.truncate(at + 1),
            }
        }
        if let Err(errors) = parse_bytes(&line) {
            wrong += 1;
            assert!(!errors.is_empty());
            assert!(!errors.to_string().is_empty());
        }
    }
    assert!(wrong > 1000, "mutations hit something: {wrong}");
}

#[test]
fn plaintext_is_bytes_or_requests() {
    assert_eq!(right("").requests, Requests::default());
    let tcp = right("--mode=tcp").requests;
    assert_eq!(tcp.mode, Some(Mode::Tcp));
    let expected = Requests {
        mode: Some(Mode::Http),
        hsts: Some(31_536_000),
        max_body: Some(1 << 33),
    };
    let line = "--mode=http --hsts=31536000 --max-body 8589934592";
    assert_eq!(right(line).requests, expected);
    // Hosts may be of that mode without being told to.
    let hosts = parse("--hosts=file:h --hsts=0").unwrap();
    assert_eq!((hosts.requests.mode, hosts.requests.hsts), (None, Some(0)));
}
