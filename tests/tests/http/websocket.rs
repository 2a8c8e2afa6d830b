//! WebSocket (RFC 6455): a real client and a real server, with nothing or nginx between tunnel and
//! server.

use std::net::SocketAddr;

use stockade_tests::peers::web::{self, Clients, Web};
use stockade_tests::stunnel::ports;

use crate::setting::{Kind, Setting, WWW};

/// Messages of one byte to a megabyte come back as they were sent, and either side may be the first
/// to say farewell.
fn echoes(setting: &Setting, server: &Web) {
    let clients = Clients::new(setting.server(), &setting.authority.certificate());
    let url = format!("wss://{WWW}/socket?a=b");
    let finished = clients.run(&mut clients.websocket(&url)).succeeded();
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert_eq!(said, "echoed 36\nclosed by the server: 4001 as you wish\n");
    let log = &server.daemon().log;
    log.wait_for("closed by the client: 4000 that is all");
}

fn straight(kind: Kind) {
    let setting = Setting::new(kind);
    let address = SocketAddr::new(setting.backends(), ports::next());
    let server = Web::echo(address);
    let setting = setting.in_front_of(address);
    let _tunnel = setting.start();
    echoes(&setting, &server);
}

#[test]
fn messages_are_echoed_before_a_process() {
    straight(Kind::Hosted);
}

#[test]
fn messages_are_echoed_before_the_image() {
    straight(Kind::Booted);
}

#[test]
fn messages_are_echoed_through_nginx() {
    let setting = Setting::new(Kind::Hosted);
    let [server, nginx] = [(); 2].map(|()| SocketAddr::new(setting.backends(), ports::next()));
    let echo = Web::echo(server);
    let lines = format!("server {{ listen {nginx}; {} }}", carried(server));
    let _nginx = web::nginx(&lines, nginx.port());
    let setting = setting.in_front_of(nginx);
    let _tunnel = setting.start();
    echoes(&setting, &echo);
}

/// nginx's lines for what it carries to a WebSocket server.
pub fn carried(server: SocketAddr) -> String {
    format!(
        "location /socket {{ proxy_pass http://{server}; proxy_http_version 1.1; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }}"
    )
}
