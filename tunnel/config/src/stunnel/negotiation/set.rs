//! What `protocol`, the options beside it, `alpn` and `acceptProxy` do with their values.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use zeroize::Zeroizing;

use super::{Network, Protocol};
use crate::stunnel::draft::{Draft, Given, Named};
use crate::stunnel::lines::{shown, trim};
use crate::stunnel::table::Taken;
use crate::stunnel::types::Origin;

/// Most protocols of `alpn` in a section: a ClientHello names a few.
const MAX_PROTOCOLS: usize = 64;
/// Most networks of `acceptProxy`, and headers of `protocolHeader`, in a section.
const MAX_VALUES: usize = 64;
/// Most bytes of a text that is sent.
const MAX_TEXT: usize = 1024;

/// What a section says of it.
#[derive(Clone, Default)]
pub(in crate::stunnel) struct Spoken {
    pub protocol: Option<Protocol>,
    pub host: Option<Named>,
    pub username: Option<Named>,
    pub password: Option<(Zeroizing<String>, Origin)>,
    pub authentication: Option<Named>,
    pub headers: Vec<Named>,
    pub alpn: Vec<Vec<u8>>,
    pub accept_proxy: Vec<Network>,
    /// Where `acceptProxy` stands, for messages.
    pub proxies_at: Option<Origin>,
}

type Outcome = Result<Taken, String>;

impl Protocol {
    /// Every protocol.
    pub const ALL: [Protocol; 10] = [
        Protocol::Connect,
        Protocol::Imap,
        Protocol::Ldap,
        Protocol::Nntp,
        Protocol::Pgsql,
        Protocol::Pop3,
        Protocol::Proxy,
        Protocol::Proxy2,
        Protocol::Smtp,
        Protocol::Socks,
    ];

    /// The name that `protocol` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Connect => "connect",
            Protocol::Imap => "imap",
            Protocol::Ldap => "ldap",
            Protocol::Nntp => "nntp",
            Protocol::Pgsql => "pgsql",
            Protocol::Pop3 => "pop3",
            Protocol::Proxy => "proxy",
            Protocol::Proxy2 => "proxy2",
            Protocol::Smtp => "smtp",
            Protocol::Socks => "socks",
        }
    }
}

/// What stunnel speaks and this does not.
const STRANGERS: [&str; 3] = ["capwin", "capwinctrl", "cifs"];

pub(in crate::stunnel) fn protocol(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let is = |name: &str| given.value.eq_ignore_ascii_case(name);
    if STRANGERS.into_iter().any(is) {
        return Ok(Taken::Refused(format!(
            "{} is not spoken here: use connect, imap, ldap, nntp, pgsql, pop3, proxy, proxy2, \
             smtp or socks",
            given.value
        )));
    }
    let found = Protocol::ALL.into_iter().find(|known| is(known.name()));
    draft.spoken.protocol = Some(found.ok_or("Protocol not supported")?);
    Ok(Taken::Honoured)
}

pub(in crate::stunnel) fn host(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let sound = |byte: u8| byte.is_ascii_graphic();
    if given.value.is_empty() || given.value.len() > MAX_TEXT || !given.value.bytes().all(sound) {
        return Err("protocolHost needs a host, such as mail.example:25".into());
    }
    draft.spoken.host = given.named();
    Ok(Taken::Honoured)
}

pub(in crate::stunnel) fn username(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    check_text(given)?;
    draft.spoken.username = given.named();
    Ok(Taken::Honoured)
}

pub(in crate::stunnel) fn password(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    check_text(given)?;
    let password = Zeroizing::new(String::from(given.value));
    let there = !password.is_empty();
    draft.spoken.password = there.then(|| (password, given.origin.clone()));
    Ok(Taken::Honoured)
}

/// No control character is ever part of a name, a password or a header.
fn check_text(given: &Given<'_>) -> Result<(), String> {
    if given.value.len() > MAX_TEXT {
        return Err(format!("{} is longer than {MAX_TEXT} bytes", given.option));
    }
    match given.value.chars().any(char::is_control) {
        true => Err(format!(
            "{} can't have control characters in it",
            given.option
        )),
        false => Ok(()),
    }
}

pub(in crate::stunnel) fn authentication(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let is = |name: &str| given.value.eq_ignore_ascii_case(name);
    if !["basic", "login", "ntlm", "plain"].into_iter().any(is) {
        return Err(
            "protocolAuthentication is basic (for connect), or plain or login (for smtp)".into(),
        );
    }
    draft.spoken.authentication = given.named();
    Ok(Taken::Honoured)
}

/// `NAME: VALUE` (RFC 9110 §5.1, §5.5).
pub(in crate::stunnel) fn header(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    check_text(given)?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let name = given.value.split_once(':').map(|(name, _)| name);
    if !name.is_some_and(|name| !name.is_empty() && name.bytes().all(token)) {
        return Err("protocolHeader needs a header, such as NAME: VALUE".into());
    }
    if draft.spoken.headers.len() >= MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    draft.spoken.headers.extend(given.named());
    Ok(Taken::Honoured)
}

/// `NAME[,NAME…]` (RFC 7301 §3.1: each 1 to 255 bytes long).
pub(in crate::stunnel) fn alpn(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    for name in given.value.split(',') {
        let name = trim(name);
        if !(1..=255).contains(&name.len()) {
            return Err(
                "alpn needs names of 1 to 255 bytes, such as h2,http/1.1 or postgresql".into(),
            );
        }
        let known = &mut draft.spoken.alpn;
        if known.iter().any(|known| known == name.as_bytes()) {
            continue;
        }
        if known.len() >= MAX_PROTOCOLS {
            return Err(format!("more than {MAX_PROTOCOLS} names"));
        }
        known.push(name.as_bytes().to_vec());
    }
    Ok(Taken::Honoured)
}

/// `ADDRESS[/PREFIX][, …]`
pub(in crate::stunnel) fn accept_proxy(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let mut anybody = false;
    for text in given.value.split(',') {
        let network = network(trim(text))?;
        anybody |= network.prefix == 0;
        if draft.spoken.accept_proxy.len() >= MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        draft.spoken.accept_proxy.push(network);
    }
    draft.spoken.proxies_at = Some(given.origin.clone());
    if anybody {
        let text = "whoever can connect may claim to be anybody";
        return Ok(Taken::Told(4, text.into()));
    }
    Ok(Taken::Honoured)
}

fn network(text: &str) -> Result<Network, String> {
    let expected = "expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24";
    if text.eq_ignore_ascii_case("yes") {
        return Err(format!(
            "acceptProxy needs the proxies' addresses, for whoever may send the header can claim \
             to be anybody: {expected}"
        ));
    }
    let wrong = || format!("acceptProxy: {:?}: {expected}", shown(text));
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    let address: IpAddr = bare.parse().map_err(|_| wrong())?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            digits.parse().map_err(|_| wrong())?
        }
        Some(_) => return Err(wrong()),
    };
    if prefix > bits {
        return Err(wrong());
    }
    Ok(Network::new(address, prefix))
}
