//! Options of `proxy`, and those of its machine, which socat's command line has no place for.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, ValueHint};
use stockade::{Listen, Remote};
use stockade_host::control::Name;
use stockade_host::network::Forward;

use super::{MAX_SECONDS, Machinery, seconds};

/// What is carried where, and who is trusted.
#[derive(Clone, Debug, Args)]
pub struct Proxy {
    /// Where programs connect to in the clear: unix:PATH[,mode=MODE][,user=USER][,group=GROUP], or
    /// [ADDR:]PORT, where ADDR is 127.0.0.1 if it is left out
    #[arg(long, value_name = "WHERE")]
    pub listen: Source,
    /// The server that speaks TLS [default: the environment's DEST_HOST and DEST_PORT]
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<Destination>,
    /// The certificate chain to show to servers that ask, PEM, with the own one first [default: the
    /// environment's CLIENT_CERT, else none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, PEM [default: the environment's CLIENT_KEY, else the
    /// certificate's file]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// The authorities that are trusted, PEM [default: the environment's CAFILE, else this system's
    /// authorities]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cafile: Option<PathBuf>,
    /// A directory of such files, named by their hashes (openssl-rehash(1))
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub capath: Option<PathBuf>,
    /// Whether the server's certificate is verified: 1, or 0 to trust whoever answers
    #[arg(long, value_name = "0|1", default_value = "1", value_parser = flag,
          action = ArgAction::Set)]
    pub verify: bool,
    /// The name that the server's certificate must have, among its DNS names or addresses, or as its
    /// common name; also the name that the server is asked for [default: the environment's DEST_CN,
    /// else the host of --connect]
    #[arg(long, value_name = "NAME")]
    pub commonname: Option<String>,
    /// Try the server's IPv4 addresses alone
    #[arg(long, conflicts_with = "ip6")]
    pub ip4: bool,
    /// Try the server's IPv6 addresses alone
    #[arg(long)]
    pub ip6: bool,
    /// Close a connection over which nothing has come for this long; 0: never
    #[arg(long, value_name = "SECONDS", default_value = "43200", value_parser = seconds)]
    pub idle: Duration,
    /// Once one direction has ended, let the other one go on without a byte for this long
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub half_close: Duration,
    /// Log to the end of this file instead of standard error; SIGUSR1 opens it again
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log_file: Option<PathBuf>,
    /// Log each connection
    #[arg(long)]
    pub debug: bool,
    /// What runs it.
    #[command(flatten)]
    pub hosting: Hosting,
}

/// What runs a proxy.
#[derive(Clone, Debug, Default, Args)]
pub struct Hosting {
    /// The status to end with on SIGTERM and SIGINT
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub exit_code: u8,
    /// How many seconds open connections have to end by themselves when the proxy is stopped
    /// [default: 5; under socat's name 0]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub drain: Option<Duration>,
    /// The name by which status, stop, reload and diagnose find it [default: that of the socket's file
    /// without its ending, else proxy]
    #[arg(long, value_name = "NAME")]
    pub name: Option<Name>,
    /// Write this process's number into a file while it runs
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pidfile: Option<PathBuf>,
    /// What boots.
    #[command(flatten)]
    pub machinery: Machinery,
}

/// Words of `socat`.
#[derive(Clone, Debug, Args)]
pub struct Socat {
    /// socat's options and two addresses; the second is OPENSSL:HOST:PORT
    #[arg(
        value_name = "WORD",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub words: Vec<OsString>,
}

/// Where programs connect to in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(pub Listen);

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        // As --publish, without the image's port, which nobody sees here.
        match format!("{text}:1").parse::<Forward>() {
            Ok(forward) => Ok(Source(forward.listen)),
            Err(error) => Err(match text.strip_prefix("unix:") {
                Some(_) => error.to_string().replace(":1\" is", "\" is"),
                None => "expected unix:PATH[,mode=MODE][,user=USER][,group=GROUP], such as \
                         unix:/run/db.sock,mode=0660, or [ADDR:]PORT, such as 127.0.0.1:3306"
                    .to_owned(),
            }),
        }
    }
}

/// The server that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination(pub Remote);

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Destination, String> {
        let expected = || "expected HOST:PORT, such as db.example:3306 or [::1]:3306".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        destination(host, port).ok_or_else(expected)
    }
}

/// A host, an IPv6 address with brackets or without, and a port.
pub(crate) fn destination(host: &str, port: &str) -> Option<Destination> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let is_address = bare.parse::<std::net::Ipv6Addr>().is_ok();
    if bare.is_empty() || (!is_address && bare.contains([':', '[', ']'])) {
        return None;
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some(Destination(Remote::new(bare, port)))
}

/// A TCP port with an address, for a link that has both.
pub(crate) const fn tcp(address: std::net::IpAddr, port: u16) -> Listen {
    Listen::Tcp(SocketAddr::new(address, port))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err("expected 0 or 1".to_owned()),
    }
}

/// Longest time that can be asked for.
pub(crate) const LONGEST: Duration = Duration::from_secs(MAX_SECONDS as u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_or_a_port() {
        let shown = |text: &str| text.parse::<Source>().map(|source| source.0.to_string());
        assert_eq!(shown("3306").as_deref(), Ok("127.0.0.1:3306"));
        assert_eq!(shown("0.0.0.0:3306").as_deref(), Ok("0.0.0.0:3306"));
        assert_eq!(shown("unix:/s,mode=0660").as_deref(), Ok("unix:/s"));
        for text in ["", "/s", "tcp:1", "1:2:3"] {
            let error = shown(text).unwrap_err();
            assert!(error.contains("unix:PATH"), "{error}");
        }
        let error = shown("unix:/s,user=no such user").unwrap_err();
        assert_eq!(
            error,
            "\"unix:/s,user=no such user\" is not a socket whose user this host knows, by name or number"
        );
    }

    #[test]
    fn a_destination_is_a_host_with_a_port() {
        let shown = |text: &str| text.parse::<Destination>().map(|to| to.0.to_string());
        for text in ["db.example:3306", "127.0.0.1:1", "[::1]:443"] {
            assert_eq!(shown(text).as_deref(), Ok(text));
        }
        assert_eq!(shown("::1:443").as_deref(), Ok("[::1]:443"));
        for text in [
            "",
            "db.example",
            ":1",
            "a:0",
            "a:b",
            "a:70000",
            "a:b:1",
            "[a]b:1",
            "a:+1",
        ] {
            assert!(shown(text).is_err(), "{text}");
        }
    }
}
