//! Options of `keygen`, `add`, `remove` and `list`: the hosts of a certificate store.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, ValueHint};

use stockade_store::host::Mode;

use super::seconds;
use crate::hosts::{Place, Secret};
use crate::notify::Target;

/// The port of a backend, unless the address says another.
const BACKEND_PORT: u16 = 80;

/// Options of `keygen`.
#[derive(Clone, Debug, Args)]
pub struct Keygen {
    /// Tell the key of this seed instead of drawing one: ed25519:BASE64 as this command prints it, or
    /// any text of at least 16 characters, from which a key grows that is always the same.
    /// file:NAME reads it from a file, so that ps does not show it
    #[arg(long, value_name = "SEED|file:NAME")]
    pub seed: Option<Secret>,
}

/// Where the hosts are kept, and how to get there.
#[derive(Clone, Debug, Args)]
pub struct Repository {
    /// The Git repository: USER@HOST:PATH#BRANCH, ssh://USER@HOST[:PORT]/PATH#BRANCH, or a path or
    /// file://PATH#BRANCH on this host. Without #BRANCH it is main. One behind SSH is reached by this
    /// user's own ssh(1), with its keys, agent and known hosts (GIT_SSH_COMMAND and GIT_SSH count),
    /// unless --ssh-key is given
    #[arg(short, long, value_name = "REMOTE")]
    pub remote: Place,
    /// Reach it without ssh(1), by this key: ed25519:BASE64, or file:NAME with what keygen has printed
    #[arg(long, value_name = "ed25519:BASE64|file:NAME")]
    pub ssh_key: Option<Secret>,
    /// With --ssh-key: the key that the other machine has, "ssh-ed25519 AAAA…" or file:NAME, as
    /// `ssh-keyscan -t ed25519 HOST` prints it. Without it none is trusted, and the one there is is told
    #[arg(long, value_name = "KEY|file:NAME", requires = "ssh_key")]
    pub ssh_host_key: Option<Secret>,
    /// How long one conversation with the repository may take
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub timeout: Duration,
}

/// Whom to tell that the store has changed.
#[derive(Clone, Debug, Default, Args)]
pub struct Audience {
    /// What the image was given as --pass; file:NAME reads it from a file, so that ps does not show it
    #[arg(long, value_name = "TEXT|file:NAME", requires = "target")]
    pub pass: Option<Secret>,
    /// Where the running image is. It is told to look at the store at once, which it otherwise does
    /// within minutes, and what comes of it is printed [default port: 9418]
    #[arg(short, long, value_name = "ADDRESS[:PORT]", requires = "pass")]
    pub target: Option<Target>,
    /// Send the bare pass, for contruno and for an image with --legacy-reload: whoever listens can read it,
    /// and nothing is answered
    #[arg(long, requires = "target")]
    pub legacy: bool,
}

/// How a host's plaintext is carried.
#[derive(Clone, Debug, Default, Args)]
pub struct Carriage {
    /// Carry requests of HTTP/1.1 one by one, and tell the backend who asks (X-Forwarded-For, Forwarded);
    /// or bytes as they are, for backends that speak something else [default: as the image is told, which
    /// is http unless it was started with --mode=tcp]
    #[arg(long, value_name = "http|tcp", value_parser = mode)]
    pub mode: Option<Mode>,
    /// Tell browsers that they are to come by HTTPS alone for so long (Strict-Transport-Security); none
    /// takes it back, and 0 has browsers forget it
    #[arg(long, value_name = "SECONDS|none")]
    pub hsts: Option<Bound<u32>>,
    /// Answer requests with larger bodies by 413; none takes it back
    #[arg(long, value_name = "BYTES|none")]
    pub max_body: Option<Bound<u64>>,
}

/// A number, or the word none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<T>(pub Option<T>);

