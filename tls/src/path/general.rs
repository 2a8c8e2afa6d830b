//! General names (RFC 5280 §4.2.1.6): what a certificate says it is for, and what constraints name.

use x509_cert::der::{self, Tag};

use super::fields::{Field, Fields};

/// One general name, as it was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GeneralName<'a> {
    /// rfc822Name: a mailbox, or in a constraint also a host or a domain.
    Email(&'a [u8]),
    /// dNSName.
    Dns(&'a [u8]),
    /// directoryName: the content of an RDNSequence.
    Directory(&'a [u8]),
    /// uniformResourceIdentifier.
    Uri(&'a [u8]),
    /// iPAddress: 4 or 16 bytes, in a constraint twice as many.
    Address(&'a [u8]),
    /// Any other kind, by its number.
    Other(u32),
}

impl<'a> GeneralName<'a> {
    pub(super) fn parse(field: Field<'a>) -> der::Result<GeneralName<'a>> {
        let Tag::ContextSpecific {
            constructed,
            number,
        } = field.tag
        else {
            return Err(field.tag.unexpected_error(None).into());
        };
        Ok(match (number.value(), constructed) {
            (1, false) => GeneralName::Email(field.value),
            (2, false) => GeneralName::Dns(field.value),
            (4, true) => GeneralName::Directory(Field::only(field.value, Tag::Sequence)?.value),
            (6, false) => GeneralName::Uri(field.value),
            (7, false) => GeneralName::Address(field.value),
            (number @ (0 | 3 | 5), true) | (number @ 8, false) => GeneralName::Other(number),
            _ => return Err(field.tag.unexpected_error(None).into()),
        })
    }
}

/// The names that the content of a GeneralNames holds.
#[derive(Clone)]
pub(super) struct GeneralNames<'a>(&'a [u8]);

impl<'a> GeneralNames<'a> {
    /// Checks that all of `value` can be read. An empty list is none (RFC 5280 §4.2.1.6).
    pub(super) fn parse(value: &'a [u8]) -> der::Result<GeneralNames<'a>> {
        let mut fields = Fields::new(value)?;
        while !fields.is_empty() {
            GeneralName::parse(fields.next()?)?;
        }
        Ok(GeneralNames(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = GeneralName<'a>> + use<'a> {
        let mut fields = Fields::new(self.0).ok();
        core::iter::from_fn(move || {
            let fields = fields.as_mut().filter(|fields| !fields.is_empty())?;
            fields.next().and_then(GeneralName::parse).ok()
        })
    }
}
