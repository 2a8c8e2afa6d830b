//! What one proxy is to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use stockade_host::network::{Families, Listen, UnixSocket};

use crate::{Error, Verification};

/// A server that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
}

/// Who this side is towards remotes that ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate chain, PEM, with the own certificate first.
    pub certificate: PathBuf,
    /// The private key, PEM; may be the same file.
    pub key: PathBuf,
}

/// What one proxy is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where TLS goes.
    pub remote: Remote,
    /// Where plaintext comes from.
    pub listen: Listen,
    /// How the remote's certificate is verified; `None`: anybody is trusted.
    pub verification: Option<Verification>,
    /// Which of the remote's addresses are tried. Proxies of one image have the same.
    pub families: Families,
    /// The name that the remote is asked for (SNI, RFC 6066 §3): the remote's host when `None`, and
    /// none at all when empty.
    pub server_name: Option<String>,
    /// The certificate to show.
    pub identity: Option<Identity>,
    /// A connection over which nothing comes for this long is closed; `None`: 12 hours.
    pub idle: Option<Duration>,
    /// Once one direction has ended, the other one has this long; `None`: a minute.
    pub half_close: Option<Duration>,
    /// Further options of stunnel(8) for this service, a line each: `sslVersion = TLSv1.2`.
    pub options: Vec<String>,
}

impl Remote {
    /// A server by its name, or its address, and its port.
    pub fn new(host: impl Into<String>, port: u16) -> Remote {
        let host = host.into();
        Remote { host, port }
    }
}

/// `example.org:443`, `[::1]:443`.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remote { host, port } = self;
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

impl Config {
    /// Carries what comes through the UNIX socket `path` to `remote`, and verifies it like this.
    pub fn new(
        remote: Remote,
        path: impl Into<PathBuf>,
        verification: Option<Verification>,
    ) -> Config {
        Config {
            remote,
            listen: Listen::Unix(UnixSocket::at(path)),
            verification,
            families: Families::default(),
            server_name: None,
            identity: None,
            idle: None,
            half_close: None,
            options: Vec::new(),
        }
    }

    /// The same with a path that nobody else knows: [`socket_path`](crate::socket_path).
    ///
    /// # Errors
    ///
    /// The system gives no entropy.
    pub fn with_new_socket(
        remote: Remote,
        verification: Option<Verification>,
    ) -> Result<Config, Error> {
        let path = crate::socket_path(&remote)?;
        Ok(Config::new(remote, path, verification))
    }

    /// This proxy as a service of a stunnel configuration, section line and all.
    ///
    /// # Errors
    ///
    /// A value can't stand in a file of lines.
    pub(crate) fn section(&self, name: &str) -> Result<String, Error> {
        let mut section = Section(format!("[{name}]\n"));
        section.line("client", "yes")?;
        match &self.listen {
            Listen::Tcp(address) => section.line("accept", &address.to_string())?,
            Listen::Unix(socket) => section.socket(&socket.path)?,
        }
        section.line("connect", &self.remote.to_string())?;
        let verification = self.verification.as_ref();
        let of_verification = || verification.and_then(|it| it.server_name.as_ref());
        if let Some(name) = self.server_name.as_ref().or_else(of_verification) {
            section.line("sni", name)?;
        }
        if let Some(verification) = &self.verification {
            verification.write(&self.remote.host, &mut section)?;
        }
        if let Some(identity) = &self.identity {
            section.path("cert", &identity.certificate)?;
            section.path("key", &identity.key)?;
            // A server of OpenSSL that names no session context, as socat's does not, refuses every
            // resumed handshake of a client that has a certificate (SSL_CTX_set_session_id_context(3)).
            section.line("sessionResume", "no")?;
        }
        for (option, time) in [
            ("TIMEOUTidle", self.idle),
            ("TIMEOUTclose", self.half_close),
        ] {
            if let Some(time) = time {
                section.line(option, &seconds(time).to_string())?;
            }
        }
        for line in &self.options {
            let (option, value) = line.split_once('=').ok_or_else(|| {
                Error::InvalidArgument(format!("{line:?} is no option: it has no `=`"))
            })?;
            section.line(option.trim(), value.trim())?;
        }
        Ok(section.0)
    }
}

