//! Which ports and addresses a configuration's `accept` and `connect` mean.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use stockade_config::command_line;
use stockade_config::stunnel::{Configuration, Diagnostic, FileError, Files, HostPorts, read};
use stockade_config::{Config, Zeroizing};

use super::super::{
    Gateway, Publication, check_own_addresses, check_ports, check_routes, publication, routes,
};

use crate::network::Listen;

/// One file, in memory.
struct OneFile<'a>(&'a str);

impl Files for OneFile<'_> {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        match path {
            "off.conf" => Ok(Zeroizing::new(self.0.as_bytes().to_vec())),
            _ => Err(FileError::new("No such file or directory")),
        }
    }

    fn list(&mut self, _: &str) -> Result<Vec<String>, FileError> {
        Err(FileError::new("No such file or directory"))
    }
}

fn configuration(text: &str) -> Configuration {
    read("off.conf", &mut OneFile(text)).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Client services, for which no certificate is needed: a section for each, with these lines.
fn services(sections: &[&str]) -> Configuration {
    let mut text = "client = yes\n".to_owned();
    for (number, lines) in sections.iter().enumerate() {
        text += &format!("[s{number}]\nconnect = peer:443\n{lines}\n");
    }
    configuration(&text)
}

fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    match name {
        "localhost" => Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]),
        "two" => Ok(vec![
            Ipv4Addr::new(127, 0, 0, 2).into(),
            Ipv4Addr::new(127, 0, 0, 3).into(),
        ]),
        "six" => Ok(vec![Ipv6Addr::LOCALHOST.into()]),
        _ => Err(io::Error::other("Name or service not known")),
    }
}

fn ports(publication: &Publication) -> Vec<String> {
    let port = |port: &super::super::Published| format!("{} {}", port.forward, port.service);
    publication.ports.iter().map(port).collect()
}

fn lines(errors: &[Diagnostic]) -> Vec<String> {
    errors.iter().map(Diagnostic::to_string).collect()
}

/// What one section's `accept` lines publish.
fn check(sections: &[&str], expect: &[&str]) {
    let publication = publication(&services(sections), resolve).unwrap();
    assert_eq!(ports(&publication), expect, "{sections:?}");
}

/// The one error that these sections give.
fn refused(sections: &[&str]) -> String {
    let errors = publication(&services(sections), resolve).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors[0].to_string()
}

#[test]
fn a_port_alone_is_published_on_all_ipv4_addresses() {
    check(&["accept = 8443"], &["0.0.0.0:8443:8443 s0"]);
    check(&["accept = 0.0.0.0:8443"], &["0.0.0.0:8443:8443 s0"]);
}

#[test]
fn the_unspecified_ipv6_address_means_both_families() {
    check(
        &["accept = :::8443"],
        &["0.0.0.0:8443:8443 s0", "[::]:8443:8443 s0"],
    );
}

#[test]
fn a_host_is_published_on_its_own_addresses_alone() {
    check(
        &["accept = localhost:2323"],
        &["[::1]:2323:2323 s0", "127.0.0.1:2323:2323 s0"],
    );
    check(&["accept = six:2323"], &["[::1]:2323:2323 s0"]);
    check(&["accept = ::1:2323"], &["[::1]:2323:2323 s0"]);
    check(&["accept = 127.0.0.5:2323"], &["127.0.0.5:2323:2323 s0"]);
    check(
        &["accept = two:2323"],
        &["127.0.0.2:2323:2323 s0", "127.0.0.3:2323:2323 s0"],
    );
}

#[test]
fn several_services_and_accepts_are_published_in_their_order() {
    check(
        &[
            "accept = two:1111\naccept = 127.0.0.1:2222",
            "accept = 127.0.0.1:3333",
        ],
        &[
            "127.0.0.2:1111:1111 s0",
            "127.0.0.3:1111:1111 s0",
            "127.0.0.1:2222:2222 s0",
            "127.0.0.1:3333:3333 s1",
        ],
    );
}

