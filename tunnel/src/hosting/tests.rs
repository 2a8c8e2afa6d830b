//! Services of what is to be served by name.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};
use std::time::Instant;

use config::{
    Accept, Config, Connect, Zeroizing,
    hosting::{HostFile, Hosting},
};
use tls::{Provider, WallClock};

use super::*;
use crate::{
    journal::Severity,
    service::{
        self, Service, Tls,
        conf::{Ground, OwnAddress},
    },
};

const NOW: u64 = 1_800_000_000;

/// A certificate for `name`, and its key.
fn pair(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn site(names: &[&str]) -> Site {
    let (chain, key) = pair(names[0]);
    Site {
        names: names.iter().map(ToString::to_string).collect(),
        chain: chain.into(),
        key: Arc::new(Zeroizing::new(key)),
        backend: Connect {
            host: None,
            port: 80,
        },
        alpn: Vec::new(),
        requests: None,
    }
}

fn sites(hosts: Vec<Site>) -> Sites {
    Sites {
        hosts,
        https: Some(Accept {
            host: None,
            port: 443,
        }),
        http: Some(Accept {
            host: None,
            port: 80,
        }),
        ..Sites::default()
    }
}

fn ground() -> Ground {
    Ground {
        provider: Provider::Ring,
        clock: WallClock::new(NOW),
        level: Severity::Notice,
        published: false,
        ipv4: OwnAddress::Unknown,
        ipv6: OwnAddress::None,
    }
}

fn names(services: &[Service]) -> Vec<&str> {
    let services = services.iter();
    services.map(|service| service.channel.name()).collect()
}

/// Who takes over a client that asks for `name` and offers these protocols.
fn chosen<'a>(services: &'a [Service], name: Option<&str>, alpn: &[&str]) -> Option<&'a str> {
    let alpn: Vec<Vec<u8>> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let host = services[0].virtual_host(name, &alpn)?;
    Some(services[host.service].channel.name())
}

#[test]
fn a_front_hands_over_to_a_service_for_each_host_and_one_answers_http() {
    let hosts = vec![
        site(&["*.example.org"]),
        site(&["www.example.org", "b.example", "*.c.example"]),
    ];
    let all = sites(hosts);
    let (services, left_out) = services(&all, &mut Kept::default(), &ground());
    assert_eq!(left_out, []);
    let expected = ["https", "*.example.org", "www.example.org", "http"];
    assert_eq!(names(&services), expected);
    let ports: Vec<Vec<u16>> = services
        .iter()
        .map(|service| service.listeners.iter().map(|listen| listen.port).collect())
        .collect();
    assert_eq!(ports, [vec![443], vec![], vec![], vec![80]]);
    let www = Some("www.example.org");
    // A name of its own comes before any with an asterisk.
    assert_eq!(chosen(&services, www, &[]), www);
    assert_eq!(chosen(&services, Some("WWW.Example.ORG"), &["h2"]), www);
    assert_eq!(chosen(&services, Some("b.example"), &[]), www);
    assert_eq!(chosen(&services, Some("x.c.example"), &[]), www);
    let wild = Some("*.example.org");
    assert_eq!(chosen(&services, Some("x.example.org"), &[]), wild);
    for name in [Some("example.org"), Some("x.y.example.org"), None] {
        assert_eq!(chosen(&services, name, &[]), None, "{name:?}");
    }
}

#[test]
fn the_default_host_is_for_all_others_but_for_authorities() {
    let mut all = sites(vec![site(&["a.example"]), site(&["b.example"])]);
    all.default_host = Some("b.example".into());
    let (a, b) = (pair("a.example"), pair("d.example"));
    all.proofs = [("a.example", a), ("d.example", b)]
        .map(|(name, (certificate, key))| Proof {
            name: name.into(),
            certificate: certificate.into(),
            key: Arc::new(Zeroizing::new(key)),
        })
        .to_vec();
    let (services, left_out) = services(&all, &mut Kept::default(), &ground());
    assert_eq!(left_out, []);
    let chosen = |name, alpn: &[&str]| chosen(&services, name, alpn);
    assert_eq!(chosen(Some("a.example"), &["h2"]), Some("a.example"));
    assert_eq!(chosen(Some("c.example"), &[]), Some("b.example"));
    assert_eq!(chosen(None, &[]), Some("b.example"));
    let acme = ["acme-tls/1"];
    let proof = Some("acme-tls/1 a.example");
    assert_eq!(chosen(Some("a.example"), &acme), proof);
    // No host, and yet there is something to prove: a certificate is to be had first.
    assert_eq!(
        chosen(Some("d.example"), &acme),
        Some("acme-tls/1 d.example")
    );
    assert_eq!(chosen(Some("d.example"), &[]), Some("b.example"));
    assert_eq!(chosen(Some("b.example"), &acme), None);
    assert_eq!(
        chosen(Some("a.example"), &["acme-tls/1", "h2"]),
        Some("a.example")
    );
}

