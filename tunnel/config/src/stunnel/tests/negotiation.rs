//! What is said around TLS: `protocol` and what goes with it, `alpn`, `acceptProxy`.

use super::*;

/// A section without `connect`.
fn alone(lines: &str) -> String {
    format!("[x]\ncert=/c.pem\naccept=1\n{lines}")
}

fn spoken(text: String) -> Negotiation {
    only(text).protocol.expect("a protocol")
}

/// The notices that begin with an option's name.
fn told(text: String) -> Vec<String> {
    let notices = right(text).notices.into_iter();
    let own = notices.filter(|notice| !notice.text.starts_with("Service ["));
    own.map(|notice| format!("{}:{} {}", notice.origin.line, notice.level, notice.text))
        .collect()
}

#[test]
fn each_protocol_is_spoken_in_stunnel_s_modes() {
    for protocol in Protocol::ALL {
        let name = protocol.name();
        let host = "protocolHost = far.example:443";
        let client = client(&format!("protocol = {}\n{host}", name.to_uppercase()));
        let server = match protocol {
            Protocol::Socks => alone("protocol = socks"),
            _ => server(&format!("protocol = {name}")),
        };
        let check = |text: String, mode: &str, spoken: bool| match spoken {
            true => assert_eq!(self::spoken(text).protocol, protocol),
            false => {
                let expected = format!("The '{name}' protocol is not supported in the {mode} mode");
                assert!(wrong(text).ends_with(&expected), "{name}");
            }
        };
        let proxy = matches!(protocol, Protocol::Proxy | Protocol::Proxy2);
        check(client, "client", !proxy);
        let one_sided = matches!(protocol, Protocol::Ldap | Protocol::Nntp);
        check(server, "server", !one_sided);
    }
}

#[test]
fn a_protocol_before_the_sections_is_every_section_s() {
    let text = format!(
        "protocol = imap\n{}{}",
        client(""),
        server("protocol = pop3").replace("[x]", "[y]")
    );
    let services = right(text).services;
    let protocols: Vec<Protocol> = services
        .into_iter()
        .filter_map(|service| Some(service.protocol?.protocol))
        .collect();
    assert_eq!(protocols, [Protocol::Imap, Protocol::Pop3]);
}

#[test]
fn clients_of_a_socks_server_say_where_they_go() {
    let service = only(alone("protocol = socks"));
    assert!(service.connect.is_empty());
    let endpoints = "Each service must define two endpoints";
    assert!(wrong(server("protocol = socks")).ends_with(endpoints));
    assert!(wrong(client("protocol = socks").replace("connect", "#")).contains(endpoints));
    assert!(wrong(alone("protocol = proxy")).ends_with(endpoints));
}

#[test]
fn clients_of_a_connect_server_do_so_whatever_connect_says() {
    assert!(only(alone("protocol = connect")).connect.is_empty());
    let text = server("protocol = connect");
    assert!(only(text.clone()).connect.is_empty());
    let expected =
        "connect is ignored: with the 'connect' protocol, clients say where they want to go";
    assert_eq!(told(text), [format!("1:5 {expected}")]);
}

