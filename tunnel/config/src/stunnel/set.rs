//! What each option does with its value.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::draft::{Draft, Given, Named};
use super::table::{NO_PROCESS, Taken};
use super::tls_options::Protocol;
use super::types::{Connect, Global};
use super::{endpoint, sockets, values};

/// What setting an option gives.
type Outcome = Result<Taken, String>;

/// Most values of one option in a section.
const MAX_VALUES: usize = 256;

/// Nothing more to say.
fn honoured(_: ()) -> Outcome {
    Ok(Taken::Honoured)
}

fn without_effect(reason: &str) -> Outcome {
    Ok(Taken::WithoutEffect(reason.into()))
}

fn refused(reason: &str) -> Outcome {
    Ok(Taken::Refused(reason.into()))
}

fn push<T>(list: &mut Vec<T>, value: T) -> Outcome {
    if list.len() >= MAX_VALUES {
        return Err(format!("more than {MAX_VALUES} values"));
    }
    list.push(value);
    Ok(Taken::Honoured)
}

// Global options.

pub(super) fn compression(_: &mut Global, given: &Given<'_>) -> Outcome {
    match given.value {
        value if value.eq_ignore_ascii_case("deflate") || value.eq_ignore_ascii_case("zlib") => {
            refused("compression tells plaintext to listeners, so TLS has none any more: remove it")
        }
        _ => Err("Specified compression type is not available".into()),
    }
}

pub(super) fn fips(_: &mut Global, given: &Given<'_>) -> Outcome {
    if values::flag(given.value)? {
        return refused("FIPS mode is not available: use \"fips = no\"");
    }
    Ok(Taken::Honoured)
}

pub(super) fn foreground(global: &mut Global, given: &Given<'_>) -> Outcome {
    global.foreground = given.value.eq_ignore_ascii_case("quiet")
        || values::flag(given.value)
            .map_err(|_| String::from("The argument needs to be either 'yes', 'quiet' or 'no'"))?;
    Ok(Taken::Honoured)
}

pub(super) fn log(global: &mut Global, given: &Given<'_>) -> Outcome {
    global.append = if given.value.eq_ignore_ascii_case("append") {
        true
    } else if given.value.eq_ignore_ascii_case("overwrite") {
        false
    } else {
        return Err("The argument needs to be either 'append' or 'overwrite'".into());
    };
    Ok(Taken::Honoured)
}

pub(super) fn output(global: &mut Global, given: &Given<'_>) -> Outcome {
    global.output = path(given.value);
    Ok(Taken::Honoured)
}

pub(super) fn pid(global: &mut Global, given: &Given<'_>) -> Outcome {
    global.pid = path(given.value);
    Ok(Taken::Honoured)
}

/// A path; none when it is empty.
fn path(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.into())
}

pub(super) fn random_bytes(_: &mut Global, given: &Given<'_>) -> Outcome {
    match values::number(given.value) {
        Some(_) => without_effect("the processor or a virtio-rng device gives the random numbers"),
        None => Err("Illegal number of bytes to read from random seed files".into()),
    }
}

pub(super) fn random_overwrite(_: &mut Global, given: &Given<'_>) -> Outcome {
    values::flag(given.value)?;
    without_effect("there are no seed files")
}

pub(super) fn syslog(global: &mut Global, given: &Given<'_>) -> Outcome {
    global.syslog = values::flag(given.value)?;
    Ok(Taken::Honoured)
}

// Where connections come from and go to.

pub(super) fn accept(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push(&mut draft.accept, endpoint::accept(given.value)?)
}

pub(super) fn connect(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push_connect(&mut draft.connect, given)
}

pub(super) fn redirect(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push_connect(&mut draft.redirect, given)
}

fn push_connect(list: &mut Vec<Connect>, given: &Given<'_>) -> Outcome {
    push(list, endpoint::connect(given.option, given.value)?)
}

pub(super) fn client(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::flag(given.value)
        .map(|yes| draft.client = yes)
        .and_then(honoured)
}

pub(super) fn delay(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::flag(given.value)
        .map(|yes| draft.delay = yes)
        .and_then(honoured)
}

pub(super) fn exec(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.exec = given.named();
    Ok(Taken::Honoured)
}

pub(super) fn exec_args(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.exec_args = Some(given.value.into());
    Ok(Taken::Honoured)
}

pub(super) fn failover(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::failover(given.value)
        .map(|order| draft.failover = order)
        .and_then(honoured)
}

