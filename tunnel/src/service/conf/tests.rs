//! What becomes of configurations: services, or errors with their places.

use alloc::{collections::BTreeMap, string::ToString};

use config::stunnel::{FileError, Files, read};
use std::string::String;

use super::*;
use crate::{service::Tls, session::Mode};

mod host_ends;
mod spoken;

/// Files by their paths.
struct Memory(BTreeMap<&'static str, String>);

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<config::Zeroizing<Vec<u8>>, FileError> {
        let text = self.0.get(path);
        text.map(|text| config::Zeroizing::new(text.as_bytes().to_vec()))
            .ok_or_else(|| FileError::new("No such file or directory"))
    }

    fn list(&mut self, _directory: &str) -> Result<Vec<String>, FileError> {
        Err(FileError::new("No such file or directory"))
    }
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn ground(published: bool) -> Ground {
    Ground {
        level: Severity::Notice,
        provider: Provider::Ring,
        clock: WallClock::new(1_800_000_000),
        published,
        ipv4: OwnAddress::Known(Ipv4Addr::new(10, 0, 0, 2)),
        ipv6: OwnAddress::None,
    }
}

/// Reads a configuration beside which there are a certificate, its key, another key and junk.
fn make(text: &str, ground: &Ground) -> Result<Vec<Service>, Vec<String>> {
    let (chain, key) = certificate();
    let (_, other) = certificate();
    let mut files = Memory(BTreeMap::from([
        ("/c.conf", text.to_string()),
        ("/cert.pem", chain),
        ("/key.pem", key),
        ("/other.pem", other),
        ("/junk.pem", "junk\n".to_string()),
        (
            "/psk.txt",
            "me:00112233445566778899aabbccddeeff\n".to_string(),
        ),
    ]));
    let configuration = match read("/c.conf", &mut files) {
        Ok(configuration) => configuration,
        Err(errors) => panic!("{errors}"),
    };
    services(&configuration, ground)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// A server's section with a good certificate.
fn section(name: &str, rest: &str) -> String {
    std::format!("[{name}]\ncert = /cert.pem\nkey = /key.pem\n{rest}")
}

fn made(text: &str) -> Vec<Service> {
    make(text, &ground(false)).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Expects one error, whose text has all of these words.
fn refused(text: &str, ground: &Ground, words: &[&str]) {
    let errors = match make(text, ground) {
        Ok(_) => panic!("accepted: {text}"),
        Err(errors) => errors,
    };
    assert_eq!(errors.len(), 1, "{errors:?}");
    for word in words {
        assert!(errors[0].contains(word), "no {word:?} in {:?}", errors[0]);
    }
}

fn listens(service: &Service) -> Vec<String> {
    service.listeners.iter().map(ToString::to_string).collect()
}

#[test]
fn each_section_is_a_service() {
    let text = section(
        "web",
        "accept = 443\naccept = 10.0.0.2:8443\nconnect = 10.0.0.9:80\n",
    ) + "[out]\nclient = yes\naccept = 23\nconnect = 10.0.0.9:992\nsni = name.example\n"
        + "TIMEOUTidle = 0\nTIMEOUTclose = 7\nTIMEOUTbusy = 8\nTIMEOUTconnect = 9\nreset = no\n\
           debug = 3\nsocket = l:TCP_NODELAY=0\n";
    let services = made(&text);
    let names: Vec<&str> = services.iter().map(|s| s.channel.name()).collect();
    assert_eq!(names, ["web", "out"]);
    assert_eq!(listens(&services[0]), ["port 443", "10.0.0.2:8443"]);
    assert_eq!(services[0].tls.mode(), Mode::Server);
    assert_eq!(services[0].backend.to_string(), "10.0.0.9:80");
    let out = &services[1];
    assert_eq!(out.tls.mode(), Mode::Client);
    assert!(
        matches!(&out.tls, Tls::Client { server_name: Some(name), .. } if name == "name.example")
    );
    let seconds = |timeout: core::time::Duration| timeout.as_secs();
    assert_eq!(seconds(out.timeouts.handshake), 8);
    assert_eq!(seconds(out.timeouts.connect), 9);
    assert_eq!(seconds(out.timeouts.close), 7);
    assert_eq!(seconds(out.timeouts.idle), 0);
    assert!(!out.reset && services[0].reset);
    assert_eq!(out.channel.level(), Severity::Error);
    assert_eq!(services[0].channel.level(), Severity::Notice);
    assert_eq!(out.sockets.accepted.nodelay, Some(false));
    assert_eq!(out.sockets.dialled.nodelay, Some(true));
}

#[test]
fn a_client_asks_for_the_first_host_that_it_connects_to_unless_told_otherwise() {
    let client = |rest: &str| {
        let text = std::format!("[c]\nclient = yes\naccept = 1\n{rest}");
        match made(&text).remove(0).tls {
            Tls::Client { server_name, .. } => server_name,
            _ => panic!("another end"),
        }
    };
    let name = |name: &str| Some(String::from(name));
    assert_eq!(
        client("connect = db.example:5432\nconnect = b:1\n"),
        name("db.example")
    );
    assert_eq!(client("connect = 443\n"), name("localhost"));
    assert_eq!(client("connect = db.example:5432\nsni =\n"), None);
    assert_eq!(
        client("connect = db.example:1\nsni = else.example\n"),
        name("else.example")
    );
}

#[test]
fn the_host_s_own_names_are_the_gateway() {
    let text = section(
        "a",
        "accept = 1\nconnect = 80\nconnect = 127.0.0.1:81\nconnect = ::1:82\n",
    );
    let services = made(&text);
    let addresses = net::Addresses {
        ipv4_gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
        ..net::Addresses::default()
    };
    let candidates = services[0].backend.candidates(&addresses);
    let candidates: Vec<String> = candidates.map(|c| c.address.to_string()).collect();
    assert_eq!(candidates, ["10.0.0.1:80", "10.0.0.1:81", "10.0.0.1:82"]);
}

#[test]
fn published_hosts_are_the_host_s_and_the_image_listens_everywhere() {
    let text = section(
        "a",
        "accept = localhost:2323\naccept = 192.0.2.7:80\nconnect = 1\n",
    );
    let services = make(&text, &ground(true)).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(listens(&services[0]), ["port 2323", "port 80"]);
}

#[test]
fn hosts_that_are_not_the_image_s_are_errors_with_their_line() {
    let accept = |host: &str| section("a", &std::format!("accept = {host}:443\nconnect = 80\n"));
    for host in ["localhost", "127.0.0.1", "::1"] {
        refused(
            &accept(host),
            &ground(false),
            &["/c.conf:4:", "[a]", "loopback", "port alone"],
        );
    }
    refused(
        &accept("10.0.0.3"),
        &ground(false),
        &["/c.conf:4:", "10.0.0.2"],
    );
    refused(
        &accept("fd00::1"),
        &ground(false),
        &["/c.conf:4:", "10.0.0.2"],
    );
    refused(
        &accept("gate.example"),
        &ground(false),
        &["/c.conf:4:", "not looked up"],
    );
    for host in ["0.0.0.0", "::", "10.0.0.2"] {
        made(&accept(host));
    }
    let dhcp = Ground {
        ipv4: OwnAddress::Unknown,
        ..ground(false)
    };
    assert!(
        make(&accept("10.0.0.3"), &dhcp).is_ok(),
        "the lease will tell"
    );
}

#[test]
fn one_place_for_two_services_is_an_error() {
    let text = section("a", "accept = 443\nconnect = 80\n")
        + &section("b", "accept = 10.0.0.2:443\nconnect = 80\n");
    refused(
        &text,
        &ground(false),
        &["/c.conf:9:", "[b]", "already in use", "[a]"],
    );
    // But two ways to write one place are no error.
    let text = section("a", "accept = 443\naccept = 0.0.0.0:443\nconnect = 80\n");
    assert_eq!(listens(&made(&text)[0]), ["port 443"]);
}

#[test]
fn all_errors_of_all_services_are_told_at_once() {
    let text = "[a]\ncert = /cert.pem\nkey = /other.pem\naccept = 1\nconnect = 80\n\
                [b]\ncert = /junk.pem\naccept = 127.0.0.1:2\nconnect = /run/b\n";
    let errors = make(text, &ground(false)).err().unwrap();
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].starts_with("/c.conf:3: "), "{errors:?}");
    assert!(errors[0].contains("does not belong"), "{errors:?}");
    assert!(errors[1].starts_with("/c.conf:8: "), "{errors:?}");
    assert!(errors[2].starts_with("/c.conf:9: "), "{errors:?}");
    assert!(errors[2].contains("UNIX"), "{errors:?}");
    assert!(errors[3].starts_with("/c.conf:7: "), "{errors:?}");
    assert!(errors[3].contains("/junk.pem"), "{errors:?}");
}

#[test]
fn pre_shared_keys_are_served_alone_and_beside_a_certificate() {
    let keys = "PSKsecrets = /psk.txt\naccept = 1\nconnect = 80\n";
    let alone = made(&std::format!("[a]\nciphers = PSK\n{keys}"))
        .remove(0)
        .tls;
    assert!(matches!(
        alone,
        Tls::KeyServer {
            certificates: None,
            ..
        }
    ));
    let both = made(&section("a", keys)).remove(0).tls;
    assert!(matches!(
        both,
        Tls::KeyServer {
            certificates: Some(_),
            ..
        }
    ));
    let client = made(&std::format!("client = yes\n[a]\n{keys}"))
        .remove(0)
        .tls;
    assert_eq!(client.mode(), Mode::Client);
    assert!(matches!(client, Tls::KeyClient { .. }));
}

#[test]
fn authorities_and_lists_that_cannot_be_read_are_errors() {
    let verify = "accept = 1\nconnect = 80\nverifyChain = yes\n";
    let text = section("a", &std::format!("{verify}CAfile = /junk.pem\n"));
    refused(&text, &ground(false), &["/c.conf:7:", "/junk.pem"]);
    let text = section(
        "a",
        &std::format!("{verify}CAfile = /cert.pem\nCRLfile = /junk.pem\n"),
    );
    refused(&text, &ground(false), &["/c.conf:8:", "/junk.pem"]);
}

#[test]
fn services_that_ask_for_certificates_say_so() {
    let text = section(
        "a",
        "accept = 1\nconnect = 80\nverifyChain = yes\nCAfile = /cert.pem\n",
    ) + &section("b", "accept = 2\nconnect = 80\n");
    let services = made(&text);
    assert!(services[0].asks_clients && !services[1].asks_clients);
    let needs = crate::service::needs(&services);
    assert!(needs.peer_certificates);
    assert_eq!(needs.kept_sessions, 2000);
}

#[test]
fn virtual_services_are_found_by_their_primary() {
    let text = section("main", "accept = 443\nconnect = 80\n")
        + &section("blue", "sni = main:blue.example\nconnect = 81\n")
        + &section("green", "sni = main:*.green.example\nconnect = 82\n");
    let services = made(&text);
    let found = |name| {
        services[0]
            .virtual_host(Some(name), &[])
            .map(|host| host.service)
    };
    assert_eq!(found("blue.example"), Some(1));
    assert_eq!(found("x.GREEN.example"), Some(2));
    assert_eq!(found("red.example"), None);
    assert!(services[1].listeners.is_empty());
}

#[test]
fn a_redirect_is_another_backend() {
    let text = section(
        "a",
        "accept = 1\nconnect = 80\nverifyChain = yes\nCAfile = /cert.pem\nredirect = 10.0.0.9:81\n",
    );
    let service = made(&text).remove(0);
    assert_eq!(service.backend_for(false).to_string(), "localhost:80");
    assert_eq!(service.backend_for(true).to_string(), "10.0.0.9:81");
}