#[test]
fn one_service_on_two_addresses_is_one_listener_of_the_image() {
    check(
        &["accept = 127.0.0.1:1111\naccept = 127.0.0.2:1111"],
        &["127.0.0.1:1111:1111 s0", "127.0.0.2:1111:1111 s0"],
    );
}

#[test]
fn what_all_addresses_cover_is_published_once() {
    check(
        &["accept = localhost:1111\naccept = 1111\naccept = 127.0.0.1:1111"],
        &["[::1]:1111:1111 s0", "0.0.0.0:1111:1111 s0"],
    );
}

#[test]
fn two_services_on_one_port_are_refused_with_both_places() {
    let error = refused(&["accept = 127.0.0.1:1111", "accept = 1111"]);
    assert_eq!(
        error,
        "off.conf:7: Binding service [s1] to 0.0.0.0:1111: Address already in use: service [s0] \
         accepts there (off.conf:4)"
    );
    let error = refused(&["accept = 127.0.0.1:1111", "accept = 127.0.0.2:1111"]);
    assert!(
        error.starts_with("off.conf:7: port 1111 of 127.0.0.2 is service [s1]'s"),
        "{error}"
    );
    // The image's services listen on both of its addresses.
    let error = refused(&["accept = 127.0.0.1:1111", "accept = ::1:1111"]);
    assert!(
        error.starts_with("off.conf:7: port 1111 of ::1 is service [s1]'s"),
        "{error}"
    );
}

#[test]
fn a_unix_socket_leads_to_a_port_that_stands_for_it() {
    let configuration = services(&["accept = /run/a\nsetuid = 0\nsetgid = root\nconnect = /run/b"]);
    let found = publication(&configuration, resolve).unwrap();
    let stand_in = HostPorts::of(&configuration);
    let forward = &found.ports[0].forward;
    assert_eq!(Some(forward.guest_port), stand_in.accepted(0, 0));
    let Listen::Unix(socket) = &forward.listen else {
        panic!("{forward:?}");
    };
    assert_eq!(socket.path.to_str(), Some("/run/a"));
    assert_eq!(
        (socket.mode, socket.user, socket.group),
        (None, Some(0), Some(0))
    );
    assert_eq!(found.sockets.len(), 1);
    assert_eq!(Some(found.sockets[0].port), stand_in.dialled("/run/b"));
    assert_eq!(found.sockets[0].path.to_str(), Some("/run/b"));
    assert_eq!(
        routes(&configuration, &found.ports, Gateway::UserNetwork, &[]),
        ["[s0]  plain from unix:/run/a, TLS to peer:443 or unix:/run/b"]
    );

    let error = refused(&["accept = /run/a\nsetuid = no such user"]);
    assert_eq!(
        error,
        "off.conf:5: \"setuid = no such user\": Illegal UID: this host knows no such one"
    );
    let error = refused(&["accept = /run/a", "accept = /run/a"]);
    assert_eq!(
        error,
        "off.conf:7: Binding service [s1] to localhost:/run/a: Address already in use: service [s0] \
         accepts there (off.conf:4)"
    );
}

#[test]
fn free_ports_are_each_their_own() {
    let configuration = services(&["accept = localhost:0", "accept = 127.0.0.1:0\naccept = 0"]);
    let found = publication(&configuration, resolve).unwrap();
    let listens: Vec<String> = found
        .ports
        .iter()
        .map(|port| port.forward.listen.to_string())
        .collect();
    assert_eq!(
        listens,
        ["[::1]:0", "127.0.0.1:0", "127.0.0.1:0", "0.0.0.0:0"]
    );
    let guest: Vec<u16> = found
        .ports
        .iter()
        .map(|port| port.forward.guest_port)
        .collect();
    // One `accept` is one listener of the image.
    assert_eq!(guest[0], guest[1]);
    assert!(guest[1] != guest[2] && guest[2] != guest[3] && guest[1] != guest[3]);
    assert_eq!(
        routes(&configuration, &found.ports, Gateway::UserNetwork, &[])[0],
        "[s0]  plain from any free port of ::1, any free port of 127.0.0.1, TLS to peer:443"
    );
}