pub(super) fn libwrap(_: &mut Draft, given: &Given<'_>) -> Outcome {
    if values::flag(given.value)? {
        return refused(
            "/etc/hosts.allow and /etc/hosts.deny are not read: use \"libwrap = no\" and a firewall",
        );
    }
    Ok(Taken::Honoured)
}

pub(super) fn local(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let address = given.value.parse();
    draft.local = Some(
        address.map_err(|_| String::from("Failed to resolve local address: give it as numbers"))?,
    );
    Ok(Taken::Honoured)
}

pub(super) fn pty(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::flag(given.value)
        .map(|yes| draft.pty = yes)
        .and_then(honoured)
}

/// `yes`, `no`, or milliseconds (since stunnel 5.70).
pub(super) fn retry(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.retry = match values::number(given.value) {
        Some(milliseconds) => Some(Duration::from_millis(milliseconds)),
        None => values::flag(given.value)?.then_some(Duration::from_secs(1)),
    };
    Ok(Taken::Honoured)
}

/// Meant for a client or a server, which only the whole section tells. An empty value turns a
/// client's off.
pub(super) fn sni(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push(&mut draft.sni, list(given))
}

/// Before the first section it is about the process, in a section about its UNIX sockets.
pub(super) fn setgid(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    owner(given, draft.is_defaults, &mut draft.group, "Illegal GID")
}

pub(super) fn setuid(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    owner(given, draft.is_defaults, &mut draft.user, "Illegal UID")
}

fn owner(given: &Given<'_>, is_default: bool, owner: &mut Option<Named>, illegal: &str) -> Outcome {
    if is_default {
        return without_effect(NO_PROCESS);
    }
    // Who has that name is known where the socket is.
    *owner = Some(given.named().ok_or(illegal)?);
    Ok(Taken::Honoured)
}

pub(super) fn socket(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    sockets::set(&mut draft.sockets, given.value)
}

pub(super) fn transparent(_: &mut Draft, given: &Given<'_>) -> Outcome {
    let is = |word: &str| given.value.eq_ignore_ascii_case(word);
    if is("none") || is("no") {
        Ok(Taken::Honoured)
    } else if ["source", "destination", "both", "yes"].into_iter().any(is) {
        refused("connections are made from the image's own address: use \"transparent = none\"")
    } else {
        Err("Selected transparent proxy mode is not available".into())
    }
}

// Who they are with.

pub(super) fn ca_file(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ca_file = given.named();
    Ok(Taken::Honoured)
}

pub(super) fn ca_path(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ca_path = given.named();
    Ok(Taken::Honoured)
}