impl<T: FromStr> FromStr for Bound<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Bound<T>, String> {
        if text == "none" {
            return Ok(Bound(None));
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number);
        let number = number.ok_or("expected a number, or none")?;
        Ok(Bound(Some(number)))
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "http" => Ok(Mode::Http),
        "tcp" => Ok(Mode::Tcp),
        _ => Err("expected http or tcp".to_owned()),
    }
}

/// Options of `add`.
#[derive(Clone, Debug, Args)]
pub struct Add {
    /// The host's name, such as www.example.org
    #[arg(long, value_name = "NAME")]
    pub hostname: String,
    /// A further name of the same host, which its certificate is for, too; may be repeated. Those that
    /// are given take the place of those that the host had
    #[arg(long = "name", value_name = "NAME", action = ArgAction::Append)]
    pub names: Vec<String>,
    /// Where the host's plaintext goes: an address, with its port unless that is 80. A new host needs it
    #[arg(short, long, value_name = "ADDRESS[:PORT]")]
    pub ip: Option<Backend>,
    /// The certificate chain, PEM, the host's own first. Without one, a new host gets one that has
    /// expired already, and the image asks its authority for a real one
    #[arg(short, long, value_name = "FILE", requires = "private_key", value_hint = ValueHint::FilePath)]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(short, long, value_name = "FILE", requires = "cert", value_hint = ValueHint::FilePath)]
    pub private_key: Option<PathBuf>,
    /// What the backend speaks: h2 or http/1.1; may be repeated, or be a list with commas. The image
    /// does not translate: with h2 alone it carries bytes, to a backend that takes HTTP/2 in the clear
    /// (h2c) [default for a new host: http/1.1]
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',', action = ArgAction::Append)]
    pub alpn: Vec<Protocol>,
    /// How plaintext is carried.
    #[command(flatten)]
    pub carriage: Carriage,
    /// Let nobody but you replace the certificate: no authority is asked for another
    #[arg(long, conflicts_with = "renew")]
    pub no_renew: bool,
    /// Take --no-renew back
    #[arg(long)]
    pub renew: bool,
    /// With this the image encrypts private keys in the store (its --store-key): the key that is added
    /// is encrypted likewise. file:NAME reads it from a file
    #[arg(long, value_name = "TEXT|file:NAME")]
    pub store_key: Option<Secret>,
    /// Where the host is added.
    #[command(flatten)]
    pub repository: Repository,
    /// Who is told.
    #[command(flatten)]
    pub audience: Audience,
}

/// Options of `remove`.
#[derive(Clone, Debug, Args)]
pub struct Remove {
    /// The host's name, as list tells it
    #[arg(long, value_name = "NAME")]
    pub hostname: String,
    /// Where the host is removed.
    #[command(flatten)]
    pub repository: Repository,
    /// Who is told.
    #[command(flatten)]
    pub audience: Audience,
}

/// Options of `list`.
#[derive(Clone, Debug, Args)]
pub struct List {
    /// Where the hosts are.
    #[command(flatten)]
    pub repository: Repository,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// The words of contruno.add, and ours that it has no others for.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "contruno.add",
    disable_help_flag = true,
    infer_long_args = true,
    after_help = AFTER
)]
pub struct Contruno {
    /// The host's name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: String,
    /// The certificate chain, PEM [default: one that has expired, so that the image asks for a real one]
    #[arg(short, long, alias = "certificate", value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The certificate's private key, PEM; without a certificate it is not used
    #[arg(short, long, value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Where the host's plaintext goes
    #[arg(short, long, value_name = "ADDRESS[:PORT]")]
    pub ip: Backend,
    /// What the backend speaks: h2, http/1.1 or both, with a comma [default: both]
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',', action = ArgAction::Append)]
    pub alpn: Vec<Protocol>,
    /// How plaintext is carried.
    #[command(flatten)]
    pub carriage: Carriage,
    /// A further name of the same host; may be repeated
    #[arg(long = "name", value_name = "NAME", action = ArgAction::Append)]
    pub names: Vec<String>,
    /// Let nobody but you replace the certificate
    #[arg(long)]
    pub no_renew: bool,
    /// With this the image encrypts private keys in the store
    #[arg(long, value_name = "TEXT|file:NAME")]
    pub store_key: Option<Secret>,
    /// Where the host is added.
    #[command(flatten)]
    pub repository: Repository,
    /// Who is told.
    #[command(flatten)]
    pub audience: Audience,
    /// Without effect
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Without effect
    #[arg(short, long)]
    pub quiet: bool,
    /// Without effect
    #[arg(long, value_name = "LEVEL")]
    pub verbosity: Option<String>,
    /// Without effect
    #[arg(long, value_name = "WHEN")]
    pub color: Option<String>,
    /// Show this text
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
}