#[test]
fn a_proxy_s_client_names_a_host_and_a_port() {
    let host = |host: &str| {
        let lines = format!("protocol = connect\nprotocolHost = {host}");
        spoken(client(&lines)).host.expect("a host")
    };
    assert_eq!(host("far.example:443"), "far.example:443");
    assert_eq!(host("far.example:https"), "far.example:443");
    assert_eq!(host("10.1.2.3:80"), "10.1.2.3:80");
    assert_eq!(host("[::1]:80"), "[::1]:80");
    assert_eq!(host("::1:80"), "[::1]:80");
    let smtp = client("protocol = smtp\nprotocolHost = me.example");
    assert_eq!(spoken(smtp).host.as_deref(), Some("me.example"));
    for protocol in ["connect", "socks"] {
        let error = wrong(client(&format!("protocol = {protocol}")));
        let expected = "1: Service [x]: protocolHost not specified: expected HOST:PORT, which the proxy is asked for";
        assert_eq!(error, expected);
        for (host, expected) in [
            (
                "far.example",
                "Cannot resolve protocolHost target: Unknown TCP service \"far.example\"",
            ),
            ("443", "protocolHost needs a port: expected HOST:PORT"),
            (
                "/run/socket",
                "protocolHost needs a port: expected HOST:PORT",
            ),
            (
                "far.example:0",
                "Cannot resolve protocolHost target: nothing listens on port 0",
            ),
        ] {
            let line = format!("protocolHost = {host}");
            let error = wrong(client(&format!("protocol = {protocol}\n{line}")));
            assert_eq!(error, format!("6: \"{line}\": {expected}"));
        }
    }
}

#[test]
fn the_server_name_is_that_of_the_far_host() {
    let sni = |lines: &str| only(client(lines)).sni;
    let name = |name: &str| Some(String::from(name));
    let far = "protocol = connect\nprotocolHost = far.example:443\n";
    assert_eq!(sni(far), name("far.example"));
    assert_eq!(
        sni(&format!("{far}sni = near.example")),
        name("near.example")
    );
    assert_eq!(sni(&format!("{far}sni =")), name(""));
    assert_eq!(
        sni("protocol = connect\nprotocolHost = [::1]:443"),
        name("::1")
    );
    // Whatever the protocol, as in stunnel; a name to greet with is no server.
    assert_eq!(sni("protocolHost = far.example:443"), name("far.example"));
    assert_eq!(sni("protocol = smtp\nprotocolHost = me.example"), None);
    assert_eq!(only(server("protocolHost = far.example:443")).sni, None);
}

#[test]
fn names_and_passwords_go_to_those_who_take_them() {
    let pair = "protocolUsername = anna\nprotocolPassword = hush\n";
    let far = "protocolHost = far.example:443\n";
    for protocol in Protocol::ALL {
        if matches!(protocol, Protocol::Proxy | Protocol::Proxy2) {
            continue;
        }
        let negotiation = spoken(client(&format!(
            "protocol = {}\n{far}{pair}",
            protocol.name()
        )));
        let takes = matches!(protocol, Protocol::Connect | Protocol::Smtp);
        assert_eq!(negotiation.username.is_some(), takes, "{protocol:?}");
        assert_eq!(negotiation.password.is_some(), takes, "{protocol:?}");
    }
    let smtp = |lines: &str| client(&format!("protocol = smtp\n{lines}"));
    assert_eq!(
        told(smtp("protocolUsername = anna")),
        ["6:5 protocolUsername has no effect: there is no protocolPassword"]
    );
    assert_eq!(
        told(smtp("protocolPassword = hush")),
        ["6:5 protocolPassword has no effect: there is no protocolUsername"]
    );
    assert!(spoken(smtp("protocolUsername = anna")).username.is_none());
    let colon = "protocolUsername = a:b\nprotocolPassword = hush\n";
    assert!(only(smtp(colon)).protocol.is_some());
    assert_eq!(
        wrong(client(&format!("protocol = connect\n{far}{colon}"))),
        "7: \"protocolUsername = a:b\": a user name with a colon can't be used with basic"
    );
}

