//! Revocation checks by OCSP (RFC 6960): `OCSP`, `OCSPaia`, `OCSPflag`, `OCSPnonce`, `OCSPrequire`,
//! `TIMEOUTocsp`.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use super::draft::{Draft, Given};
use super::table::Taken;
use super::values;
use crate::types::Host;
use crate::url::{Scheme, Url};

/// Whether and how peers' certificates are checked by OCSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ocsp {
    /// `OCSP`: who is asked about the peer's own certificate.
    pub responder: Option<Responder>,
    /// `OCSPaia`: whether those are asked whom the certificates themselves name.
    pub aia: bool,
    /// `OCSPnonce`: whether an answer has to be made for the very question.
    pub nonce: bool,
    /// `OCSPrequire`: whether a peer is refused when nobody has an answer.
    pub require: bool,
    /// Whether responders' certificates may come with their answers (`OCSPflag = NOINTERN`: no).
    pub included: bool,
    /// `TIMEOUTocsp`: how long one responder has for its answer.
    pub timeout: Duration,
}

impl Default for Ocsp {
    /// stunnel's defaults.
    fn default() -> Ocsp {
        Ocsp {
            responder: None,
            aia: false,
            nonce: false,
            require: true,
            included: true,
            timeout: Duration::from_secs(5),
        }
    }
}

impl Ocsp {
    /// Whether anybody is asked.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.aia || self.responder.is_some()
    }
}

/// Where an OCSP responder is: `http://HOST[:PORT][/PATH]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responder {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What is asked for, with its query: `/` at least.
    pub path: String,
    /// The host and the port as they were written.
    pub authority: String,
    /// The whole as it was written.
    pub url: String,
}

/// Why a URL is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponderError {
    /// It is no URL of a responder.
    Malformed,
    /// It asks for TLS.
    Tls,
}

impl fmt::Display for ResponderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponderError::Malformed => "OCSP: Failed to parse the OCSP URL",
            ResponderError::Tls => {
                "OCSP: TLS not supported for OCSP - an additional stunnel service needs to be defined"
            }
        })
    }
}

impl Responder {
    /// Reads a URL (RFC 3986 §3) of the scheme `http`.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(url: &str) -> Result<Responder, ResponderError> {
        if Scheme::Https.begins(url) {
            return Err(ResponderError::Tls);
        }
        let parsed = Url::parse(url, Scheme::Http).ok_or(ResponderError::Malformed)?;
        Ok(Responder {
            host: parsed.host,
            port: parsed.port,
            path: parsed.path,
            authority: parsed.authority,
            url: url.into(),
        })
    }
}

/// What setting an option gives.
type Outcome = Result<Taken, String>;

pub(super) fn responder(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let responder = Responder::parse(given.value);
    draft.ocsp.responder = Some(responder.map_err(|error| alloc::format!("{error}"))?);
    Ok(Taken::Honoured)
}

pub(super) fn aia(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ocsp.aia = values::flag(given.value)?;
    Ok(Taken::Honoured)
}

pub(super) fn nonce(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ocsp.nonce = values::flag(given.value)?;
    Ok(Taken::Honoured)
}

pub(super) fn require(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ocsp.require = values::flag(given.value)?;
    Ok(Taken::Honoured)
}

pub(super) fn timeout(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    draft.ocsp.timeout = values::seconds(given.value, "Illegal OCSP timeout")?;
    Ok(Taken::Honoured)
}

/// Flags of OCSP_basic_verify(3) and its kin that take checks away.
const WEAKER: [&str; 3] = ["NOSIGS", "NOVERIFY", "NOCHECKS"];

/// Those that change nothing: they are about making requests and responses, or about trust that
/// nobody has here.
const NEUTRAL: [&str; 10] = [
    "NOCERTS",
    "NOCHAIN",
    "NOEXPLICIT",
    "NOCASIGN",
    "NODELEGATED",
    "TRUSTOTHER",
    "RESPID_KEY",
    "NOTIME",
    "NONCE",
    "DELEGATED",
];

pub(super) fn flag(draft: &mut Draft, given: &Given<'_>) -> Outcome {
    let is = |name: &&str| given.value.eq_ignore_ascii_case(name);
    if is(&"NOINTERN") {
        draft.ocsp.included = false;
        return Ok(Taken::Honoured);
    }
    if WEAKER.iter().any(is) {
        return Ok(Taken::Refused(
            "an answer that nobody has to sign proves nothing: remove it, or use \
             \"OCSPrequire = no\""
                .into(),
        ));
    }
    if NEUTRAL.iter().any(is) {
        return Ok(Taken::WithoutEffect(
            "only the issuer answers here, and whom it has authorised".into(),
        ));
    }
    Err("Illegal OCSP flag".into())
}
