//! What a proxy is asked for, by either command line, and what the library makes of it.

use std::env;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stockade::{Check, Config, Families, Identity, Listen, Remote, Verification};

/// This system's authorities: where OpenSSL of Debian, Fedora, openSUSE, RHEL and Alpine has them.
const AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// As good as for ever: the longest time that stunnel's options take.
const FOREVER: Duration = Duration::from_secs(i32::MAX as u64);

/// What a proxy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Where plaintext comes from.
    pub(super) listen: Listen,
    /// Where TLS goes.
    pub(super) remote: Remote,
    /// The certificate chain to show.
    pub(super) certificate: Option<PathBuf>,
    /// Its key; the same file when `None`.
    pub(super) key: Option<PathBuf>,
    /// Authorities: a file.
    pub(super) authorities: Option<PathBuf>,
    /// Authorities: a directory.
    pub(super) directory: Option<PathBuf>,
    /// Whether the server's certificate is verified.
    pub(super) verify: bool,
    /// The name that it must have; the remote's host when `None`.
    pub(super) name: Option<String>,
    /// The name that the server is asked for; that of the certificate when `None`, and none at all when
    /// empty.
    pub(super) server_name: Option<String>,
    /// Which of the remote's addresses are tried.
    pub(super) families: Families,
    /// Without a byte; `None` or zero: for ever.
    pub(super) idle: Option<Duration>,
    /// From one direction's end on.
    pub(super) half_close: Duration,
    /// Further options of stunnel's.
    pub(super) options: Vec<String>,
}

impl Wish {
    /// To carry this to there, with every default.
    pub(super) fn new(listen: Listen, remote: Remote) -> Wish {
        Wish {
            listen,
            remote,
            certificate: None,
            key: None,
            authorities: None,
            directory: None,
            verify: true,
            name: None,
            server_name: None,
            families: Families::Both,
            idle: None,
            half_close: Duration::from_secs(60),
            options: Vec::new(),
        }
    }

    /// What the library is to do.
    ///
    /// # Errors
    ///
    /// What contradicts itself or is not there.
    pub(super) fn config(&self) -> Result<Config, String> {
        let remote = Remote::new(self.host()?, self.remote.port);
        let name = self.name.as_deref().unwrap_or(&self.remote.host);
        let mut config = Config::new(remote, "", None);
        config.listen = self.listen.clone();
        config.families = self.families;
        // Each connection looks the name up, as each of socat's processes does.
        config.options = vec!["delay = yes".to_owned()];
        if self.verify {
            config.verification = Some(self.verification(name, &mut config.options)?);
        }
        config.server_name = Some(match &self.server_name {
            Some(name) => name.clone(),
            None => server_name(name).to_owned(),
        });
        config.identity = match (&self.certificate, &self.key) {
            (Some(certificate), key) => Some(Identity {
                certificate: certificate.clone(),
                key: key.as_ref().unwrap_or(certificate).clone(),
            }),
            (None, Some(key)) => {
                let key = key.display();
                return Err(format!("there is a key, {key}, without a certificate"));
            }
            (None, None) => None,
        };
        config.idle = Some(self.idle.filter(|time| !time.is_zero()).unwrap_or(FOREVER));
        config.half_close = Some(self.half_close);
        config.options.extend(self.options.iter().cloned());
        Ok(config)
    }

    /// The host to connect to, of the families that are tried.
    fn host(&self) -> Result<&str, String> {
        let host = self.remote.host.as_str();
        let address: Option<IpAddr> = host.parse().ok();
        match (self.families, address.map(|address| address.is_ipv6())) {
            (families, Some(ipv6)) if !families.has(ipv6) => Err(format!(
                "{host} is an address of the family that is not to be used"
            )),
            // Its addresses are not looked up, so the one that is meant tells the family.
            (Families::Ipv4, None) if is_localhost(host) => Ok("127.0.0.1"),
            (Families::Ipv6, None) if is_localhost(host) => Ok("::1"),
            _ => Ok(host),
        }
    }

    fn verification(&self, name: &str, options: &mut Vec<String>) -> Result<Verification, String> {
        if name.parse::<IpAddr>().is_ok() {
            // A common name may be an address, too.
            options.push(format!("checkHost = {name}"));
        }
        let bundle = match (&self.authorities, &self.directory) {
            (Some(file), directory) => {
                if let Some(directory) = directory {
                    options.push(format!("CApath = {}", absolute(directory)?));
                }
                file.clone()
            }
            (None, Some(directory)) => directory.clone(),
            (None, None) => system_authorities()?,
        };
        let check = Check::Host(Some(name.to_owned()));
        Ok(Verification::new(check, bundle))
    }

