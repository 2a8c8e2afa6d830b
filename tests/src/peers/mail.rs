//! exim and dovecot with one mailbox.

use std::fs;
use std::net::Ipv4Addr;

use super::Place;
use crate::stunnel::authority::Pair;
use crate::stunnel::daemon::Daemon;
use crate::stunnel::ports;
use crate::{PATIENCE, wait_until};

/// Who has a mailbox.
pub const USER: &str = "user";
/// The user's password.
pub const PASSWORD: &str = "sesame";

/// What the servers offer by themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// No TLS: whoever is in front of them does that.
    Clear,
    /// STARTTLS; nothing else is taken without it.
    StartTls,
    /// The same, and no mail without SMTP's AUTH PLAIN.
    AuthPlain,
    /// The same with AUTH LOGIN.
    AuthLogin,
}

/// A server of mail, by every protocol. Ended when dropped.
pub struct Mail {
    /// SMTP: exim's.
    pub smtp: u16,
    /// IMAP: dovecot's.
    pub imap: u16,
    /// POP3: dovecot's.
    pub pop3: u16,
    // Ends before its place goes.
    _daemons: [Daemon; 2],
    place: Place,
}

impl Mail {
    /// Starts both servers at all addresses of this host, with this certificate.
    pub fn start(pair: &Pair, security: Security) -> Mail {
        let place = Place::new();
        for folder in [
            "var/mail",
            "var/spool/exim4",
            "var/log/exim4",
            "var/lib/dovecot",
            "run/dovecot",
        ] {
            place.folder(folder);
        }
        place.etc("tls/cert.pem", &pair.certificate);
        place.etc("tls/key.pem", &pair.key);
        let [smtp, imap, pop3] = [(); 3].map(|()| ports::next());
        Mail {
            smtp,
            imap,
            pop3,
            _daemons: [
                exim(&place, smtp, security),
                dovecot(&place, imap, pop3, security),
            ],
            place,
        }
    }

    /// The mailbox's text, once a mail with these words is there.
    pub fn delivered(&self, words: &str) -> String {
        let path = self.place.path(&format!("var/mail/{USER}"));
        let found = wait_until(PATIENCE, || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            text.contains(words).then_some(text)
        });
        found.unwrap_or_else(|| panic!("no mail with {words:?}; exim:\n{}", self.log()))
    }

    /// Whether there is no mail.
    pub fn is_empty(&self) -> bool {
        fs::read(self.place.path(&format!("var/mail/{USER}"))).is_err()
    }

    /// What exim has logged.
    pub fn log(&self) -> String {
        let log = self.place.path("var/log/exim4/mainlog");
        fs::read_to_string(log).unwrap_or_default()
    }
}

fn exim(place: &Place, port: u16, security: Security) -> Daemon {
    let (tls, required, mechanisms) = match security {
        Security::Clear => ("", "*", ""),
        Security::StartTls => ("*", "${if def:tls_in_cipher {*}}", ""),
        Security::AuthPlain => ("*", "", "PLAIN"),
        Security::AuthLogin => ("*", "", "LOGIN"),
    };
    let conf = include_str!("exim.conf")
        .replace("@TLS@", tls)
        .replace("@HOSTS@", required)
        .replace("@MECHANISM@", mechanisms)
        .replace("@USER@", USER)
        .replace("@PASSWORD@", PASSWORD);
    // Its usual file would have to be root's; this one is taken as a caller's own.
    let conf = place.etc("exim4/own.conf", conf);
    let mut command = place.command("exim4");
    command.args(["-C", &conf, "-bdf", "-oX", &port.to_string()]);
    place.serve(&mut command, port)
}

fn dovecot(place: &Place, imap: u16, pop3: u16, security: Security) -> Daemon {
    let ssl = if security == Security::Clear {
        "no"
    } else {
        "required"
    };
    let conf = include_str!("dovecot.conf")
        .replace("@SSL@", ssl)
        .replace("@IMAP@", &imap.to_string())
        .replace("@POP3@", &pop3.to_string())
        .replace("@PASSWORD@", PASSWORD);
    let conf = place.etc("dovecot/own.conf", conf);
    let mut command = place.command("dovecot");
    command.args(["-F", "-c", &conf]);
    let daemon = place.serve(&mut command, imap);
    let serves = wait_until(PATIENCE, || super::is_listened_on(pop3).then_some(()));
    assert!(serves.is_some(), "no POP3:\n{}", daemon.log.text());
    daemon
}

/// Sends a mail by exim itself: to the user, by this server, which must have this certificate for
/// its name.
pub struct Sender {
    place: Place,
    conf: String,
}

impl Sender {
    /// A sender that knows the way to `server`.
    pub fn new(authority: &str, server: (Ipv4Addr, u16)) -> Sender {
        let place = Place::new();
        for folder in ["var/spool/exim4", "var/log/exim4"] {
            place.folder(folder);
        }
        let authority = place.etc("tls/ca.pem", authority);
        let conf = include_str!("exim-sender.conf")
            .replace("@CA@", &authority)
            .replace("@HOST@", &server.0.to_string())
            .replace("@PORT@", &server.1.to_string());
        let conf = place.etc("exim4/own.conf", conf);
        Sender { place, conf }
    }

    /// Sends the mail; gives what exim has logged.
    pub fn send(&self, mail: &str) -> String {
        let mut command = self.place.command("exim4");
        let address = format!("{USER}@peer.example");
        command.args([
            "-C",
            &self.conf,
            "-odf",
            "-f",
            "sender@client.example",
            &address,
        ]);
        let input = std::io::Cursor::new(mail.to_owned());
        self.place.run(&mut command, input).succeeded();
        let log = self.place.path("var/log/exim4/mainlog");
        fs::read_to_string(log).unwrap_or_default()
    }
}