pub(super) fn cert(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.cert = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn key(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.key = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn crl_file(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.crl_file = given.named();
    Ok(Taken::Honoured)
}

pub(super) fn crl_path(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.crl_path = given.named();
    Ok(Taken::Honoured)
}

pub(super) fn check_host(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push(&mut draft.check_host, subject(given)?)
}

pub(super) fn check_email(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    push(&mut draft.check_email, subject(given)?)
}

fn subject(given: &Given<'_>) -> Result<String, String> {
    if given.value.is_empty() {
        return Err(format!("{} needs a value", given.option));
    }
    Ok(given.value.into())
}

pub(super) fn check_ip(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let address = given.value.parse();
    let address = address.map_err(|_| String::from("checkIP needs an IP address"))?;
    push(&mut draft.check_ip, address)
}

pub(super) fn psk_identity(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.psk_identity = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn psk_secrets(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.psk_secrets = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn require_cert(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let yes = values::flag(given.value)?;
    draft.verify.request |= yes;
    draft.verify.require = yes;
    Ok(Taken::Honoured)
}

/// 0: ask; 1: verify a chain that is shown; 2: require one; 3: and the certificate itself; 4: the
/// certificate alone.
pub(super) fn verify(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let level = values::number(given.value)
        .filter(|level| *level <= 4)
        .ok_or("Bad verify level")?;
    draft.verify.request = true;
    draft.verify.require = level >= 2;
    draft.verify.chain = (1..=3).contains(&level);
    draft.verify.peer = level >= 3;
    Ok(Taken::Honoured)
}

pub(super) fn verify_chain(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let yes = values::flag(given.value)?;
    draft.verify.request |= yes;
    draft.verify.require |= yes;
    draft.verify.chain = yes;
    Ok(Taken::Honoured)
}

pub(super) fn verify_peer(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let yes = values::flag(given.value)?;
    draft.verify.request |= yes;
    draft.verify.require |= yes;
    draft.verify.peer = yes;
    Ok(Taken::Honoured)
}

// TLS. Lists are read when the section is whole.

pub(super) fn ciphers(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ciphers = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn ciphersuites(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ciphersuites = Some(list(given));
    Ok(Taken::Honoured)
}

pub(super) fn curves(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.curves = Some(list(given));
    Ok(Taken::Honoured)
}

/// The value, empty or not.
fn list(given: &Given<'_>) -> Named {
    Named {
        value: given.value.into(),
        text: given.text.into(),
        origin: given.origin.clone(),
    }
}

pub(super) fn options(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ssl_options.set(given.value)
}

pub(super) fn renegotiation(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.renegotiation = values::flag(given.value)?;
    if draft.renegotiation {
        return without_effect("peers can't renegotiate here");
    }
    Ok(Taken::Honoured)
}

pub(super) fn reset(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::flag(given.value)
        .map(|yes| draft.reset = yes)
        .and_then(honoured)
}

/// What there is here, 128 bits and RSA keys from 2,048 bits on, is OpenSSL's level 2.
pub(super) fn security_level(_: &mut Draft, given: &Given<'_>) -> Outcome {
    match values::number(given.value) {
        Some(2) => Ok(Taken::Honoured),
        Some(0 | 1) => without_effect("level 2 always holds"),
        Some(3..=5) => refused("levels above 2 can't be asked for: use ciphers and curves"),
        _ => Err("Illegal security level".into()),
    }
}

pub(super) fn session_cache_size(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let size = values::number(given.value).ok_or("Illegal session cache size")?;
    draft.session_cache_size = usize::try_from(size).unwrap_or(usize::MAX);
    Ok(Taken::Honoured)
}

pub(super) fn session_cache_timeout(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::seconds(given.value, "Illegal session cache timeout")
        .map(|time| draft.session_cache_timeout = time)
        .and_then(honoured)
}

pub(super) fn session_resume(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::flag(given.value)
        .map(|yes| draft.session_resume = yes)
        .and_then(honoured)
}

pub(super) fn ssl_version(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let version = Protocol::named(given.value)?;
    draft.min = version;
    draft.max = version;
    Ok(Taken::Honoured)
}

pub(super) fn ssl_version_max(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.max = Protocol::named(given.value)?;
    Ok(Taken::Honoured)
}

pub(super) fn ssl_version_min(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.min = Protocol::named(given.value)?;
    if matches!(draft.min, Protocol::Old) {
        return Ok(Taken::Told(5, "TLSv1.2 is the lowest version here".into()));
    }
    Ok(Taken::Honoured)
}

pub(super) fn ticket_key_secret(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let key = values::ticket_key(given.option, given.value)?;
    draft.ticket_key = Some((key, given.origin.clone()));
    Ok(Taken::Honoured)
}

pub(super) fn ticket_mac_secret(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let key = values::ticket_key(given.option, given.value)?;
    draft.ticket_mac = Some((key, given.origin.clone()));
    Ok(Taken::Honoured)
}

// The rest of a service.

/// A facility is the whole process's, so it stands before the first section.
pub(super) fn debug(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    if !draft.is_defaults {
        draft.debug = values::level(given.value)?;
        return Ok(Taken::Honoured);
    }
    let (facility, level) = values::facility_and_level(given.value)?;
    draft.debug = level;
    draft.facility = facility.or(draft.facility);
    Ok(Taken::Honoured)
}

pub(super) fn log_id(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::log_id(given.value)
        .map(|kind| draft.log_id = kind)
        .and_then(honoured)
}

pub(super) fn service(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    if !draft.is_defaults {
        return without_effect("/etc/hosts.allow and /etc/hosts.deny are not read");
    }
    draft.service = Some(given.value.into());
    Ok(Taken::Honoured)
}

pub(super) fn stack(_: &mut Draft, given: &Given<'_>) -> Outcome {
    match values::number(given.value) {
        Some(_) => without_effect("connections are no threads here"),
        None => Err("Illegal thread stack size".into()),
    }
}

pub(super) fn timeout_busy(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::seconds(given.value, "Illegal busy timeout")
        .map(|time| draft.timeouts.busy = time)
        .and_then(honoured)
}

pub(super) fn timeout_close(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::seconds(given.value, "Illegal close timeout")
        .map(|time| draft.timeouts.close = time)
        .and_then(honoured)
}

pub(super) fn timeout_connect(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::seconds(given.value, "Illegal connect timeout")
        .map(|time| draft.timeouts.connect = time)
        .and_then(honoured)
}

pub(super) fn timeout_idle(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    values::seconds(given.value, "Illegal idle timeout")
        .map(|time| draft.timeouts.idle = time)
        .and_then(honoured)
}
