//! What socat's command line asks for: a listening address, and OPENSSL.

use std::ffi::OsString;
use std::fs;

use clap::{Args, Command, FromArgMatches};
use stockade_host::network;

use self::address::Address;
use self::words::{Asks, Words};
use super::log::{Level, Style};
use super::{Order, SOCAT};
use crate::cli::Hosting;
use crate::{caller, stunnel};

mod address;
mod connect;
mod listen;
mod values;
mod words;

/// What the words ask for.
pub(super) enum Request {
    /// To serve.
    Serve(Box<Order>),
    /// To print this.
    Tell(String),
}

/// Why they are refused, and how that is to be logged.
pub(super) struct Refused {
    pub(super) style: Style,
    pub(super) text: String,
}

/// Reads the words, and the options that they have no place for.
///
/// # Errors
///
/// What is wrong or not supported.
pub(super) fn read(words: &[OsString], options: &str) -> Result<Request, Refused> {
    let words = Words::read(words).map_err(|(style, text)| Refused { style, text })?;
    if let Some(asks) = words.asks {
        return Ok(Request::Tell(answer(asks)));
    }
    let style = words.style.clone();
    match order(words, options) {
        Ok(order) => Ok(Request::Serve(Box::new(order))),
        Err(text) => Err(Refused { style, text }),
    }
}

fn order(words: Words, options: &str) -> Result<Order, String> {
    let hosting = hosting(options)?;
    let addresses = words.addresses.iter().map(|text| Address::read(text));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let [first, second] = addresses.as_slice() else {
        return Err("exactly 2 addresses required".to_owned());
    };
    if connect::is_meant(first) && listen::is_meant(second) {
        return Err(format!(
            "{} before {} is not supported: name the listening address first",
            first.keyword, second.keyword
        ));
    }
    for address in [first, second] {
        if let Some(text) = instead(address) {
            return Err(text);
        }
    }
    if !listen::is_meant(first) || !connect::is_meant(second) {
        let keywords = (&first.keyword, &second.keyword);
        return Err(format!(
            "{} with {} is not supported: the first address is UNIX-LISTEN:PATH or TCP-LISTEN:PORT, the \
             second OPENSSL:HOST:PORT",
            shown(keywords.0),
            shown(keywords.1)
        ));
    }
    let source = listen::read(first, words.prefers_ipv6)?;
    let (mut wish, mut notes) = connect::read(second, source.listen)?;
    wish.half_close = words.half_close;
    wish.idle = words.idle;
    // What can't be is found before anything is started.
    wish.config()?;
    let idle = words
        .without_effect
        .into_iter()
        .chain(source.without_effect);
    notes.extend(idle.map(|what| (Level::Info, format!("{what} has no effect here"))));
    for (option, time) in [("-t", Some(words.half_close)), ("-T", words.idle)] {
        if let Some(time) = time.filter(|time| time.subsec_nanos() > 0) {
            let text = format!("{option} {}: rounded up to a second", time.as_secs_f64());
            notes.push((Level::Info, text));
        }
    }
    Ok(Order {
        wish,
        drain: hosting.drain.unwrap_or_default(),
        hosting,
        style: words.style,
        once: !source.forks,
        notes,
    })
}

/// What to use instead of an address that this can't be; none of one that it can.
fn instead(address: &Address) -> Option<String> {
    let keyword = address.keyword.as_str();
    let advice = match keyword {
        "OPENSSL-LISTEN" | "SSL-L" | "SSL-LISTEN" | "OPENSSL-L" => {
            "a TLS server is what `stockade run --cert FILE --key FILE` and stunnel configurations are for"
        }
        "OPENSSL-DTLS-CLIENT"
        | "OPENSSL-DTLS-CONNECT"
        | "OPENSSL-DTLS-SERVER"
        | "OPENSSL-DTLS-LISTEN"
        | "DTLS" => "DTLS is not spoken here",
        "-" | "STDIO" | "STDIN" | "STDOUT" | "FD" => {
            "standard input and output can't be served; connect to a UNIX-LISTEN address"
        }
        "EXEC" | "SYSTEM" | "PTY" => "programs are not started here",
        "PROXY" | "SOCKS" | "SOCKS4" | "SOCKS4A" => {
            "a proxy on the way takes a stunnel configuration: protocol = connect or socks"
        }
        "ABSTRACT-LISTEN" | "ABSTRACT-L" => "a socket without a file is not supported; name a path",
        _ => return None,
    };
    Some(format!("{keyword} is not supported: {advice}"))
}

/// A keyword as a user knows it.
fn shown(keyword: &str) -> &str {
    match keyword {
        "" => "an address without a keyword",
        keyword => keyword,
    }
}

/// The options that socat's command line has no place for.
fn hosting(text: &str) -> Result<Hosting, String> {
    let command = Command::new(stunnel::OPTIONS_VARIABLE).no_binary_name(true);
    Hosting::augment_args(command)
        .try_get_matches_from(text.split_whitespace())
        .and_then(|matches| Hosting::from_arg_matches(&matches))
        .map_err(|error| format!("{}: {error}", stunnel::OPTIONS_VARIABLE))
}

/// The port of a number, or of a service's name as `/etc/services` has it.
fn port(text: &str) -> Result<u16, String> {
    if let Some(port) = values::port_number(text) {
        return Ok(port);
    }
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    values::service(&services, text).ok_or_else(|| {
        format!("\"{text}\" is neither a TCP port, 1 to 65535, nor a service's name")
    })
}

/// A user's number.
fn user(name: &str) -> Result<u32, String> {
    network::user(name).ok_or_else(|| format!("getpwnam(\"{name}\"): no such user"))
}

/// A group's number.
fn group(name: &str) -> Result<u32, String> {
    network::group(name).ok_or_else(|| format!("getgrnam(\"{name}\"): no such group"))
}

fn answer(asks: Asks) -> String {
    let version = caller::VERSION;
    match asks {
        Asks::Version => format!(
            "{SOCAT} version 1.7.4.4 is what these words are those of; this is Stockade {version}\n   \
             features:\n     #define WITH_UNIX 1\n     #define WITH_TCP 1\n     #define WITH_OPENSSL 1\n"
        ),
        Asks::Help => format!(
            "Stockade {version} in {SOCAT}'s place: plaintext in, TLS out\nUsage:\n\
             {SOCAT} [options] LISTEN-ADDRESS OPENSSL-ADDRESS\n{}",
            include_str!("socat/help.txt")
        ),
    }
}

#[cfg(test)]
mod tests;
