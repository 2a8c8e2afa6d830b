//! X.501 names: compared as OpenSSL compares them, and shown to people.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use x509_cert::der::{self, Tag, oid::ObjectIdentifier};

use super::fields::{Field, Fields};

/// Most attributes in one name; honest ones have fewer than ten. Bounds memory, not time.
pub(super) const MAX_ATTRIBUTES: usize = 64;

/// Most characters of a name that are shown.
const SHOWN: usize = 512;

/// Values of the object identifiers 2.5.4.3 and 1.2.840.113549.1.9.1.
pub(super) const COMMON_NAME: &[u8] = &[0x55, 4, 3];
pub(super) const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

/// A name of a certificate.
#[derive(Clone, Debug)]
pub(super) struct Name<'a> {
    /// The RDNSequence's content.
    value: &'a [u8],
    canonical: Vec<u8>,
}

/// One attribute: its type's object identifier, and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a> {
    pub(super) kind: &'a [u8],
    pub(super) value: Field<'a>,
}

impl<'a> Name<'a> {
    /// Reads the content of an RDNSequence (RFC 5280 §4.1.2.4).
    pub(super) fn parse(value: &'a [u8]) -> der::Result<Name<'a>> {
        let mut canonical = Vec::with_capacity(value.len());
        let mut count = 0;
        let mut sets = Fields::new(value)?;
        while !sets.is_empty() {
            let mut attributes = sets.of(Tag::Set)?.fields()?;
            let mut set: Vec<Vec<u8>> = Vec::new();
            while !attributes.is_empty() {
                count += 1;
                let attribute = next_attribute(&mut attributes)?;
                if count > MAX_ATTRIBUTES {
                    return Err(Tag::Sequence.length_error().into());
                }
                // The order within a set says nothing, so it is made the same for all.
                let attribute = attribute.canonical()?;
                set.insert(set.partition_point(|known| *known < attribute), attribute);
            }
            if set.is_empty() {
                return Err(Tag::Set.length_error().into());
            }
            push_length(&mut canonical, set.iter().map(Vec::len).sum());
            canonical.extend(set.into_iter().flatten());
        }
        Ok(Name { value, canonical })
    }

    /// Equal for names that are the same: letters' case, the kind of string and the amount of white
    /// space make no difference (RFC 5280 §7.1). A name that another's begins with, relative name
    /// by relative name, is a prefix of it here too.
    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// The RDNSequence's content, as it was encoded.
    pub(super) fn der(&self) -> &'a [u8] {
        self.value
    }

    /// All attributes in their order.
    pub(super) fn attributes(&self) -> Vec<Attribute<'a>> {
        let mut all = Vec::new();
        let Ok(mut sets) = Fields::new(self.value) else {
            return all;
        };
        // `parse` has seen that all of it can be read.
        while let Ok(mut attributes) = sets.of(Tag::Set).and_then(Field::fields) {
            while let Ok(attribute) = next_attribute(&mut attributes) {
                all.push(attribute);
            }
        }
        all
    }

    /// The values of one kind of attribute, as text where they are text.
    pub(super) fn texts(&self, kind: &[u8]) -> Vec<Cow<'a, str>> {
        self.attributes()
            .iter()
            .filter(|attribute| attribute.kind == kind)
            .filter_map(|attribute| text(attribute.value))
            .collect()
    }

    /// For people: `CN=example.org, O=Example`, with everything unprintable escaped, cut where it
    /// is too long.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::new();
        for attribute in self.attributes() {
            if !shown.is_empty() {
                shown.push_str(", ");
            }
            match short_name(attribute.kind) {
                Some(kind) => shown.push_str(kind),
                None => match ObjectIdentifier::from_bytes(attribute.kind) {
                    Ok(kind) => shown.push_str(&kind.to_string()),
                    Err(_) => shown.push('?'),
                },
            }
            shown.push('=');
            match text(attribute.value) {
                Some(text) => push_quoted(&mut shown, &text),
                // Writing to a string cannot fail.
                None => drop(write!(shown, "({} bytes)", attribute.value.value.len())),
            }
            if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
                shown.truncate(end);
                shown.push_str("...");
                break;
            }
        }
        if shown.is_empty() {
            shown.push_str("no subject");
        }
        shown
    }
}

/// Writes a value as OpenSSL does (`ASN1_STRFLGS_ESC_QUOTE`, ASN1_STRING_print_ex(3)): in quotes where it
/// would else look like several attributes, so that nobody can write another's name.
fn push_quoted(shown: &mut String, text: &str) {
    let quoted = text.starts_with([' ', '#'])
        || text.ends_with(' ')
        || text.contains([',', '+', ';', '<', '>']);
    let quote = |shown: &mut String| {
        if quoted {
            shown.push('"');
        }
    };
    quote(shown);
    for character in text.chars() {
        match character {
            '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    quote(shown);
}

fn next_attribute<'a>(attributes: &mut Fields<'a>) -> der::Result<Attribute<'a>> {
    let mut attribute = attributes.of(Tag::Sequence)?.fields()?;
    let kind = attribute.of(Tag::ObjectIdentifier)?.value;
    let value = attribute.next()?;
    attribute.finish()?;
    Ok(Attribute { kind, value })
}

impl Attribute<'_> {
    /// Its kind and value, each with its length in front, so that no two attributes look alike.
    fn canonical(&self) -> der::Result<Vec<u8>> {
        let mut canonical = Vec::with_capacity(16 + self.value.whole.len());
        push_length(&mut canonical, self.kind.len());
        canonical.extend_from_slice(self.kind);
        match text(self.value) {
            Some(text) => {
                canonical.push(1);
                canonical.extend_from_slice(folded(&text).as_bytes());
            }
            None if is_text(self.value.tag) => return Err(self.value.tag.value_error().into()),
            None => {
                canonical.push(0);
                canonical.extend_from_slice(self.value.whole);
            }
        }
        let mut whole = Vec::with_capacity(4 + canonical.len());
        push_length(&mut whole, canonical.len());
        whole.append(&mut canonical);
        Ok(whole)
    }
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    // Certificates are far below 4 GiB.
    out.extend_from_slice(&(length as u32).to_be_bytes());
}

/// White space cut at both ends and single within, letters of ASCII lower case.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split(is_space).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    }
    folded
}

/// C's `isspace`: the vertical tab too.
fn is_space(letter: char) -> bool {
    letter.is_ascii_whitespace() || letter == '\x0b'
}

fn is_text(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::Utf8String
            | Tag::PrintableString
            | Tag::Ia5String
            | Tag::VisibleString
            | Tag::TeletexString
            | Tag::BmpString
    )
}

/// A string's characters; `None` for what is no string, or a damaged one.
pub(super) fn text(field: Field<'_>) -> Option<Cow<'_, str>> {
    match field.tag {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => {
            core::str::from_utf8(field.value).ok().map(Cow::Borrowed)
        }
        // ISO 8859-1, as everybody writes it.
        Tag::TeletexString => Some(Cow::Owned(
            field.value.iter().map(|byte| char::from(*byte)).collect(),
        )),
        Tag::BmpString => {
            let (units, rest) = field.value.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text = char::decode_utf16(units).collect::<Result<String, _>>();
            text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
        }
        _ => None,
    }
}

fn short_name(kind: &[u8]) -> Option<&'static str> {
    Some(match kind {
        COMMON_NAME => "CN",
        EMAIL_ADDRESS => "emailAddress",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        _ => return None,
    })
}
