//! Mail: exim and dovecot behind the tunnel and before it.

use std::io;

use stockade_tests::certificates::Identity;
use stockade_tests::peers::Place;
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene};
use stockade_tests::tools;

/// A mail server that delivers to a folder.
struct Exim {
    place: Place,
    port: u16,
    _daemon: Daemon,
}

impl Exim {
    fn start() -> Exim {
        let place = Place::new();
        for folder in ["var/spool/exim4", "var/log/exim4", "var/mail"] {
            place.folder(folder);
        }
        place.etc("exim4/exim4.conf", include_str!("exim.conf"));
        let port = ports::next();
        let mut command = place.command("exim4");
        command.args(["-bdf", "-oX", &port.to_string(), "-d-all+receive"]);
        let daemon = place.serve(&mut command, port);
        Exim {
            place,
            port,
            _daemon: daemon,
        }
    }
}

/// curl finds a certificate for the right name behind STARTTLS, and its mail arrives.
pub fn delivery_with_curl(kind: Kind) {
    let scene = Scene::new(kind);
    let identity = Identity::ecdsa();
    let certificate = scene
        .files
        .add("cert.pem", identity.chain.clone() + &identity.key);
    let authority = scene.files.add("ca.pem", &identity.authority);
    let exim = Exim::start();
    let front = scene.subject(ports::next());
    let _subject = scene.start(&format!(
        "{GLOBALS}[smtp]\nprotocol = smtp\naccept = {}\nconnect = {}:{}\ncert = {certificate}\n",
        front.port(),
        scene.host(),
        exim.port,
    ));
    let mut command = tools::curl(front, authority.as_ref());
    command.args(["--ssl-reqd", "--mail-from", "sender@client.example"]);
    command.args(["--mail-rcpt", "user@peer.example", "--upload-file", "-"]);
    command.arg(format!("smtp://localhost:{}/client.example", front.port()));
    let mail = io::Cursor::new("Subject: one\r\n\r\nHello.\r\n");
    exim.place.run(&mut command, mail).succeeded();
}
