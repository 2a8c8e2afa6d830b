//! Dialects, protocols inside TLS and trusted proxies of configurations.

use super::*;
use crate::dialect;

#[test]
fn a_dialect_has_what_the_file_says() {
    let text = "[out]\nclient = yes\naccept = 25\nconnect = 10.0.0.9:25\nprotocol = smtp\n\
                protocolHost = me.example\nprotocolUsername = anna\nprotocolPassword = hush\n\
                protocolAuthentication = login\n[far]\nclient = yes\naccept = 26\n\
                connect = 10.0.0.9:3128\nprotocol = connect\nprotocolHost = far.example:443\n\
                protocolHeader = A: b\n[plain]\nclient = yes\naccept = 27\nconnect = 10.0.0.9:1\n";
    let services = made(text);
    let smtp = services[0].dialect.as_ref().expect("a dialect");
    assert_eq!(smtp.protocol, dialect::Protocol::Smtp);
    assert_eq!(smtp.host.as_deref(), Some("me.example"));
    assert_eq!(smtp.username.as_deref(), Some("anna"));
    assert_eq!(
        smtp.password.as_ref().map(|word| word.as_str()),
        Some("hush")
    );
    assert_eq!(smtp.authentication, dialect::Authentication::Login);
    let far = services[1].dialect.as_ref().expect("a dialect");
    assert_eq!(far.headers, ["A: b"]);
    assert!(
        matches!(&services[1].tls, Tls::Client { server_name: Some(name), .. } if name == "far.example")
    );
    assert!(
        matches!(&services[0].tls, Tls::Client { server_name: Some(name), .. } if name == "10.0.0.9")
    );
    assert!(services[2].dialect.is_none());
}

#[test]
fn clients_of_a_socks_server_say_where_they_go() {
    let service = made(&section("a", "accept = 1\nprotocol = socks\n")).remove(0);
    let addresses = net::Addresses::default();
    assert_eq!(service.backend.candidates(&addresses).count(), 0);
    assert!(!service.backend.has_choice(&addresses));
    let words = "where clients ask to go";
    assert_eq!(service.backend.described(&addresses).to_string(), words);
    assert_eq!(service.backend.names().collect::<Vec<_>>(), [words]);
    assert_eq!(service.retry_at(), None);
}

#[test]
fn proxies_are_trusted_by_their_networks() {
    let service = made(&section(
        "a",
        "accept = 1\nconnect = 2\nacceptProxy = 10.1.0.0/16\n",
    ));
    let trusted = |address: &str| {
        let address = address.parse().unwrap();
        let mut proxies = service[0].trusted_proxies.iter();
        proxies.any(|network| network.contains(address))
    };
    assert!(trusted("10.1.2.3") && !trusted("10.2.2.3") && !trusted("::1"));
}

#[test]
fn virtual_services_are_found_by_their_protocols() {
    let text = section("main", "accept = 443\nconnect = 80\n")
        + &section("h2", "sni = main:*\nconnect = 81\nalpn = h2\n")
        + &section("blue", "sni = main:blue.example\nconnect = 82\n")
        + &section("any", "sni = main:*\nconnect = 83\nalpn = imap,h2\n");
    let services = made(&text);
    let found = |name: Option<&str>, alpn: &[&str]| {
        let alpn: Vec<Vec<u8>> = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let host = services[0].virtual_host(name, &alpn);
        host.map(|host| host.service)
    };
    assert_eq!(found(Some("blue.example"), &[]), Some(2));
    assert_eq!(found(Some("blue.example"), &["http/1.1"]), Some(2));
    assert_eq!(found(Some("blue.example"), &["http/1.1", "h2"]), Some(1));
    assert_eq!(found(None, &["h2"]), Some(1));
    assert_eq!(found(None, &["imap"]), Some(3));
    assert_eq!(found(None, &[]), None);
    assert_eq!(found(Some("red.example"), &["http/1.1"]), None);
}

/// What both ends agree on, or why not.
fn agreed(server: &Service, client: &Service) -> Result<Option<Vec<u8>>, ()> {
    let mut client = client.tls.connection(None, None).expect("entropy");
    let mut hello = Vec::from([0; 64 * 1024]);
    let length = client.transmit(&mut hello);
    let tls::Peek::Hello(peeked) = tls::peek_client_hello(&hello[..length]) else {
        panic!("it is whole");
    };
    let mut server = server.tls.connection(None, Some(&peeked)).expect("entropy");
    take(&mut server, &mut hello[..length])?;
    for _ in 0..10 {
        pass(&mut server, &mut client)?;
        pass(&mut client, &mut server)?;
    }
    let handshake = client.handshake().expect("it is over");
    Ok(handshake.alpn.clone())
}

/// Carries what one end has to say to the other.
fn pass(from: &mut tls::Connection, to: &mut tls::Connection) -> Result<(), ()> {
    let mut wire = Vec::from([0; 64 * 1024]);
    let length = from.transmit(&mut wire);
    take(to, &mut wire[..length])
}

fn take(to: &mut tls::Connection, mut rest: &mut [u8]) -> Result<(), ()> {
    while !rest.is_empty() {
        let received = to.receive(rest, tls::MAX_PLAINTEXT, &mut |_| {});
        match received.map_err(drop)?.consumed {
            0 => return Ok(()),
            consumed => rest = &mut rest[consumed..],
        }
    }
    Ok(())
}

fn check_alpn(server_lines: &str, client_lines: &str, expected: Result<Option<&str>, ()>) {
    let server = section(
        "a",
        &std::format!("accept = 1\nconnect = 2\n{server_lines}\n"),
    );
    let client = std::format!("[b]\nclient = yes\naccept = 1\nconnect = a:2\n{client_lines}\n");
    let found = agreed(&made(&server)[0], &made(&client)[0]);
    let expected = expected.map(|name| name.map(|name| name.as_bytes().to_vec()));
    assert_eq!(found, expected, "{server_lines} {client_lines}");
}

#[test]
fn both_ends_agree_on_the_server_s_first_protocol_or_on_none() {
    check_alpn("", "", Ok(None));
    check_alpn("", "alpn = h2", Ok(None));
    check_alpn("alpn = h2", "", Ok(None));
    check_alpn("alpn = h2,http/1.1", "alpn = http/1.1,h2", Ok(Some("h2")));
    check_alpn("alpn = h2", "alpn = imap", Err(()));
    let keys = "PSKsecrets = /psk.txt\n";
    let with = |lines: &str| std::format!("{keys}{lines}");
    check_alpn(&with("alpn = a"), &with("alpn = b,a"), Ok(Some("a")));
    check_alpn(&with("alpn = a"), &with("alpn = b"), Err(()));
}

#[test]
fn postgresql_servers_know_the_name_that_direct_tls_needs() {
    check_alpn(
        "protocol = pgsql",
        "alpn = postgresql",
        Ok(Some("postgresql")),
    );
    check_alpn("protocol = pgsql", "", Ok(None));
    check_alpn("protocol = pgsql", "alpn = h2", Err(()));
    check_alpn(
        "protocol = pgsql\nalpn = own",
        "alpn = own",
        Ok(Some("own")),
    );
}