#[test]
fn each_protocol_has_its_ways_to_authenticate() {
    let method = |protocol: &str, method: &str| {
        let lines = format!("protocol = {protocol}\nprotocolHost = a:1\n{method}");
        (spoken(client(&lines)).authentication, told(client(&lines)))
    };
    let effect =
        |text: &str| Vec::from([format!("7:5 protocolAuthentication has no effect: {text}")]);
    let none = Vec::new;
    use Authentication::{Basic, Login, Plain};
    assert_eq!(method("connect", ""), (Basic, none()));
    assert_eq!(method("smtp", ""), (Plain, none()));
    assert_eq!(
        method("connect", "protocolAuthentication = BASIC"),
        (Basic, none())
    );
    assert_eq!(
        method("smtp", "protocolAuthentication = login"),
        (Login, none())
    );
    assert_eq!(
        method("smtp", "protocolAuthentication = plain"),
        (Plain, none())
    );
    assert_eq!(
        method("smtp", "protocolAuthentication = ntlm"),
        (Plain, effect("the 'smtp' protocol uses plain"))
    );
    assert_eq!(
        method("connect", "protocolAuthentication = login"),
        (Basic, effect("the 'connect' protocol uses basic"))
    );
    assert_eq!(
        method("imap", "protocolAuthentication = plain"),
        (Basic, effect("the 'imap' protocol has no use for it"))
    );
    let ntlm = wrong(client(
        "protocol = connect\nprotocolHost = a:1\nprotocolAuthentication = NTLM",
    ));
    assert!(ntlm.contains("7: \"protocolAuthentication = NTLM\": NTLM is not spoken here: use"));
}

#[test]
fn headers_add_up() {
    let lines =
        "protocol = connect\nprotocolHost = a:1\nprotocolHeader = A: b\nprotocolHeader=X-Y:";
    assert_eq!(spoken(client(lines)).headers, ["A: b", "X-Y:"]);
    assert_eq!(
        told(client("protocol = smtp\nprotocolHeader = A: b")),
        ["6:5 protocolHeader has no effect: the 'smtp' protocol has no use for it"]
    );
}

#[test]
fn what_belongs_to_a_client_s_protocol_is_told_elsewhere() {
    let lines = "protocolUsername = anna\nprotocolPassword = hush\nprotocolAuthentication = plain\n\
                 protocolHeader = A: b\nprotocolHost = a:1\n";
    let elsewhere = told(server(&format!("protocol = smtp\n{lines}")));
    assert_eq!(elsewhere.len(), 5);
    assert!(
        elsewhere.contains(&"10:5 protocolHost is ignored in the server mode".into()),
        "{elsewhere:?}"
    );
    let nothing = told(client(lines));
    assert_eq!(nothing.len(), 4);
    assert!(
        nothing.contains(&"5:5 protocolUsername has no effect: there is no protocol".into()),
        "{nothing:?}"
    );
}

#[test]
fn redirect_needs_a_protocol_that_dials_after_tls() {
    let lines = "redirect=3\nverifyChain=yes\nCAfile=/ca.pem\nprotocol=";
    for protocol in ["smtp", "imap", "pop3"] {
        let expected =
            "1: Service [x]: \"redirect\" is incompatible with the specified protocol negotiation";
        assert_eq!(wrong(server(&format!("{lines}{protocol}"))), expected);
    }
    for protocol in ["pgsql", "proxy", "proxy2"] {
        assert_eq!(
            only(server(&format!("{lines}{protocol}"))).redirect.len(),
            1
        );
    }
    assert_eq!(only(alone(&format!("{lines}socks"))).redirect.len(), 1);
}

#[test]
fn virtual_services_are_told_what_their_primary_has_said() {
    let both = |primary: &str, own: &str| {
        let own = format!("[v]\nsni=x:v.example\nconnect=3\ncert=/c.pem\n{own}");
        told(format!("{}\n{own}", server(primary)))
    };
    assert_eq!(both("", ""), [""; 0]);
    assert_eq!(both("protocol = pgsql", ""), [""; 0]);
    assert_eq!(both("", "protocol = proxy"), [""; 0]);
    assert_eq!(
        both("protocol = smtp", ""),
        [
            "8:4 connect is ignored: with the 'smtp' protocol, service [x] has connected before the name is known"
        ]
    );
    assert_eq!(
        both("", "protocol = imap"),
        [
            "7:4 the 'imap' protocol of a secondary service is ignored: it is spoken before TLS, by the primary service"
        ]
    );
    assert_eq!(
        both("", "acceptProxy = 10.0.0.1"),
        ["11:5 acceptProxy is ignored: the primary service's counts"]
    );
}

