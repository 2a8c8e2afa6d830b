//! Where connections come from and go to.

use std::net::TcpStream;

use super::super::probes::{hello, served, shake, yes};
use super::super::{REFUSED, Row};
use super::{client, row, server};

pub fn endpoints() -> Vec<Row> {
    vec![
        row("accept", "a port", server!(""), served, "served", REFUSED),
        row(
            "connect",
            "an address",
            server!(""),
            served,
            "served",
            REFUSED,
        ),
        row(
            "client",
            "TLS towards the backend",
            client!("cert = {dir}/server.pem"),
            |stage| {
                let version = shake(stage, &[]).version().to_owned();
                yes(version.starts_with("TLS"), "accepts TLS", "dials TLS")
            },
            "dials TLS",
            "accepts TLS",
        ),
        row(
            "failover",
            "rr",
            "[tested]\naccept = {port}\nconnect = {backend}\nconnect = {second}\n\
             cert = {dir}/server.pem\nfailover = rr\n",
            |stage| {
                for _ in 0..4 {
                    assert!(shake(stage, &[]).is_served());
                }
                let counts = [&stage.backend, &stage.second].map(|backend| backend.records().len());
                yes(counts == [2, 2], "both in turn", "the first")
            },
            "both in turn",
            "the first",
        ),
        row(
            "sni",
            "client",
            client!("sni = other.example"),
            |stage| {
                let name = hello(stage).server_name;
                yes(
                    name.as_deref() == Some("other.example"),
                    "the name",
                    "another",
                )
            },
            "the name",
            "another",
        ),
        row(
            "sni",
            "server",
            "[main]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.pem\n\
             [tested]\nsni = main:*.wild.example\nconnect = {second}\ncert = {dir}/good.pem\n",
            |stage| {
                let shake = shake(stage, &["-servername", "a.b.WILD.example"]);
                shake.common_name().to_owned()
            },
            "good",
            REFUSED,
        ),
        row(
            "redirect",
            "for clients without a certificate",
            server!("CAfile = {dir}/ca.pem\nverifyChain = yes\nredirect = {second}"),
            |stage| {
                let served = served(stage);
                let redirected =
                    stage.second.records().len() == 1 && stage.backend.records().is_empty();
                yes(redirected, "redirected", &served)
            },
            "redirected",
            "not served",
        ),
        row(
            "include",
            "a folder with a section",
            "include = {dir}/conf.d\n[main]\naccept = {other}\nconnect = {backend}\n\
             cert = {dir}/server.pem\n",
            |stage| yes(TcpStream::connect(stage.port).is_ok(), "there", "not there"),
            "there",
            "not there",
        ),
    ]
}
