//! OPENSSL (socat(1), "ADDRESS TYPES" and "OPENSSL option group").

use stockade::{Families, Listen};

use super::super::log::Level;
use super::super::wish::Wish;
use super::address::{Address, Choice};
use super::listen::{refuse, unknown};
use super::values::{flag, text, value};
use super::{port, words};
use crate::cli::{self, Destination};

/// Something to tell at the start.
type Notes = Vec<(Level, String)>;

/// Whether it is such an address.
pub(super) fn is_meant(address: &Address) -> bool {
    matches!(
        address.keyword.as_str(),
        "OPENSSL" | "OPENSSL-CONNECT" | "SSL" | "SSL-CONNECT"
    )
}

/// What it means for what comes from `listen`.
pub(super) fn read(address: &Address, listen: Listen) -> Result<(Wish, Notes), String> {
    let (host, service) = address.two()?;
    let port = port(service)?.to_string();
    let Destination(remote) = cli::destination(host, &port)
        .ok_or_else(|| format!("{}: \"{host}\" is no host", address.keyword))?;
    let mut wish = Wish::new(listen, remote);
    let mut notes = Notes::new();
    for option in &address.options {
        take(address, option, &mut wish, &mut notes)?;
    }
    if !wish.verify {
        let text = "verify=0: whoever answers is trusted".to_owned();
        notes.push((Level::Warning, text));
    }
    Ok((wish, notes))
}

fn take(
    address: &Address,
    option: &Choice,
    wish: &mut Wish,
    notes: &mut Notes,
) -> Result<(), String> {
    let mut nothing = || {
        let text = format!("option {} has no effect here", option.name);
        notes.push((Level::Info, text));
    };
    match option.name.as_str() {
        "certificate" | "cert" | "openssl-certificate" => {
            wish.certificate = Some(text(option)?.into());
        }
        "key" | "openssl-key" => wish.key = Some(text(option)?.into()),
        "cafile" | "openssl-cafile" => wish.authorities = Some(text(option)?.into()),
        "capath" | "openssl-capath" => wish.directory = Some(text(option)?.into()),
        "verify" | "openssl-verify" => wish.verify = flag(option)?,
        "commonname" | "cn" | "openssl-commonname" => wish.name = Some(text(option)?),
        "snihost" | "openssl-snihost" => wish.server_name = Some(text(option)?),
        "no-sni" | "nosni" | "openssl-no-sni" => {
            if flag(option)? {
                wish.server_name = Some(String::new());
            }
        }
        "cipher" | "ciphers" | "cipherlist" | "openssl-cipherlist" => {
            let list = text(option)?;
            wish.options.push(format!("ciphers = {list}"));
        }
        "min-version" | "openssl-min-proto-version" => match version(option)? {
            Some(version) => wish.options.push(format!("sslVersionMin = {version}")),
            None => nothing(),
        },
        "max-version" | "openssl-max-proto-version" => match version(option)? {
            Some(version) => wish.options.push(format!("sslVersionMax = {version}")),
            None => {
                return Err(refuse(
                    address,
                    option,
                    "TLS 1.2 is the lowest version here",
                ));
            }
        },
        "pf" | "protocol-family" => wish.families = families(option)?,
        "connect-timeout" => {
            let time = words::time("connect-timeout", value(option)?)?;
            let seconds = time.as_secs_f64().ceil().max(1.0);
            wish.options.push(format!("TIMEOUTconnect = {seconds}"));
        }
        "compress" | "openssl-compress" | "dhparam" | "dhparams" | "dh" | "openssl-dhparam"
        | "openssl-dhparams" | "egd" | "openssl-egd" | "pseudo" | "openssl-pseudo"
        | "keepalive" | "so-keepalive" | "keepidle" | "tcp-keepidle" | "keepintvl"
        | "tcp-keepintvl" | "keepcnt" | "tcp-keepcnt" | "nodelay" | "tcp-nodelay" | "reuseaddr"
        | "so-reuseaddr" | "cloexec" => {
            nothing();
        }
        "method" | "openssl-method" => {
            return Err(refuse(
                address,
                option,
                "use min-version=TLS1.2 and max-version",
            ));
        }
        "fips" | "openssl-fips" => {
            return Err(refuse(address, option, "there is no FIPS mode here"));
        }
        "retry" | "forever" | "interval" | "intervall" => {
            return Err(refuse(
                address,
                option,
                "a client whose connection can't be made sees an end of stream at once and may come again; \
                 leave it out",
            ));
        }
        "bind" | "sourceport" | "sp" | "lowport" => {
            return Err(refuse(
                address,
                option,
                "this host's system chooses the source address",
            ));
        }
        "fork" => {
            return Err(refuse(address, option, "say it of the listening address"));
        }
        "su" | "substuser" | "setuid" | "setgid" | "chroot" => {
            return Err(refuse(address, option, "start it as that user"));
        }
        "crnl" | "crlf" | "cr" | "ignoreeof" | "ignoreof" | "null-eof" | "readbytes" | "escape"
        | "shut-none" | "shut-down" | "shut-close" | "shut-null" | "end-close" => {
            return Err(refuse(
                address,
                option,
                "bytes and ends are passed on as they come",
            ));
        }
        _ => return Err(unknown(address, option)),
    }
    Ok(())
}

/// A version as stunnel calls it; none of those that are lower than what there is.
fn version(option: &Choice) -> Result<Option<&'static str>, String> {
    match value(option)?
        .to_ascii_uppercase()
        .trim_start_matches("TLS")
        .trim_start_matches('V')
    {
        "1.2" => Ok(Some("TLSv1.2")),
        "1.3" => Ok(Some("TLSv1.3")),
        "1" | "1.0" | "1.1" | "SSL2" | "SSL3" => Ok(None),
        _ => Err(format!(
            "option \"{}={}\": expected TLS1.2 or TLS1.3",
            option.name,
            value(option)?
        )),
    }
}

/// Address families as socat calls them.
pub(super) fn families(option: &Choice) -> Result<Families, String> {
    match value(option)?.to_ascii_lowercase().as_str() {
        "ip4" | "ipv4" | "inet" | "inet4" | "2" => Ok(Families::Ipv4),
        "ip6" | "ipv6" | "inet6" | "10" => Ok(Families::Ipv6),
        "ip" | "unspec" | "0" => Ok(Families::Both),
        other => Err(format!(
            "option \"{}={other}\": expected ip4 or ip6",
            option.name
        )),
    }
}