impl From<Contruno> for Add {
    fn from(options: Contruno) -> Add {
        // A key alone would be the placeholder's, which nobody connects to.
        let private_key = options.private_key.filter(|_| options.cert.is_some());
        Add {
            hostname: options.hostname,
            names: options.names,
            ip: Some(options.ip),
            cert: options.cert,
            private_key,
            alpn: options.alpn,
            carriage: options.carriage,
            no_renew: options.no_renew,
            renew: false,
            store_key: options.store_key,
            repository: options.repository,
            audience: options.audience,
        }
    }
}

/// What is not as with contruno's own program.
const AFTER: &str = "\
This is `stockade add` with contruno's words. What differs: a host that is there keeps its certificate unless
another is given, and what else its file says. The image is told by a notice that proves the pass and does not
show it; its answer is printed. contruno itself does not understand that, and is sent the bare pass only
with --legacy, which STOCKADE_OPTIONS=--legacy gives a script that is to stay as it is: sent unasked, the pass
would be anybody's who listens on that address. The other options that contruno's program does not have may
stand there, too.

The status is 0 when all was done, 1 when nothing was changed, 2 for words that are wrong, 5 when the store is
changed and the image could not be told or could not read it.";

/// A protocol inside TLS (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2.
    Http2,
    /// HTTP/1.1.
    Http1,
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Protocol, String> {
        match text.to_ascii_lowercase().as_str() {
            "h2" => Ok(Protocol::Http2),
            "http/1.1" => Ok(Protocol::Http1),
            _ => Err("expected h2 or http/1.1".to_owned()),
        }
    }
}

/// Where a host's plaintext goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Backend, String> {
        let (address, port) = with_port(text)
            .ok_or("expected an address, such as 10.0.0.3, 10.0.0.3:8080 or [2001:db8::3]:8080")?;
        if address.is_unspecified() || address.is_multicast() {
            return Err("nobody can be connected to there".to_owned());
        }
        Ok(Backend {
            address,
            port: port.unwrap_or(BACKEND_PORT),
        })
    }
}

/// An address, an IPv6 one with brackets or without, and the port behind it if there is one.
fn with_port(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse() {
        return Some((address, None));
    }
    let with_port: SocketAddr = text.parse().ok()?;
    (with_port.port() != 0).then_some((with_port.ip(), Some(with_port.port())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_an_address_and_perhaps_a_port() {
        for (text, address, port) in [
            ("10.0.0.3", "10.0.0.3", 80),
            ("10.0.0.3:40000", "10.0.0.3", 40_000),
            ("2001:db8::3", "2001:db8::3", 80),
            ("[2001:db8::3]", "2001:db8::3", 80),
            ("[2001:db8::3]:81", "2001:db8::3", 81),
        ] {
            let expected = Backend {
                address: address.parse().unwrap(),
                port,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "host",
            "host:80",
            "10.0.0.3:0",
            "10.0.0.3:",
            "10.0.0.3:65536",
            "0.0.0.0",
            "[::]:80",
            "224.0.0.1",
            "10.0.0",
        ] {
            assert!(text.parse::<Backend>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_protocol_is_one_of_two() {
        assert_eq!("H2".parse(), Ok(Protocol::Http2));
        assert_eq!("http/1.1".parse(), Ok(Protocol::Http1));
        assert!("h3".parse::<Protocol>().is_err());
    }
}
