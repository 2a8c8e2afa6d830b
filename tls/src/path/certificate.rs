//! A certificate of any X.509 version, read as far as path validation needs it.

use alloc::vec::Vec;

use rustls::pki_types::alg_id;
use x509_cert::der::asn1::{BitStringRef, IntRef};
use x509_cert::der::{Decode, Error, Result, Tag};
use x509_cert::time::Time;

use super::extensions::{Extensions, KeyUsage, Malformed};
use super::fields::{Field, Fields, context};
use super::name::Name;

/// What was signed, how, and the signature: the outermost structure of certificates and revocation
/// lists alike (RFC 5280 §4.1 and §5.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// The DER of the part that is signed.
    pub(super) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key<'a> {
    /// The content of the AlgorithmIdentifier, as rustls compares them.
    pub(crate) algorithm: &'a [u8],
    pub(crate) bytes: &'a [u8],
}

/// One certificate, borrowed from its DER.
#[derive(Clone)]
pub(super) struct Certificate<'a> {
    pub(super) der: &'a [u8],
    pub(super) signed: Signed<'a>,
    /// 1, 2 or 3.
    pub(super) version: u8,
    /// The serial number's bytes, as encoded.
    pub(super) serial: &'a [u8],
    pub(super) issuer: Name<'a>,
    pub(super) subject: Name<'a>,
    /// Unix seconds; both ends are included.
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    pub(super) key: Key<'a>,
    pub(super) extensions: Extensions<'a>,
}

/// Why a certificate may issue others, as OpenSSL's `X509_check_ca` tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// basicConstraints say so.
    Constraints,
    /// Nothing says so, but nothing could: a self-signed X.509 v1 certificate, a key usage without
    /// basicConstraints, or Netscape's certificate type. Only good for trust anchors.
    Tolerated,
    /// The key usage does not allow signing certificates.
    NotByKeyUsage,
    /// It is no authority.
    No,
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(der: &'a [u8]) -> core::result::Result<Certificate<'a>, Malformed> {
        let bad = |_: Error| Malformed("certificate");
        let (signed, mut fields) = signed(der).map_err(bad)?;
        let outline = Outline::read(&mut fields, &signed).map_err(bad)?;
        let extensions = match outline.extensions {
            Some(extensions) => Extensions::parse(extensions)?,
            None => Extensions::default(),
        };
        Ok(Certificate {
            der,
            signed,
            version: outline.version,
            serial: outline.serial,
            issuer: Name::parse(outline.issuer).map_err(|_| Malformed("issuer"))?,
            subject: Name::parse(outline.subject).map_err(|_| Malformed("subject"))?,
            not_before: outline.not_before,
            not_after: outline.not_after,
            key: outline.key,
            extensions,
        })
    }

    /// Issued under its own name (RFC 5280 §6.1: "self-issued").
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer.canonical() == self.subject.canonical()
    }

    /// Self-issued, and nothing says that another key of the same name has signed it. The signature
    /// is not checked: it would prove nothing about a certificate that is trusted or not as it is.
    pub(super) fn is_self_signed(&self) -> bool {
        self.is_self_issued()
            && self.names_key_of(self)
            && same_kind(self.signed.algorithm, self.key.algorithm)
    }

    /// Whether its authority key identifier, where there is one, fits `issuer`.
    pub(super) fn names_key_of(&self, issuer: &Certificate<'_>) -> bool {
        let authority = &self.extensions.authority_key;
        let key = match (authority.identifier, issuer.extensions.subject_key) {
            (Some(wanted), Some(there)) => wanted == there,
            _ => true,
        };
        let serial = authority
            .serial
            .is_none_or(|serial| serial == issuer.serial);
        let name = authority
            .issuer
            .as_ref()
            .is_none_or(|name| name == issuer.issuer.canonical());
        key && serial && name
    }

    pub(super) fn authority(&self) -> Authority {
        let signs = |usage: KeyUsage| usage.any(KeyUsage::CERTIFICATE_SIGN);
        if !self.extensions.key_usage.is_none_or(signs) {
            return Authority::NotByKeyUsage;
        }
        /// `sslCA`, `emailCA`, `objCA` of Netscape's certificate type.
        const NETSCAPE_SSL_AUTHORITY: u8 = 0x04;
        match self.extensions.basic_constraints {
            Some(constraints) if constraints.authority => Authority::Constraints,
            Some(_) => Authority::No,
            None if self.version == 1 && self.is_self_signed() => Authority::Tolerated,
            None if self.extensions.key_usage.is_some() => Authority::Tolerated,
            None if self
                .extensions
                .netscape_type
                .is_some_and(|kinds| kinds & NETSCAPE_SSL_AUTHORITY != 0) =>
            {
                Authority::Tolerated
            }
            None => Authority::No,
        }
    }

    /// The same holder and key: a path gains nothing by both.
    pub(super) fn is_twin_of(&self, other: &Certificate<'_>) -> bool {
        self.key == other.key && self.subject.canonical() == other.subject.canonical()
    }
}