#[test]
fn a_file_in_the_way_of_a_socket_is_named_with_its_line() {
    let file = std::env::temp_dir().join(format!("stockade-publish-{}", std::process::id()));
    std::fs::write(&file, "precious").unwrap();
    let text = format!("accept = {}", file.display());
    let found = publication(&services(&[&text]), resolve).unwrap();
    let problems = check_ports(&found.ports);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].busy);
    let error = problems[0].diagnostic.to_string();
    let expected = format!(
        "off.conf:4: Binding service [s0] to localhost:{}: Address already in use (98): there is a \
         file of that name that is no socket; remove it or choose another path",
        file.display()
    );
    assert_eq!(error, expected);
    assert_eq!(check_ports(&found.ports), []);
}

#[test]
fn on_a_tap_there_are_no_unix_sockets_and_no_free_ports() {
    let config = config("--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1");
    let wrong = services(&["accept = /run/a\nconnect = /run/b", "accept = 0"]);
    let errors = lines(&check_own_addresses(&wrong, &config));
    assert_eq!(errors.len(), 2);
    assert!(
        errors[0].starts_with("off.conf:4: accept = /run/a: UNIX sockets"),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("off.conf:8: accept = 0: any free port"),
        "{errors:?}"
    );
    let errors = lines(&check_routes(&wrong, Gateway::of(&config)));
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("off.conf:5: connect = /run/b: UNIX sockets")
            && errors[0].contains("without --net and --ipv4"),
        "{errors:?}"
    );
    assert_eq!(check_routes(&wrong, Gateway::UserNetwork), []);
}

#[test]
fn an_unknown_name_is_refused_with_its_place() {
    let error = refused(&["accept = nowhere:8443"]);
    assert_eq!(
        error,
        "off.conf:4: Error resolving \"nowhere\": Name or service not known"
    );
}

#[test]
fn every_error_is_told_at_once() {
    let sections = [
        "accept = nowhere:1",
        "accept = elsewhere:2",
        "accept = localhost:3",
    ];
    let errors = publication(&services(&sections), resolve).unwrap_err();
    assert_eq!(errors.len(), 2);
}

#[test]
fn a_busy_port_is_named_with_its_line() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!("accept = 127.0.0.1:{port}");
    let found = publication(&services(&[&text]), resolve).unwrap();
    let problems = check_ports(&found.ports);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].busy);
    let error = problems[0].diagnostic.to_string();
    assert!(
        error.starts_with(&format!(
            "off.conf:4: Binding service [s0] to 127.0.0.1:{port}: Address already in use (98); stop"
        )),
        "{error}"
    );
    drop(listener);
    assert_eq!(check_ports(&found.ports), []);
    // It was not left open.
    assert_eq!(check_ports(&found.ports), []);
}

#[test]
fn an_address_of_another_host_is_named_with_its_line() {
    // 192.0.2.0/24 is for documents (RFC 5737): no host has it.
    let found = publication(&services(&["accept = 192.0.2.1:4444"]), resolve).unwrap();
    let problems = check_ports(&found.ports);
    assert_eq!(problems.len(), 1);
    assert!(!problems[0].busy);
    let error = problems[0].diagnostic.to_string();
    assert!(error.contains("no interface of this host"), "{error}");
}

fn config(words: &str) -> Config {
    command_line::parse(&format!("{words} --conf=file:x")).unwrap()
}