#[test]
fn protocols_inside_tls_are_listed_in_order() {
    let alpn = |lines: &str| only(server(lines)).alpn;
    assert_eq!(alpn(""), [[0; 0]; 0]);
    assert_eq!(
        alpn("alpn = h2, http/1.1\nalpn = h2\nALPN = acme-tls/1"),
        [&b"h2"[..], b"http/1.1", b"acme-tls/1"]
    );
    assert_eq!(only(client("alpn = postgresql")).alpn, [b"postgresql"]);
    let longest = "n".repeat(255);
    assert_eq!(alpn(&format!("alpn = {longest}")), [longest.as_bytes()]);
    assert!(wrong(server(&format!("alpn = {longest}n"))).contains("1 to 255 bytes"));
    let many: Vec<String> = (0..65).map(|number| number.to_string()).collect();
    let error = wrong(server(&format!("alpn = {}", many.join(","))));
    assert!(error.ends_with("more than 64 names"), "{error}");
}

#[test]
fn proxies_are_addresses_and_networks() {
    let proxies = |lines: &str| only(server(lines)).accept_proxy;
    let network = |address: &str, prefix| Network {
        address: address.parse().expect("an address"),
        prefix,
    };
    assert_eq!(
        proxies("acceptProxy = 10.0.0.5, 192.168.7.9/16\nacceptProxy = 2001:db8::1/32,[::1]"),
        [
            network("10.0.0.5", 32),
            network("192.168.0.0", 16),
            network("2001:db8::", 32),
            network("::1", 128),
        ]
    );
    let everybody = server("acceptProxy = 0.0.0.0/0");
    assert_eq!(
        only(everybody.clone()).accept_proxy,
        [network("0.0.0.0", 0)]
    );
    assert_eq!(
        told(everybody),
        ["5:4 \"acceptProxy = 0.0.0.0/0\": whoever can connect may claim to be anybody"]
    );
}

#[test]
fn networks_contain_addresses_of_their_kind() {
    let contains = |network: (&str, u8), address: &str| {
        let network = Network::new(network.0.parse().expect("one"), network.1);
        network.contains(address.parse().expect("one"))
    };
    assert!(contains(("10.0.0.5", 32), "10.0.0.5"));
    assert!(!contains(("10.0.0.5", 32), "10.0.0.4"));
    assert!(contains(("10.1.2.3", 8), "10.255.0.1"));
    assert!(!contains(("10.1.2.3", 8), "11.0.0.1"));
    assert!(contains(("0.0.0.0", 0), "255.1.1.1"));
    assert!(!contains(("0.0.0.0", 0), "::1"));
    assert!(contains(("2001:db8::", 33), "2001:db8:7fff::1"));
    assert!(!contains(("2001:db8::", 33), "2001:db8:8000::1"));
    assert!(contains(("::", 0), "ffff::") && !contains(("::", 0), "1.2.3.4"));
}

#[test]
fn who_may_go_anywhere_is_told_to_be_asked_for() {
    let warned = |lines: &str| {
        let mut notices = right(alone(lines)).notices.into_iter();
        notices.any(|notice| {
            notice
                .text
                .ends_with("needs authentication: it leads anybody anywhere")
        })
    };
    for protocol in ["protocol = socks\n", "protocol = connect\n"] {
        assert!(warned(protocol));
        assert!(warned(&format!("{protocol}PSKsecrets = /psk")));
        assert!(!warned(&format!(
            "{protocol}verifyPeer = yes\nCAfile = /ca.pem"
        )));
    }
    let keys = "[x]\naccept=1\nciphers=PSK\nPSKsecrets=/psk\nprotocol=socks";
    assert!(right(keys).notices.is_empty());
}
