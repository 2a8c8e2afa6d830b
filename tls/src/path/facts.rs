//! A certificate's fields for people, whatever validation thinks of it.

use alloc::format;
use alloc::string::String;

use super::PeerName;
use super::certificate::{Certificate, Outline};
use super::name::{COMMON_NAME, Name};

/// What a log shows of a certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) serial: String,
    /// Unix seconds.
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
}

impl Facts {
    /// Reads a DER certificate of any version; a name that cannot be read stays empty.
    pub(crate) fn read(certificate: &[u8]) -> Option<Facts> {
        let outline = Outline::parse(certificate).ok()?;
        let shown = |name| Name::parse(name).map(|name| name.shown());
        Some(Facts {
            subject: shown(outline.subject).unwrap_or_default(),
            issuer: shown(outline.issuer).unwrap_or_default(),
            serial: hexadecimal(outline.serial),
            not_before: outline.not_before,
            not_after: outline.not_after,
        })
    }
}

/// The first common name of a DER certificate's subject, if it can be read.
pub(crate) fn common_name(certificate: &[u8]) -> Option<String> {
    let outline = Outline::parse(certificate).ok()?;
    let subject = Name::parse(outline.subject).ok()?;
    let name = subject.texts(COMMON_NAME).into_iter().next()?;
    Some(name.into_owned())
}

/// The first of `names` that a DER certificate is for, and for a host the name in it that says so.
pub(crate) fn matching_name<'n>(
    certificate: &[u8],
    names: &'n [PeerName],
) -> Option<(&'n PeerName, String)> {
    let certificate = Certificate::parse(certificate).ok()?;
    let name = names.iter().find(|name| name.is_of(&certificate))?;
    Some((name, name.host_of(&certificate).unwrap_or_default()))
}

/// Two digits a byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