#[test]
fn on_a_tap_only_the_image_s_own_addresses_are_accepted() {
    let fine = services(&[
        "accept = 1111\naccept = 10.0.0.2:2222",
        "accept = 0.0.0.0:3333\naccept = :::4444\naccept = 2001:db8::2:5555",
    ]);
    let config = config("--ipv4=10.0.0.2/24 --ipv6=2001:db8::2/64");
    assert_eq!(check_own_addresses(&fine, &config), []);

    let wrong = services(&[
        "accept = localhost:2323",
        "accept = 127.0.0.1:1",
        "accept = 10.0.0.3:4444",
        "accept = two:5555",
    ]);
    assert_eq!(
        lines(&check_own_addresses(&wrong, &config)),
        [
            "off.conf:4: accept = localhost:2323: localhost is the host's loopback, and the image has \
             10.0.0.2 and 2001:db8::2; write accept = 2323 for all of its addresses, or run without \
             --net and --ipv4: then this host's addresses count",
            "off.conf:7: accept = 127.0.0.1:1: 127.0.0.1 is the host's loopback, and the image has \
             10.0.0.2 and 2001:db8::2; write accept = 1 for all of its addresses, or run without \
             --net and --ipv4: then this host's addresses count",
            "off.conf:10: accept = 10.0.0.3:4444: the image's address is 10.0.0.2 and 2001:db8::2, not \
             10.0.0.3; write accept = 4444 for all of its addresses, or run without --net and --ipv4: \
             then this host's addresses count",
            "off.conf:13: accept = two:5555: two is not looked up for this; write the image's address, \
             10.0.0.2 and 2001:db8::2, or accept = 5555 for all of its addresses",
        ]
    );
}

#[test]
fn with_dhcp_the_image_checks_its_address_itself() {
    let some = services(&["accept = 10.0.0.3:4444"]);
    assert_eq!(check_own_addresses(&some, &config("--ipv4=dhcp")), []);
    let loopback = services(&["accept = localhost:4444"]);
    let errors = check_own_addresses(&loopback, &config("--ipv4=dhcp"));
    assert!(
        errors[0].text.contains("an address from DHCP"),
        "{errors:?}"
    );
}

#[test]
fn this_host_s_loopback_needs_a_gateway() {
    let text = "client = yes\n[s]\naccept = 1111\nconnect = 2222\nconnect = 127.0.0.1:3333\nconnect = peer:4\n";
    let configuration = configuration(text);
    let alone = config("--ipv4=10.0.0.2/24");
    assert_eq!(Gateway::of(&alone), Gateway::Missing);
    let errors = lines(&check_routes(&configuration, Gateway::Missing));
    assert_eq!(errors.len(), 2);
    assert!(
        errors[0].starts_with("off.conf:4: connect = 2222 means this host"),
        "{errors:?}"
    );
    assert!(errors[1].starts_with("off.conf:5: "), "{errors:?}");

    let routed = config("--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1");
    assert_eq!(
        Gateway::of(&routed),
        Gateway::Address(Ipv4Addr::new(10, 0, 0, 1).into())
    );
    assert_eq!(check_routes(&configuration, Gateway::of(&routed)), []);
}

#[test]
fn the_routes_say_where_each_service_leads() {
    let configuration = configuration(
        "client = yes\n[redis]\naccept = localhost:6380\nconnect = peer:6379\n\
         [b]\naccept = 1111\nconnect = 2222\n",
    );
    let found = publication(&configuration, resolve).unwrap();
    assert_eq!(
        routes(&configuration, &found.ports, Gateway::UserNetwork, &[]),
        [
            "[redis]  plain from [::1]:6380, 127.0.0.1:6380, TLS to peer:6379",
            "[b]      plain from 0.0.0.0:1111, TLS to 127.0.0.1:2222 of this host",
        ]
    );
    let gateway = Gateway::Address(Ipv4Addr::new(10, 0, 0, 1).into());
    assert_eq!(
        routes(&configuration, &[], gateway, &[])[1],
        "[b]      plain from port 1111 of its address, TLS to 10.0.0.1:2222, the gateway, which stands for localhost"
    );
    let own = [
        Ipv4Addr::new(10, 0, 0, 2).into(),
        Ipv6Addr::LOCALHOST.into(),
    ];
    assert!(
        routes(&configuration, &[], gateway, &own)[1]
            .contains("plain from 10.0.0.2:1111, [::1]:1111, TLS")
    );
}
