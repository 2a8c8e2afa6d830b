//! DER, written: just enough to make certificates that no tool would.

use std::vec::Vec;

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::from([tag]);
    match content.len() {
        length @ 0..=127 => out.push(length as u8),
        length @ 128..=255 => out.extend([0x81, length as u8]),
        length => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(super) fn oid(dotted: &str) -> Vec<u8> {
    let id = x509_cert::der::oid::ObjectIdentifier::new(dotted).unwrap();
    tlv(6, id.as_bytes())
}

pub(super) fn integer(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(7);
    let mut content = Vec::from(&bytes[first..]);
    if content[0] & 0x80 != 0 {
        content.insert(0, 0);
    }
    tlv(2, &content)
}

pub(super) fn boolean(value: bool) -> Vec<u8> {
    tlv(1, &[if value { 0xff } else { 0 }])
}

/// A BIT STRING of whole bytes.
pub(super) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes].concat())
}

/// UTCTime until 2049, then GeneralizedTime.
pub(super) fn time(unix_seconds: u64) -> Vec<u8> {
    let duration = core::time::Duration::from_secs(unix_seconds);
    let date = x509_cert::der::DateTime::from_unix_duration(duration).unwrap();
    let text = std::format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        date.year(),
        date.month(),
        date.day(),
        date.hour(),
        date.minutes(),
        date.seconds()
    );
    if date.year() < 2050 {
        tlv(0x17, &text.as_bytes()[2..])
    } else {
        tlv(0x18, text.as_bytes())
    }
}