/// Bytes of a socket's path at most (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// Whole seconds, as stunnel counts, and never less than asked for.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// The lines of one service.
pub(crate) struct Section(String);

impl Section {
    /// Adds an option.
    ///
    /// # Errors
    ///
    /// The value would not be read as it is: it has more than one line, or blanks around it.
    pub(crate) fn line(&mut self, option: &str, value: &str) -> Result<(), Error> {
        let is_odd = |text: &str| text.trim() != text || text.chars().any(char::is_control);
        if is_odd(option) || is_odd(value) {
            let text = format!("{option}: {value:?} has blanks at an end, or control characters");
            return Err(Error::InvalidArgument(text));
        }
        self.0 += &format!("{option} = {value}\n");
        Ok(())
    }

    /// Adds the socket that is listened on.
    ///
    /// # Errors
    ///
    /// As [`path`](Self::path); or it is too long for a socket.
    fn socket(&mut self, path: &std::path::Path) -> Result<(), Error> {
        let length = path.as_os_str().len();
        if length > MAX_SOCKET_PATH {
            let path = path.display();
            let text = format!("{path}: a socket's path has at most {MAX_SOCKET_PATH} bytes");
            return Err(Error::InvalidArgument(text));
        }
        self.path("accept", path)
    }

    /// Adds an option that is a path, as an absolute one.
    ///
    /// # Errors
    ///
    /// As [`line`](Self::line); or the path is empty or no UTF-8 text.
    pub(crate) fn path(&mut self, option: &str, path: &std::path::Path) -> Result<(), Error> {
        let odd = |why: &dyn fmt::Display| {
            Error::InvalidArgument(format!("{option}: {}: {why}", path.display()))
        };
        let path = std::path::absolute(path).map_err(|error| odd(&error))?;
        let text = path.to_str().ok_or_else(|| odd(&"no UTF-8 text"))?;
        self.line(option, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Check;

    #[test]
    fn a_proxy_is_a_service() {
        let mut config = Config::new(
            Remote::new("db.example", 3307),
            "/run/db.sock",
            Some(Verification::new(
                Check::Host(Some("db".to_owned())),
                "/etc/ca.pem",
            )),
        );
        config.idle = Some(Duration::from_millis(1_500));
        config.options = vec!["sslVersion=TLSv1.2".to_owned()];
        assert_eq!(
            config.section("db").unwrap(),
            "[db]\nclient = yes\naccept = /run/db.sock\nconnect = db.example:3307\n\
             CAfile = /etc/ca.pem\nverifyChain = yes\ncheckHost = db\nTIMEOUTidle = 2\n\
             sslVersion = TLSv1.2\n"
        );
    }

    #[test]
    fn who_shows_a_certificate_resumes_no_session() {
        let mut config = Config::new(Remote::new("a.example", 443), "/s", None);
        assert!(!config.section("x").unwrap().contains("sessionResume"));
        config.identity = Some(Identity {
            certificate: "/c.pem".into(),
            key: "/k.pem".into(),
        });
        let section = config.section("x").unwrap();
        assert!(
            section.contains("key = /k.pem\nsessionResume = no\n"),
            "{section}"
        );
    }

    #[test]
    fn addresses_of_ipv6_have_brackets() {
        assert_eq!(Remote::new("::1", 443).to_string(), "[::1]:443");
        assert_eq!(Remote::new("a.example", 443).to_string(), "a.example:443");
    }

    #[test]
    fn what_would_become_another_line_is_refused() {
        let config = |host: &str, option: &str| {
            let mut config = Config::new(Remote::new(host, 1), "/s", None);
            config.options = vec![option.to_owned()];
            config.section("x")
        };
        assert!(config("a", "delay = yes").is_ok());
        for (host, option) in [
            ("a\nexec = /bin/sh", "delay = yes"),
            ("a", "delay = yes\n[other]"),
            ("a", "delay"),
        ] {
            let refused = config(host, option);
            assert!(
                matches!(refused, Err(Error::InvalidArgument(_))),
                "{refused:?}"
            );
        }
    }
}