    /// The files that are read, to see whether they change.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let named = [
            &self.certificate,
            &self.key,
            &self.authorities,
            &self.directory,
        ];
        named.into_iter().flatten().cloned().collect()
    }
}

/// The name to ask for: RFC 6066 §3 knows host names alone, and neither addresses nor other words that a
/// certificate may have for a common name.
fn server_name(name: &str) -> &str {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_known);
    let is_address = name.parse::<IpAddr>().is_ok();
    match !is_address && name.split('.').all(is_label) {
        true => name,
        false => "",
    }
}

fn is_localhost(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

fn absolute(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let path = std::path::absolute(path).map_err(|error| format!("{shown}: {error}"))?;
    path.into_os_string()
        .into_string()
        .map_err(|_| format!("{shown}: no UTF-8 text"))
}

/// Where this system keeps the authorities that it trusts.
fn system_authorities() -> Result<PathBuf, String> {
    // OpenSSL's own variable for it (openssl-env(7)).
    let named = env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty());
    let known = AUTHORITIES.iter().map(PathBuf::from);
    let mut places = named.into_iter().map(PathBuf::from).chain(known);
    places.find(|path| path.is_file()).ok_or_else(|| {
        "this system has no authorities to trust; name a file of them (cafile)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use stockade::UnixSocket;

    use super::*;

    fn wish(host: &str) -> Wish {
        let listen = Listen::Unix(UnixSocket::at("/run/db.sock"));
        let mut wish = Wish::new(listen, Remote::new(host, 3306));
        wish.authorities = Some("/ca.pem".into());
        wish
    }

    fn check_of(config: &Config) -> &Check {
        &config.verification.as_ref().unwrap().check
    }

    #[test]
    fn the_host_is_the_name_unless_another_is_given() {
        let config = wish("db.example").config().unwrap();
        assert_eq!(check_of(&config), &Check::Host(Some("db.example".into())));
        assert_eq!(config.server_name.as_deref(), Some("db.example"));
        let mut named = wish("db.example");
        named.name = Some("My Database".into());
        let config = named.config().unwrap();
        assert_eq!(check_of(&config), &Check::Host(Some("My Database".into())));
        assert_eq!(config.server_name.as_deref(), Some(""));
        assert_eq!(config.remote.host, "db.example");
    }

    #[test]
    fn an_address_may_be_a_common_name() {
        let config = wish("192.0.2.1").config().unwrap();
        assert!(config.options.contains(&"checkHost = 192.0.2.1".to_owned()));
        assert_eq!(config.server_name.as_deref(), Some(""));
    }

    #[test]
    fn nobody_is_trusted_unverified_unless_that_is_asked_for() {
        assert!(wish("a").config().unwrap().verification.is_some());
        let mut anybody = wish("a");
        anybody.verify = false;
        assert_eq!(anybody.config().unwrap().verification, None);
    }

    #[test]
    fn families_that_can_not_be_are_refused() {
        let mut one = wish("::1");
        one.families = Families::Ipv4;
        assert!(one.config().unwrap_err().contains("::1"));
        one.remote.host = "localhost".into();
        assert_eq!(one.config().unwrap().remote.host, "127.0.0.1");
        one.families = Families::Ipv6;
        assert_eq!(one.config().unwrap().remote.host, "::1");
    }

    #[test]
    fn a_certificate_s_file_may_hold_its_key() {
        let mut both = wish("a");
        both.certificate = Some("/me.pem".into());
        let identity = both.config().unwrap().identity.unwrap();
        assert_eq!(identity.key, identity.certificate);
        let mut key = wish("a");
        key.key = Some("/me.key".into());
        assert!(key.config().unwrap_err().contains("without a certificate"));
    }

    #[test]
    fn no_time_is_for_ever_when_idle() {
        let mut idle = wish("a");
        idle.idle = Some(Duration::ZERO);
        assert_eq!(idle.config().unwrap().idle, Some(FOREVER));
        idle.idle = Some(Duration::from_secs(50));
        assert_eq!(idle.config().unwrap().idle, idle.idle);
    }
}
