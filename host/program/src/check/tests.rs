//! What `stockade check` says.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use stockade_host::conf;

use super::*;
use crate::cli::Net;

/// A configuration file of this test's own, removed at its end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let name = format!("stockade-check-{name}-{}.conf", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        File(path)
    }

    /// What the check says, with `FILE` for the file's path.
    fn judge(&self, words: &[&str]) -> (String, String) {
        let options = Run {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Run::default()
        };
        let path = self.0.to_str().unwrap();
        let found = conf::find(path, Passphrases::Nobody);
        let verdict = judge(&options, found).unwrap();
        (
            verdict.told.replace(path, "FILE"),
            verdict.errors.replace(path, "FILE"),
        )
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A listener that keeps its port, and the port.
fn taken() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn each_option_is_told_with_its_place_and_fate() {
    let (listener, port) = taken();
    drop(listener);
    let file = File::new(
        "fine",
        &format!(
            "; a client\nclient = yes\npid = /run/stunnel.pid\nchroot = /var/lib/stunnel\n[redis]\n\
             accept = 127.0.0.1:{port}\nCONNECT = peer:6379\n"
        ),
    );
    let (told, errors) = file.judge(&[]);
    assert_eq!(errors, "");
    let wide = "accept = 127.0.0.1:".len() + port.to_string().len();
    let row = |place: &str, option: String, fate: &str| {
        let width = wide.max("chroot = /var/lib/stunnel".len());
        format!("FILE:{place}  {option:width$}  {fate}\n")
    };
    let expect = [
        row("2         ", "client = yes".into(), "honoured"),
        row("3         ", "pid = /run/stunnel.pid".into(), "honoured"),
        row(
            "4         ",
            "chroot = /var/lib/stunnel".into(),
            "accepted without effect: an image has no users, no other processes and no directories",
        ),
        row(
            "6  [redis]",
            format!("accept = 127.0.0.1:{port}"),
            "honoured",
        ),
        row("7  [redis]", "connect = peer:6379".into(), "honoured"),
    ];
    // The place's column is as wide as the path; "FILE" stands for it here.
    let told = told.lines().map(|line| line.to_owned() + "\n");
    let table: String = told.clone().take(5).collect();
    assert_eq!(table, expect.concat());
    let rest: String = told.skip(5).collect();
    assert_eq!(
        rest,
        "\
5 options: 4 honoured, 1 accepted without effect, 0 refused

FILE:5: warning: Service [redis] needs authentication to prevent MITM attacks
"
    );
}

#[test]
fn every_error_is_told_at_once_in_stunnel_s_words() {
    let file = File::new(
        "wrong",
        "client = yes\n[a]\nnonsense\naccept = 1111\nconnect = 1\nengineId = x\n[b]\nconnect = 2\n",
    );
    let (_, errors) = file.judge(&[]);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 4, "{errors}");
    assert_eq!(lines[0], "FILE:3: \"nonsense\": No '=' found");
    assert!(lines[1].starts_with("FILE:6: "), "{errors}");
    assert!(
        lines[2].contains("Each service must define two endpoints"),
        "{errors}"
    );
    assert_eq!(lines[3], "Configuration failed");
}

#[test]
fn a_busy_port_is_a_warning_since_stunnel_may_still_run() {
    let (_listener, port) = taken();
    let text = format!("client = yes\n[a]\naccept = 127.0.0.1:{port}\nconnect = peer:1\n");
    let (told, errors) = File::new("busy", &text).judge(&[]);
    assert_eq!(errors, "");
    let warning = format!(
        "FILE:3: warning: Binding service [a] to 127.0.0.1:{port}: Address already in use (98)"
    );
    assert!(told.contains(&warning), "{told}");
}

#[test]
fn the_network_s_errors_are_told_too() {
    let text = "client = yes\n[a]\naccept = localhost:1111\nconnect = peer:1\n";
    let (_, errors) = File::new("tap", text).judge(&["--ipv4=10.0.0.2/24"]);
    assert!(
        errors.starts_with("FILE:3: accept = localhost:1111: localhost is the host's loopback"),
        "{errors}"
    );
    assert!(errors.ends_with("\nConfiguration failed\n"), "{errors}");
}

#[test]
fn an_option_that_an_error_is_about_is_not_called_honoured() {
    let text = "[a]\naccept = localhost:1111\nconnect = 1\ncert = /no/such/file.pem\n";
    let (told, errors) = File::new("blamed", text).judge(&[]);
    assert!(
        told.contains("cert = /no/such/file.pem  refused: see below\n"),
        "{told}"
    );
    assert!(
        told.ends_with("3 options: 2 honoured, 0 accepted without effect, 1 refused\n"),
        "{told}"
    );
    assert_eq!(
        errors,
        "FILE:4: Service [a]: Failed to initialize TLS context: /no/such/file.pem: No such file \
         or directory\nConfiguration failed\n"
    );
}

#[test]
fn options_beside_the_file_that_it_replaces_are_errors() {
    let text = "client = yes\n[a]\naccept = localhost:1111\nconnect = peer:1\n";
    let (_, errors) = File::new("beside", text).judge(&["--accept=443"]);
    assert!(errors.contains("--accept"), "{errors}");
    assert!(errors.ends_with("\nConfiguration failed\n"), "{errors}");
}

/// The command line of a run with these words on this network.
fn line_of(file: &File, net: Net) -> String {
    let path = file.0.to_str().unwrap();
    let found = conf::find(path, Passphrases::Nobody);
    let conf = Conf {
        path: found.path.clone(),
        word: conf::word(&found).unwrap(),
        configuration: found.examination.configuration.unwrap(),
        recording: Arc::new(found.recording),
    };
    let options = Run::default();
    let plan = Plan::new(&options, net, None, None, Some(conf)).unwrap();
    plan.line.to_string()
}

#[test]
fn only_the_rootless_network_publishes_on_the_host() {
    let text = "client = yes\n[a]\naccept = localhost:1111\nconnect = peer:1\n";
    let file = File::new("line", text);
    let network = stockade_host::network::options();
    assert!(network.contains(" --published"));
    assert_eq!(
        line_of(&file, Net::Rootless),
        format!("{network} --conf=file:conf/0")
    );
    assert_eq!(
        line_of(&file, Net::Tap("tap0".to_owned())),
        "--conf=file:conf/0"
    );
}
