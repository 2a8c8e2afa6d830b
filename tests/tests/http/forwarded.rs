//! What backends are told of a client, and that nobody else can tell it.

use std::net::SocketAddr;

use stockade_tests::peers::web::{self, Clients, Web};
use stockade_tests::stunnel::ports;

use crate::setting::{Kind, Setting, WWW};

/// What a client would have a backend believe.
const FORGED: [&str; 12] = [
    "X-Forwarded-For: 192.0.2.66",
    "x-forwarded-for: 192.0.2.67",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Port: 66",
    "X-Forwarded-Server: evil.example",
    "X-Forwarded-Ssl: off",
    "Forwarded: for=192.0.2.66;proto=http;host=evil.example",
    "X-Real-IP: 192.0.2.66",
    "X_Forwarded_For: 192.0.2.66",
    "X_Forwarded_Proto: http",
    "Connection: keep-alive, X-Forwarded-For, X-Forwarded-Proto, Forwarded",
];

/// Fields, and what is told by each of a client at this address.
fn told(client: &str) -> [(&'static str, String); 7] {
    let forwarded = format!("for={client};proto=https;host={WWW}");
    [
        ("X-Forwarded-For", client.to_owned()),
        ("X-Forwarded-Proto", "https".to_owned()),
        ("X-Forwarded-Host", WWW.to_owned()),
        ("Forwarded", forwarded),
        ("X-Forwarded-Port", String::new()),
        ("X-Forwarded-Server", String::new()),
        ("X-Real-IP", String::new()),
    ]
}

/// curl's words with these fields.
fn words<'a>(fields: &[&'a str]) -> Vec<&'a str> {
    fields
        .iter()
        .flat_map(|field| ["--header", field])
        .collect()
}

#[test]
fn nginx_is_told_the_truth() {
    let setting = Setting::new(Kind::Hosted);
    let backend = SocketAddr::new(setting.backends(), ports::next());
    let client = setting.backends().to_string();
    let expected = told(&client);
    let variable = |name: &str| format!("$http_{}", name.replace('-', "_").to_lowercase());
    let report: Vec<String> = expected.iter().map(|(name, _)| variable(name)).collect();
    // Those who read `_` as `-` would see the forged ones there.
    let lines = format!(
        "underscores_in_headers on; server {{ listen {backend}; return 200 \"{}\"; }}",
        report.join("|")
    );
    let _nginx = web::nginx(&lines, backend.port());
    let setting = setting.in_front_of(backend);
    let _tunnel = setting.start();
    let clients = Clients::new(setting.server(), &setting.authority.certificate());
    let url = format!("https://{WWW}/");
    let expected = expected.map(|(_, value)| value).join("|");
    assert_eq!(clients.fetched(&[url.as_str()]), expected);
    let words = [&[url.as_str()], &words(&FORGED)[..]].concat();
    assert_eq!(clients.fetched(&words), expected);
}

#[test]
fn apache_is_told_the_truth() {
    let setting = Setting::new(Kind::Hosted);
    let backend = SocketAddr::new(setting.backends(), ports::next());
    let client = setting.backends().to_string();
    let expected = told(&client);
    let report: Vec<String> = expected
        .iter()
        .map(|(name, _)| format!("%{{{name}}}i"))
        .collect();
    let lines = format!(
        "Listen {backend}\nLogFormat \"%U told {}\" told\nCustomLog /dev/stderr told\n",
        report.join("|")
    );
    let apache = Web::apache(&lines, &[("page", "a page of Apache's")], backend.port());
    let setting = setting.in_front_of(backend);
    let _tunnel = setting.start();
    let clients = Clients::new(setting.server(), &setting.authority.certificate());
    let url = format!("https://{WWW}/page");
    let words = [&[url.as_str()], &words(&FORGED)[..]].concat();
    assert_eq!(clients.fetched(&words), "a page of Apache's");
    let value = |value: String| {
        if value.is_empty() {
            "-".to_owned()
        } else {
            value
        }
    };
    let expected = expected.map(|(_, text)| value(text)).join("|");
    apache
        .daemon()
        .log
        .wait_for(&format!("/page told {expected}"));
}