/// The fields of a TBSCertificate, names and extensions unread.
pub(crate) struct Outline<'a> {
    /// 1, 2 or 3.
    pub(crate) version: u8,
    pub(super) serial: &'a [u8],
    pub(super) issuer: &'a [u8],
    /// Unix seconds.
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(super) subject: &'a [u8],
    pub(crate) key: Key<'a>,
    extensions: Option<&'a [u8]>,
}

impl<'a> Outline<'a> {
    /// Reads a DER certificate of any version.
    pub(crate) fn parse(der: &'a [u8]) -> Result<Outline<'a>> {
        let (signed, mut fields) = signed(der)?;
        Outline::read(&mut fields, &signed)
    }

    fn read(fields: &mut Fields<'a>, signed: &Signed<'a>) -> Result<Outline<'a>> {
        let version = match fields.optional(context(0, true))? {
            Some(version) => {
                match Fields::small_number(Field::only(version.value, Tag::Integer)?)? {
                    number @ 0..=2 => number as u8 + 1,
                    _ => return Err(Tag::Integer.value_error().into()),
                }
            }
            None => 1,
        };
        let serial = fields.of(Tag::Integer)?;
        IntRef::from_der(serial.whole)?;
        // "This field MUST contain the same algorithm identifier as the signatureAlgorithm field in
        // the sequence Certificate" (RFC 5280 §4.1.2.3).
        if fields.of(Tag::Sequence)?.value != signed.algorithm {
            return Err(Tag::Sequence.value_error().into());
        }
        let issuer = fields.of(Tag::Sequence)?.value;
        let mut validity = fields.of(Tag::Sequence)?.fields()?;
        let not_before = time(validity.next()?)?;
        let not_after = time(validity.next()?)?;
        validity.finish()?;
        let subject = fields.of(Tag::Sequence)?.value;
        let key = Key::parse(fields.of(Tag::Sequence)?)?;
        fields.optional(context(1, false))?;
        fields.optional(context(2, false))?;
        let extensions = match fields.optional(context(3, true))? {
            Some(wrapped) => Some(Field::only(wrapped.value, Tag::Sequence)?.value),
            None => None,
        };
        fields.clone().finish()?;
        Ok(Outline {
            version,
            serial: serial.value,
            issuer,
            not_before,
            not_after,
            subject,
            key,
            extensions,
        })
    }
}

impl<'a> Key<'a> {
    fn parse(info: Field<'a>) -> Result<Key<'a>> {
        let mut fields = info.fields()?;
        let algorithm = fields.of(Tag::Sequence)?.value;
        let bytes = bits(fields.next()?)?;
        fields.finish()?;
        Ok(Key { algorithm, bytes })
    }

    /// Of an RSA key (RFC 3279 §2.3.1).
    pub(super) fn is_rsa(&self) -> bool {
        self.algorithm == alg_id::RSA_ENCRYPTION.as_ref()
    }
}

/// Takes the outermost structure apart; the fields are those of the part that is signed.
pub(super) fn signed(der: &[u8]) -> Result<(Signed<'_>, Fields<'_>)> {
    let mut outer = Field::only(der, Tag::Sequence)?.fields()?;
    let message = outer.of(Tag::Sequence)?;
    let algorithm = outer.of(Tag::Sequence)?.value;
    let signature = bits(outer.next()?)?;
    outer.finish()?;
    let signed = Signed {
        message: message.whole,
        algorithm,
        signature,
    };
    Ok((signed, message.fields()?))
}

/// A BIT STRING of whole bytes.
pub(super) fn bits(field: Field<'_>) -> Result<&[u8]> {
    let bits = BitStringRef::from_der(field.whole)?;
    bits.as_bytes()
        .ok_or_else(|| Tag::BitString.value_error().into())
}

/// UTCTime or GeneralizedTime (RFC 5280 §4.1.2.5), in Unix seconds.
pub(super) fn time(field: Field<'_>) -> Result<u64> {
    Ok(Time::from_der(field.whole)?.to_unix_duration().as_secs())
}

/// Whether a key of this kind can have made a signature of that kind, as far as the object
/// identifiers' families tell.
fn same_kind(signature: &[u8], key: &[u8]) -> bool {
    /// 1.2.840.113549.1.1 and 1.2.840.10045.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d];
    let id = |algorithm| -> Option<Vec<u8>> {
        let mut fields = Fields::new(algorithm).ok()?;
        Some(fields.of(Tag::ObjectIdentifier).ok()?.value.to_vec())
    };
    let (Some(signature), Some(key)) = (id(signature), id(key)) else {
        return false;
    };
    signature == key
        || [RSA, ELLIPTIC]
            .iter()
            .any(|family| signature.starts_with(family) && key.starts_with(family))
}
