//! LDAP StartTLS (RFC 4511 §4.14), client mode: one extended request, one response.

use alloc::boxed::Box;

use super::{About, Dialect, End, Ends, Fault, Progress, Setup, Stage, Wire};

#[cfg(test)]
mod tests;

/// `LDAPMessage { messageID 1, ExtendedRequest { requestName 1.3.6.1.4.1.1466.20037 } }`
/// (RFC 4511 §4.14.1) in BER.
const REQUEST: &[u8; 31] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Most bytes of a response's content: a diagnostic message and referrals fit.
const MAX_RESPONSE: usize = 4096;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const OCTET_STRING: u8 = 0x04;
/// `[APPLICATION 24]` (RFC 4511 §4.12).
const EXTENDED_RESPONSE: u8 = 0x78;

/// A client of a directory.
pub(super) fn client(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client { asked: false })
}

struct Client {
    asked: bool,
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Clear {
            return Ok(Progress::Next);
        }
        if !self.asked {
            self.asked = true;
            ends.backend.send(REQUEST);
        }
        let Some(message) = message(&mut ends.backend)? else {
            return ends.backend.more();
        };
        accepted(message)?;
        ends.backend.refuse_early()?;
        Ok(Progress::Next)
    }
}

fn fault(text: &'static str) -> Fault {
    Fault::new(End::Backend, text)
}

/// Takes a message once it is there as a whole, and gives its content.
fn message<'a>(wire: &mut Wire<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let rest = wire.rest();
    if rest.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(fault("LDAP response is not UNIVERSAL SEQUENCE"));
    }
    let (header, length) = match length(rest.get(1..).unwrap_or_default()) {
        Length::Known { octets, length } => (1 + octets, length),
        Length::Short => return Ok(None),
        Length::Wrong => return Err(fault("LDAP response has no definite length")),
    };
    if length > MAX_RESPONSE {
        return Err(fault("LDAP response too long"));
    }
    let whole = wire.take(header + length);
    Ok(whole.and_then(|whole| whole.get(header..)))
}

/// Whether the content of a message accepts the request.
fn accepted(message: &[u8]) -> Result<(), Fault> {
    let (tag, id, rest) = element(message)?;
    if tag != INTEGER {
        return Err(fault("LDAP response has an incorrect message ID type"));
    }
    if id.len() != 1 {
        return Err(fault("LDAP response has an unexpected message ID length"));
    }
    if id != [1] {
        // 0 is the notice of disconnection, too (RFC 4511 §4.4).
        return Err(fault("LDAP response has an unexpected message ID value"));
    }
    let (tag, response, _controls) = element(rest)?;
    if tag != EXTENDED_RESPONSE {
        return Err(fault("LDAP response protocol op is not ExtendedResponse"));
    }
    let (tag, code, rest) = element(response)?;
    if tag != ENUMERATED {
        return Err(fault("LDAP response has an unexpected result code type"));
    }
    let &[code] = code else {
        return Err(fault("LDAP response has an unexpected result code length"));
    };
    if code != 0 {
        let said = diagnostic(rest).unwrap_or_default();
        return Err(Fault::with(End::Backend, refusal(code), said));
    }
    Ok(())
}

/// The diagnostic message behind a result code: `matchedDN`, then `diagnosticMessage`
/// (RFC 4511 §4.1.9).
fn diagnostic(rest: &[u8]) -> Option<&[u8]> {
    let (_, _, rest) = element(rest).ok()?;
    let (tag, text, _) = element(rest).ok()?;
    (tag == OCTET_STRING).then_some(text)
}

/// What a result code says (RFC 4511 §4.14.2 and appendix A).
fn refusal(code: u8) -> &'static str {
    match code {
        1 => "LDAP response has indicated an error (1, operations error)",
        2 => "LDAP response has indicated an error (2, protocol error: TLS is not supported)",
        10 => "LDAP response has indicated an error (10, referral)",
        52 => "LDAP response has indicated an error (52, unavailable)",
        53 => "LDAP response has indicated an error (53, unwilling to perform)",
        _ => "LDAP response has indicated an error",
    }
}

/// The element in front: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Fault> {
    let parts = bytes.split_first().and_then(|(tag, rest)| {
        let Length::Known { octets, length } = length(rest) else {
            return None;
        };
        let (content, rest) = rest.get(octets..)?.split_at_checked(length)?;
        Some((*tag, content, rest))
    });
    parts.ok_or_else(|| fault("LDAP response is malformed"))
}

/// What the octets in front say as a length.
enum Length {
    /// `length` bytes of content follow these `octets`.
    Known { octets: usize, length: usize },
    /// Some are missing.
    Short,
    /// It is indefinite, which LDAP does not have (RFC 4511 §5.1), or longer than four octets say.
    Wrong,
}

fn length(bytes: &[u8]) -> Length {
    let Some((first, rest)) = bytes.split_first() else {
        return Length::Short;
    };
    let count = usize::from(first & 0x7f);
    if first & 0x80 == 0 {
        return Length::Known {
            octets: 1,
            length: count,
        };
    }
    if !(1..=4).contains(&count) {
        return Length::Wrong;
    }
    let Some(octets) = rest.get(..count) else {
        return Length::Short;
    };
    let length = octets
        .iter()
        .fold(0u32, |length, octet| length << 8 | u32::from(*octet));
    Length::Known {
        octets: 1 + count,
        length: usize::try_from(length).unwrap_or(usize::MAX),
    }
}