#[test]
fn who_can_t_be_served_is_left_out_with_the_reason_and_without_the_others() {
    let mut broken = site(&["broken.example"]);
    broken.key = site(&["x"]).key;
    let mut junk = site(&["junk.example"]);
    junk.chain = "junk".into();
    let hosts = vec![
        broken,
        site(&["a.example"]),
        junk,
        site(&["a.example"]),
        site(&["b.example", "a.example"]),
    ];
    let mut all = sites(hosts);
    all.default_host = Some("broken.example".into());
    let (services, left_out) = services(&all, &mut Kept::default(), &ground());
    let expected = ["https", "a.example", "b.example", "http"];
    assert_eq!(names(&services), expected);
    let hosts: Vec<&str> = left_out.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(
        hosts,
        [
            "broken.example",
            "junk.example",
            "a.example",
            "broken.example"
        ]
    );
    assert!(left_out[0].1.contains("key"), "{left_out:?}");
    assert!(left_out[1].1.contains("certificate"), "{left_out:?}");
    assert!(left_out[2].1.contains("another host"), "{left_out:?}");
    assert!(left_out[3].1.contains("default host"), "{left_out:?}");
    assert_eq!(chosen(&services, Some("a.example"), &[]), Some("a.example"));
}

#[test]
fn an_expired_certificate_is_served() {
    let mut params = rcgen::CertificateParams::new(vec!["old.example".to_string()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    let mut old = site(&["old.example"]);
    old.chain = chain.into();
    old.key = Arc::new(Zeroizing::new(key.serialize_pem()));
    let (services, left_out) = services(&sites(vec![old]), &mut Kept::default(), &ground());
    assert_eq!(left_out, []);
    assert_eq!(names(&services), ["https", "old.example", "http"]);
}

/// Whose TLS is the same as before, by what a server is made of.
#[test]
fn what_has_not_changed_is_not_made_anew() {
    let mut kept = Kept::default();
    let mut all = sites((0..20).map(|n| site(&[&format!("h{n}.example")])).collect());
    let mut broken = site(&["broken.example"]);
    broken.chain = "junk".into();
    all.hosts.push(broken);
    let made = |all: &Sites, kept: &mut Kept| {
        let (services, left_out) = services(all, kept, &ground());
        (services.len(), left_out.len())
    };
    assert_eq!(made(&all, &mut kept), (22, 1));
    let before = kept.made();
    // The same texts, read anew.
    all.hosts.iter_mut().for_each(|site| {
        site.chain = site.chain.to_string().into();
        site.key = Arc::new(Zeroizing::new(site.key.to_string()));
    });
    all.hosts[7] = site(&["h7.example"]);
    all.hosts[8].alpn = vec![b"h2".to_vec()];
    all.hosts[9].backend.port = 81;
    all.tokens.push(Token {
        token: "t".into(),
        authorization: "a".into(),
    });
    assert_eq!(made(&all, &mut kept), (22, 1));
    assert_eq!(kept.made(), before + 2);
    all.hosts.truncate(3);
    assert_eq!(made(&all, &mut kept), (5, 0));
    assert_eq!(kept.made(), before + 2);
}

#[test]
fn five_hundred_hosts_are_built_and_found() {
    let hosts: Vec<Site> = (0..500)
        .map(|n| site(&[&format!("host-{n}.example")]))
        .collect();
    let mut kept = Kept::default();
    for count in [1, 50, 500, 500] {
        let all = sites(hosts[..count].to_vec());
        let begin = Instant::now();
        let (services, left_out) = services(&all, &mut kept, &ground());
        std::eprintln!("{count} hosts: {:?}", begin.elapsed());
        assert_eq!(left_out, []);
        assert_eq!(services.len(), count + 2);
        let last = format!("host-{}.example", count - 1);
        assert_eq!(chosen(&services, Some(&last), &[]), Some(last.as_str()));
        let needs = service::needs(&services);
        assert!(needs.kept_sessions <= 16 * count, "{needs:?}");
    }
}

fn config() -> Config {
    let line = b"--cert=file:c.pem --key=file:k.pem --accept=443 --connect=10.0.0.9:8080";
    config::command_line::parse_bytes(line).unwrap()
}

fn hosting(files: &[(&str, &str)]) -> Hosting {
    let files = files.iter().map(|(name, text)| HostFile {
        name: (*name).into(),
        text: Zeroizing::new(text.as_bytes().to_vec()),
    });
    Hosting {
        files: files.collect(),
        default_host: None,
        http: None,
        store: None,
    }
}

#[test]
fn files_are_pem_or_what_the_store_has() {
    let (one, two) = (pair("one.example"), pair("two.example"));
    let both = format!("{}{}", one.1, one.0);
    let pair = store::host::Pair {
        chain: vec![two.0],
        key: two.1,
    };
    let mut host = Host::new(pair, "10.0.0.3".parse().unwrap(), 81);
    host.protocols.http2 = false;
    host.names = vec!["B.two.example".to_string()];
    let json = String::from_utf8(host.to_file()).unwrap();
    let mut hosting = hosting(&[
        ("One.example.", &both),
        ("two.example", &json),
        ("*.wild.example", &both),
    ]);
    hosting.default_host = Some("ONE.example".into());
    let sites = of_files(&hosting, &config()).unwrap();
    assert_eq!(sites.default_host.as_deref(), Some("one.example"));
    assert_eq!(sites.https.map(|accept| accept.port), Some(443));
    let names: Vec<&String> = sites.hosts.iter().flat_map(|site| &site.names).collect();
    assert_eq!(
        names,
        [
            "one.example",
            "two.example",
            "b.two.example",
            "*.wild.example"
        ]
    );
    assert_eq!(sites.hosts[0].backend, config().connect);
    assert_eq!(sites.hosts[1].backend.to_string(), "10.0.0.3:81");
    assert_eq!(sites.hosts[1].alpn, [b"http/1.1", b"http/1.0"]);
    let (services, left_out) = services(&sites, &mut Kept::default(), &ground());
    assert_eq!(left_out, []);
    assert_eq!(services.len(), 4, "nothing is answered without a port");
    assert!(matches!(services[0].tls, Tls::Others));
}

#[test]
fn what_is_wrong_with_files_is_told_of_all_at_once() {
    let (chain, key) = pair("a.example");
    let both = format!("{chain}{key}");
    let wrong = hosting(&[
        ("a.example", &both),
        ("-", &both),
        ("b.example", "{}"),
        ("10.0.0", &both),
    ]);
    let errors = of_files(&wrong, &config()).err().unwrap();
    assert_eq!(
        errors,
        [
            "--hosts: \"-\": its name is no host's name",
            "--hosts: \"b.example\": it has no \"own_cert\"",
            "--hosts: \"10.0.0\": its name is no host's name",
        ]
    );
    let empty = of_files(&hosting(&[]), &config()).err().unwrap();
    assert_eq!(
        empty,
        ["--hosts: there is no host's file in the boot archive"]
    );
    let mut unknown = hosting(&[("a.example", &both)]);
    unknown.default_host = Some("c.example".into());
    let errors = of_files(&unknown, &config()).err().unwrap();
    assert_eq!(
        errors,
        ["--default-host: no file of --hosts is for c.example"]
    );
}

#[test]
fn names_are_compared_in_one_form() {
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(host_name(text).as_deref(), expected, "{text:?}");
    };
    check("Example.ORG", Some("example.org"));
    check("example.org.", Some("example.org"));
    check("*.Example.org", Some("*.example.org"));
    check("localhost", Some("localhost"));
    check("my_host.example", Some("my_host.example"));
    check("10.0.0.1", Some("10.0.0.1"));
    check("FD00:0::1", Some("fd00::1"));
    for wrong in [
        "",
        ".",
        "*",
        "*.",
        "a..b",
        "a.*.b",
        "x*.b",
        "-a.b",
        "a-.b",
        "a b",
        "a/b",
        "10.0.0",
        "a.b..",
        "ä.example",
        "a\r\n",
    ] {
        check(wrong, None);
    }
    check(&"a".repeat(64), None);
    check(&["abc"; 64].join("."), None);
}

#[test]
fn requests_are_read_where_the_file_or_the_options_say_so() {
    let (certificate, key) = pair("a.example");
    let pair = host::Pair {
        chain: vec![certificate],
        key,
    };
    let file = |alpn: (bool, bool), mode, hsts| {
        let mut host = Host::new(pair.clone(), [10, 0, 0, 3].into(), 80);
        (host.protocols.http2, host.protocols.http1) = alpn;
        (host.mode, host.hsts) = (mode, hsts);
        host
    };
    let (both, h2) = ((true, true), (true, false));
    let asked = |mode| Requests {
        mode,
        hsts: Some(5),
        max_body: None,
    };
    let (tcp, http) = (host::Mode::Tcp, host::Mode::Http);
    let h1: &[&[u8]] = &[b"http/1.1", b"http/1.0"];
    for (host, options, expected, offered) in [
        (file(both, None, None), asked(None), Some("5"), h1),
        (file(both, None, Some(9)), asked(None), Some("9"), h1),
        (file(both, None, None), asked(Some(Mode::Tcp)), None, h1),
        (
            file(both, None, Some(9)),
            asked(Some(Mode::Tcp)),
            Some("9"),
            h1,
        ),
        (
            file(both, Some(http), None),
            asked(Some(Mode::Tcp)),
            Some("5"),
            h1,
        ),
        (
            file(both, Some(tcp), None),
            asked(Some(Mode::Http)),
            None,
            h1,
        ),
        // Nobody translates.
        (
            file(h2, None, None),
            asked(Some(Mode::Http)),
            None,
            &[b"h2"],
        ),
    ] {
        let site = Site::of_store("a.example", &host, &options).unwrap();
        let field = site.requests.as_ref().map(|it| it.extra.clone().unwrap());
        let expected = expected.map(|seconds| {
            let name = String::from("Strict-Transport-Security");
            (name, format!("max-age={seconds}"))
        });
        assert_eq!(field, expected, "{:?} {:?}", host.mode, options);
        assert_eq!(site.alpn, offered);
    }
}
