//! What only the host has: its UNIX sockets, and any free port of its own.

use config::stunnel::{HOST_SOCKETS, HostPorts};
use std::net::SocketAddr;

use super::*;

const TEXT: &str = "accept = /run/in\naccept = localhost:0\naccept = 8443\n\
                    connect = 10.0.0.9:80\nconnect = /run/out\n";

#[test]
fn on_the_launcher_s_network_ports_stand_for_them() {
    let text = section("a", TEXT);
    let service = &make(&text, &ground(true)).unwrap_or_else(|errors| panic!("{errors:?}"))[0];
    let ports: Vec<u16> = service.listeners.iter().map(|listen| listen.port).collect();
    assert_eq!(ports.len(), 3);
    assert_eq!(ports[2], 8443);
    let local = |port| SocketAddr::new(Ipv4Addr::new(10, 0, 2, 15).into(), port);
    let shown = ports
        .iter()
        .map(|port| service.shown(local(*port)).to_string());
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "localhost:/run/in",
            "any free port of the host",
            "10.0.2.15:8443"
        ]
    );

    let addresses = net::Addresses::default();
    let candidates: Vec<_> = service.backend.candidates(&addresses).collect();
    assert_eq!(candidates[1].address.ip(), HOST_SOCKETS);
    let shown = candidates
        .iter()
        .map(|one| service.backend.shown(one.address).to_string());
    assert_eq!(
        shown.collect::<Vec<_>>(),
        ["10.0.0.9:80", "localhost:/run/out"]
    );
    let names: Vec<_> = service.backend.names().collect();
    assert_eq!(names, ["10.0.0.9:80", "localhost:/run/out"]);
}

/// The host, which reads the file too, comes to the same ports.
#[test]
fn the_ports_are_those_that_the_host_computes() {
    let text = section("a", TEXT);
    let service = &make(&text, &ground(true)).unwrap_or_else(|errors| panic!("{errors:?}"))[0];
    let mut files = Memory(BTreeMap::from([
        ("/c.conf", text),
        ("/cert.pem", String::new()),
        ("/key.pem", String::new()),
    ]));
    let read = read("/c.conf", &mut files).unwrap_or_else(|errors| panic!("{errors}"));
    let ports = HostPorts::of(&read);
    assert_eq!(ports.accepted(0, 0), Some(service.listeners[0].port));
    assert_eq!(ports.accepted(0, 1), Some(service.listeners[1].port));
    let candidate = service
        .backend
        .candidates(&net::Addresses::default())
        .nth(1);
    assert_eq!(
        ports.dialled("/run/out"),
        candidate.map(|one| one.address.port())
    );
}

#[test]
fn on_other_networks_they_are_errors_that_say_what_to_do() {
    let alone = |lines: &str| section("a", lines);
    for (lines, line) in [
        ("accept = /run/in\nconnect = 1\n", "/c.conf:4:"),
        ("accept = 1\nconnect = /run/out\n", "/c.conf:5:"),
        ("accept = 0\nconnect = 1\n", "/c.conf:4:"),
    ] {
        refused(
            &alone(lines),
            &ground(false),
            &[line, "[a]", "rootless network"],
        );
    }
}

#[test]
fn one_path_leads_to_one_service() {
    let lines = "accept = /run/in\nconnect = 1\n";
    let text = section("a", lines) + &section("b", lines);
    refused(
        &text,
        &ground(true),
        &[
            "/c.conf:9:",
            "\"accept = /run/in\": Address already in use (98): service [a] accepts there",
        ],
    );
}
