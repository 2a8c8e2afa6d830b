//! Asking a proxy by SOCKS 5 (RFC 1928), with a password if there is one (RFC 1929).

use alloc::vec::Vec;

use config::Zeroizing;

use super::named;
use super::v5::{self, NO_AUTHENTICATION, VERSION};
use crate::dialect::{
    About, Destination, Dialect, End, Ends, Fault, Host, Progress, Setup, Stage, Wire,
};

/// The method of RFC 1929, and the version of its messages.
const PASSWORD: u8 = 2;
const PASSWORD_VERSION: u8 = 1;

/// Longest text behind a byte that tells its length.
const MAX_TEXT: usize = 255;

pub(super) struct Client {
    /// `protocolHost`.
    destination: Option<Destination>,
    /// The message of RFC 1929, if there is a user: `Err` if it can't be made.
    login: Option<Result<Zeroizing<Vec<u8>>, Fault>>,
    step: Step,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Methods,
    Method,
    Login,
    Answer,
}

impl Client {
    pub(super) fn new(setup: &Setup) -> Client {
        let login = setup.username.as_deref().map(|username| {
            let password = setup.password.as_ref().map_or("", |text| text.as_str());
            login(username, password)
        });
        Client {
            destination: setup.host.as_deref().and_then(destination),
            login,
            step: Step::Methods,
        }
    }

    /// One step. `None` while its bytes are not there.
    fn step(&mut self, proxy: &mut Wire<'_>) -> Result<Option<Step>, Fault> {
        match self.step {
            Step::Methods => {
                if let Some(Err(fault)) = &self.login {
                    return Err(fault.clone());
                }
                match self.login {
                    Some(_) => proxy.send(&[VERSION, 2, NO_AUTHENTICATION, PASSWORD]),
                    None => proxy.send(&[VERSION, 1, NO_AUTHENTICATION]),
                }
                Ok(Some(Step::Method))
            }
            Step::Method => {
                let Some([version, method]) = proxy.take_array() else {
                    return Ok(None);
                };
                check_version(version, VERSION)?;
                match (method, self.login.take()) {
                    (NO_AUTHENTICATION, _) => self.ask(proxy),
                    (PASSWORD, Some(Ok(login))) => {
                        proxy.send(&login);
                        Ok(Some(Step::Login))
                    }
                    _ => Err(Fault::with(
                        End::Backend,
                        "No supported SOCKS5 authentication method received",
                        &[method],
                    )),
                }
            }
            Step::Login => {
                let Some([version, status]) = proxy.take_array() else {
                    return Ok(None);
                };
                check_version(version, PASSWORD_VERSION)?;
                match status {
                    0 => self.ask(proxy),
                    _ => Err(Fault::new(End::Backend, "SOCKS5 authentication failed")),
                }
            }
            Step::Answer => Ok(None),
        }
    }

    /// The request itself (RFC 1928 §4).
    fn ask(&mut self, proxy: &mut Wire<'_>) -> Result<Option<Step>, Fault> {
        let Some(Destination { host, port }) = self.destination.take() else {
            let text = "protocolHost is no HOST:PORT to ask a SOCKS5 proxy for";
            return Err(Fault::new(End::Backend, text));
        };
        proxy.send(&[VERSION, v5::CONNECT, 0]);
        match host {
            Host::Address(address) => v5::send_address(proxy, address, port),
            Host::Name(name) => {
                // A host's name has 253 bytes at most.
                proxy.send(&[v5::NAME, name.len() as u8]);
                proxy.send(name.as_bytes());
                proxy.send(&port.to_be_bytes());
            }
        }
        Ok(Some(Step::Answer))
    }
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Secured {
            return Ok(Progress::Next);
        }
        while let Some(next) = self.step(&mut ends.backend)? {
            self.step = next;
        }
        match self.step == Step::Answer && answered(&mut ends.backend)? {
            true => Ok(Progress::Next),
            false => Ok(Progress::Wait),
        }
    }
}

/// Takes the proxy's answer (§6), once it is there as a whole; a refusal shows before that.
fn answered(proxy: &mut Wire<'_>) -> Result<bool, Fault> {
    let rest = proxy.rest();
    let Some((&[version, code], _)) = rest.split_first_chunk() else {
        return Ok(false);
    };
    check_version(version, VERSION)?;
    if code != 0 {
        return Err(refusal(code));
    }
    let Some((&[_, _, _, kind], behind)) = rest.split_first_chunk() else {
        return Ok(false);
    };
    match v5::address_length(kind, behind) {
        Some(length) => Ok(proxy.take(4 + length + 2).is_some()),
        None => Err(Fault::with(
            End::Backend,
            "Unsupported SOCKS5 address type",
            &[kind],
        )),
    }
}

fn refusal(code: u8) -> Fault {
    let text = match code {
        1 => "SOCKS5 request failed: General SOCKS server failure",
        2 => "SOCKS5 request failed: Connection not allowed by ruleset",
        3 => "SOCKS5 request failed: Network unreachable",
        4 => "SOCKS5 request failed: Host unreachable",
        5 => "SOCKS5 request failed: Connection refused",
        6 => "SOCKS5 request failed: TTL expired",
        7 => "SOCKS5 request failed: Command not supported",
        8 => "SOCKS5 request failed: Address type not supported",
        _ => {
            let text = "SOCKS5 request failed: Unknown error";
            return Fault::with(End::Backend, text, &[code]);
        }
    };
    Fault::new(End::Backend, text)
}

fn check_version(version: u8, expected: u8) -> Result<(), Fault> {
    match version == expected {
        true => Ok(()),
        false => Err(Fault::with(
            End::Backend,
            "Invalid SOCKS5 message version",
            &[version],
        )),
    }
}

/// RFC 1929 §2: both texts behind their lengths, which are 1 to 255.
fn login(username: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let mut message = Zeroizing::new(Vec::with_capacity(3 + username.len() + password.len()));
    message.push(PASSWORD_VERSION);
    for text in [username, password] {
        if !(1..=MAX_TEXT).contains(&text.len()) {
            let text = "protocolUsername and protocolPassword have 1 to 255 bytes for SOCKS5";
            return Err(Fault::new(End::Backend, text));
        }
        message.push(text.len() as u8);
        message.extend_from_slice(text.as_bytes());
    }
    Ok(message)
}

/// `HOST:PORT`, IPv6 addresses with brackets or without.
fn destination(text: &str) -> Option<Destination> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some(Destination {
        host: named(bare.as_bytes())?,
        port: port.parse().ok().filter(|port| digits && *port != 0)?,
    })
}
