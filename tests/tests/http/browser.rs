//! A page in Chromium, of two hosts: nginx's, and Apache's.

use std::net::SocketAddr;

use stockade_tests::peers::web::{self, Clients, Web};
use stockade_tests::stunnel::ports;

use crate::setting::{Kind, Setting, WWW};
use crate::websocket;

/// The host whose backend is Apache.
const STATIC: &str = "static.example.org";

/// What the page says once all of it is there. Its frame is closed last, and it has not loaded before.
const PAGE: &str = r#"<!doctype html><html><head><title>A page</title>
<link rel="stylesheet" href="https://static.example.org/style.css">
</head><body><p id="styled">words</p><p id="posted"></p><p id="cookie"></p><p id="echoed"></p>
<p id="answered"></p><iframe id="frame"></iframe>
<script src="https://static.example.org/script.js"></script></body></html>
"#;

const STYLE: &str = "#styled { color: rgb(1, 2, 3); }\n";

const SCRIPT: &str = r#"
const frame = document.getElementById("frame").contentDocument;
frame.open();
const say = (id, text) => { document.getElementById(id).textContent = text; };
const echo = (message) => new Promise((resolve, reject) => {
  const socket = new WebSocket("wss://www.example.org/socket");
  socket.onopen = () => socket.send(message);
  socket.onmessage = (event) => { socket.close(4000, "enough"); socket.answer = event.data; };
  socket.onclose = (event) => resolve([socket.answer, event.code, event.wasClean]);
  socket.onerror = () => reject("the WebSocket failed");
});
(async () => {
  const colour = getComputedStyle(document.getElementById("styled")).color;
  say("styled", "styled " + colour);
  const answer = await fetch("/post", { method: "POST", body: "words of a script" });
  say("posted", answer.status + " " + await answer.text());
  say("cookie", document.cookie);
  const long = "0123456789".repeat(20000);
  const [text, code, clean] = await echo(long);
  say("echoed", "echoed " + text.length + " " + (text === long) + " " + code + " " + clean);
  const other = await fetch("https://static.example.org/style.css");
  say("answered", "answered " + (await other.text()).length);
})().catch((error) => say("answered", "failed: " + error)).finally(() => frame.close());
"#;

#[test]
fn a_page_of_two_hosts_is_whole() {
    let setting = Setting::new(Kind::Hosted);
    let clients = Clients::new(setting.server(), &setting.authority.certificate());
    if !clients.have_browser() {
        println!("skipped: this system has no chromium-headless-shell among its packages");
        return;
    }
    let [www, other, echo] = [(); 3].map(|()| SocketAddr::new(setting.backends(), ports::next()));
    let lines = format!(
        "server {{ listen {www}; server_name {WWW}; absolute_redirect off;\n\
         location = / {{ add_header Set-Cookie \"flavour=oats; Secure; Path=/\"; \
         return 302 /page; }}\n\
         location = /page {{ default_type text/html; alias {{page}}; }}\n\
         location = /post {{ proxy_method GET; proxy_pass_request_body off; \
         proxy_set_header Content-Length \"\"; proxy_set_header X-Said $request_body; \
         client_body_in_single_buffer on; proxy_pass http://{www}/said; }}\n\
         location = /said {{ return 200 $http_x_said; }}\n{} }}",
        websocket::carried(echo)
    );
    let page = clients.place().add("page.html", PAGE);
    let _nginx = web::nginx(&lines.replace("{page}", &page), www.port());
    let lines = format!("Listen {other}\nHeader set Access-Control-Allow-Origin https://{WWW}\n");
    let files = [("style.css", STYLE), ("script.js", SCRIPT)];
    let _apache = Web::apache(&lines, &files, other.port());
    let _echo = Web::echo(echo);
    let setting = setting.host(WWW, www).host(STATIC, other);
    let _tunnel = setting.start();

    let dom = clients.browsed(&format!("https://{WWW}/"));
    for expected in [
        "<title>A page</title>".to_owned(),
        "styled rgb(1, 2, 3)".to_owned(),
        "200 words of a script".to_owned(),
        "flavour=oats".to_owned(),
        "echoed 200000 true 4000 true".to_owned(),
        format!("answered {}", STYLE.len()),
    ] {
        assert!(dom.contains(&expected), "{expected}: {dom}");
    }
}
