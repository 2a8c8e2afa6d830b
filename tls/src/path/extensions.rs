//! The extensions that path validation goes by (RFC 5280 §4.2.1).

use alloc::vec::Vec;

use x509_cert::der::asn1::BitStringRef;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Error, Result, Tag};

use super::fields::{Field, Fields, context};
use super::general::{GeneralName, GeneralNames};
use super::name::Name;

/// Most extensions in one certificate; honest ones have about ten.
pub(super) const MAX_EXTENSIONS: usize = 64;

/// What could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// Everything that is known of one certificate's extensions.
#[derive(Clone, Default)]
pub(super) struct Extensions<'a> {
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<ExtendedKeyUsage>,
    /// Netscape's certificate type, as OpenSSL still reads it: a bit string's first byte.
    pub(super) netscape_type: Option<u8>,
    pub(super) subject_alternative_names: Option<GeneralNames<'a>>,
    pub(super) name_constraints: Option<NameConstraints<'a>>,
    pub(super) subject_key: Option<&'a [u8]>,
    pub(super) authority_key: AuthorityKey<'a>,
    /// The first critical extension that is not known here.
    pub(super) unknown_critical: Option<ObjectIdentifier>,
    /// A proxy certificate (RFC 3820).
    pub(super) proxy: bool,
    /// The authority information access extension's value, unread (RFC 5280 §4.2.2.1).
    pub(super) authority_information: Option<&'a [u8]>,
}

/// RFC 5280 §4.2.1.9.
#[derive(Clone, Copy, Debug)]
pub(super) struct BasicConstraints {
    pub(super) authority: bool,
    pub(super) path_length: Option<u32>,
}

/// RFC 5280 §4.2.1.3: bit 0 is the first byte's highest.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyUsage(u8);

impl KeyUsage {
    pub(super) const DIGITAL_SIGNATURE: u8 = 0x80;
    pub(super) const NON_REPUDIATION: u8 = 0x40;
    pub(super) const KEY_ENCIPHERMENT: u8 = 0x20;
    pub(super) const KEY_AGREEMENT: u8 = 0x08;
    pub(super) const CERTIFICATE_SIGN: u8 = 0x04;
    pub(super) const CRL_SIGN: u8 = 0x02;

    pub(super) fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }
}

/// RFC 5280 §4.2.1.12, as far as TLS and OCSP are concerned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ExtendedKeyUsage {
    pub(super) server: bool,
    pub(super) client: bool,
    /// id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
    pub(super) ocsp_signing: bool,
}

/// RFC 5280 §4.2.1.1.
#[derive(Clone, Default)]
pub(super) struct AuthorityKey<'a> {
    pub(super) identifier: Option<&'a [u8]>,
    /// The canonical form of the issuer's own issuer.
    pub(super) issuer: Option<Vec<u8>>,
    pub(super) serial: Option<&'a [u8]>,
}

/// RFC 5280 §4.2.1.10: the contents of two GeneralSubtrees.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameConstraints<'a> {
    pub(super) permitted: &'a [u8],
    pub(super) excluded: &'a [u8],
}

/// Object identifiers' values below 2.5.29.
mod id {
    pub(super) const SUBJECT_KEY: u8 = 14;
    pub(super) const KEY_USAGE: u8 = 15;
    pub(super) const SUBJECT_ALTERNATIVE_NAME: u8 = 17;
    pub(super) const BASIC_CONSTRAINTS: u8 = 19;
    pub(super) const NAME_CONSTRAINTS: u8 = 30;
    pub(super) const CRL_DISTRIBUTION_POINTS: u8 = 31;
    pub(super) const CERTIFICATE_POLICIES: u8 = 32;
    pub(super) const AUTHORITY_KEY: u8 = 35;
    pub(super) const EXTENDED_KEY_USAGE: u8 = 37;

    /// 2.16.840.1.113730.1.1.
    pub(super) const NETSCAPE_TYPE: &[u8] = &[0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1];
    /// 1.3.6.1.5.5.7.1.14.
    pub(super) const PROXY: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 14];
    /// 1.3.6.1.5.5.7.3.1, .2 and .9.
    pub(super) const SERVER: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
    pub(super) const CLIENT: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
    pub(super) const OCSP_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 9];
    /// 1.3.6.1.5.5.7.1.1.
    pub(super) const AUTHORITY_INFORMATION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
}

/// One extension, in a certificate or a revocation list.
pub(super) struct Extension<'a> {
    pub(super) id: &'a [u8],
    pub(super) critical: bool,
    pub(super) value: &'a [u8],
}

/// Reads the content of `Extensions` and hands each one over. "A certificate MUST NOT include more
/// than one instance of a particular extension" (RFC 5280 §4.2).
pub(super) fn each<'a>(
    extensions: &'a [u8],
    mut take: impl FnMut(Extension<'a>) -> core::result::Result<(), Malformed>,
) -> core::result::Result<(), Malformed> {
    let bad = |_: Error| Malformed("extensions");
    let mut fields = Fields::new(extensions).map_err(bad)?;
    let mut seen: Vec<&[u8]> = Vec::new();
    while !fields.is_empty() {
        let extension = next_extension(&mut fields).map_err(bad)?;
        if seen.contains(&extension.id) || seen.len() == MAX_EXTENSIONS {
            return Err(Malformed("extensions"));
        }
        seen.push(extension.id);
        take(extension)?;
    }
    Ok(())
}

fn next_extension<'a>(fields: &mut Fields<'a>) -> Result<Extension<'a>> {
    let mut extension = fields.of(Tag::Sequence)?.fields()?;
    let id = extension.of(Tag::ObjectIdentifier)?.value;
    let critical = extension.flag()?;
    let value = extension.of(Tag::OctetString)?.value;
    extension.finish()?;
    Ok(Extension {
        id,
        critical,
        value,
    })
}

impl<'a> Extensions<'a> {
    /// Reads the content of `Extensions`; known ones that are damaged are an error.
    pub(super) fn parse(extensions: &'a [u8]) -> core::result::Result<Extensions<'a>, Malformed> {
        let mut all = Extensions::default();
        each(extensions, |extension| all.take(&extension))?;
        Ok(all)
    }

    fn take(&mut self, extension: &Extension<'a>) -> core::result::Result<(), Malformed> {
        let value = extension.value;
        let bad = |what| move |_: Error| Malformed(what);
        match extension.id {
            [0x55, 0x1d, number] => match *number {
                id::SUBJECT_KEY => {
                    let key = Field::only(value, Tag::OctetString);
                    self.subject_key = Some(key.map_err(bad("subject key identifier"))?.value);
                }
                id::KEY_USAGE => {
                    let usage = KeyUsage::parse(value).map_err(bad("key usage"))?;
                    self.key_usage = Some(usage);
                }
                id::SUBJECT_ALTERNATIVE_NAME => {
                    let names = Field::only(value, Tag::Sequence)
                        .and_then(|names| GeneralNames::parse(names.value))
                        .map_err(bad("subject alternative names"))?;
                    self.subject_alternative_names = Some(names);
                }
                id::BASIC_CONSTRAINTS => {
                    let constraints = BasicConstraints::parse(value);
                    self.basic_constraints = Some(constraints.map_err(bad("basic constraints"))?);
                }
                id::NAME_CONSTRAINTS => {
                    let constraints = NameConstraints::parse(value);
                    self.name_constraints = Some(constraints.map_err(bad("name constraints"))?);
                }
                id::AUTHORITY_KEY => {
                    let key = AuthorityKey::parse(value);
                    self.authority_key = key.map_err(bad("authority key identifier"))?;
                }
                id::EXTENDED_KEY_USAGE => {
                    let usage = ExtendedKeyUsage::parse(value);
                    self.extended_key_usage = Some(usage.map_err(bad("extended key usage"))?);
                }
                // Policies limit nothing here: any policy will do, as in OpenSSL without
                // `-policy_check`. Revocation lists are given, not fetched.
                id::CERTIFICATE_POLICIES | id::CRL_DISTRIBUTION_POINTS => {}
                _ => self.unknown(extension),
            },
            id::NETSCAPE_TYPE => {
                let kinds = BitStringRef::from_der(value).map_err(bad("certificate type"))?;
                self.netscape_type = Some(kinds.raw_bytes().first().copied().unwrap_or(0));
            }
            id::PROXY => self.proxy = true,
            id::AUTHORITY_INFORMATION => {
                self.authority_information = Some(value);
                // OpenSSL refuses one that is critical, too.
                self.unknown(extension);
            }
            _ => self.unknown(extension),
        }
        Ok(())
    }

    fn unknown(&mut self, extension: &Extension<'a>) {
        if extension.critical && self.unknown_critical.is_none() {
            // One with an odd identifier is refused all the same.
            let id = ObjectIdentifier::from_bytes(extension.id);
            self.unknown_critical = Some(id.unwrap_or(ObjectIdentifier::new_unwrap("0.0")));
        }
    }
}

impl KeyUsage {
    fn parse(value: &[u8]) -> Result<KeyUsage> {
        let bits = BitStringRef::from_der(value)?;
        // "When the keyUsage extension appears in a certificate, at least one of the bits MUST be
        // set to 1" (RFC 5280 §4.2.1.3).
        if bits.raw_bytes().iter().all(|byte| *byte == 0) {
            return Err(Tag::BitString.value_error().into());
        }
        Ok(KeyUsage(bits.raw_bytes().first().copied().unwrap_or(0)))
    }
}

impl BasicConstraints {
    fn parse(value: &[u8]) -> Result<BasicConstraints> {
        let mut fields = Field::only(value, Tag::Sequence)?.fields()?;
        let authority = fields.flag()?;
        let path_length = match fields.optional(Tag::Integer)? {
            Some(length) => Some(Fields::small_number(length)?),
            None => None,
        };
        fields.finish()?;
        Ok(BasicConstraints {
            authority,
            path_length,
        })
    }
}

impl ExtendedKeyUsage {
    fn parse(value: &[u8]) -> Result<ExtendedKeyUsage> {
        let mut purposes = Field::only(value, Tag::Sequence)?.fields()?;
        let mut usage = ExtendedKeyUsage::default();
        while !purposes.is_empty() {
            match purposes.of(Tag::ObjectIdentifier)?.value {
                id::SERVER => usage.server = true,
                id::CLIENT => usage.client = true,
                id::OCSP_SIGNING => usage.ocsp_signing = true,
                _ => {}
            }
        }
        Ok(usage)
    }
}

impl<'a> AuthorityKey<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<AuthorityKey<'a>> {
        let mut fields = Field::only(value, Tag::Sequence)?.fields()?;
        let identifier = fields.optional(context(0, false))?;
        let issuer = fields.optional(context(1, true))?;
        let serial = fields.optional(context(2, false))?;
        fields.finish()?;
        let issuer = match issuer {
            Some(names) => first_directory_name(names.value)?,
            None => None,
        };
        Ok(AuthorityKey {
            identifier: identifier.map(|field| field.value),
            issuer,
            serial: serial.map(|field| field.value),
        })
    }
}

fn first_directory_name(names: &[u8]) -> Result<Option<Vec<u8>>> {
    let name = GeneralNames::parse(names)?
        .iter()
        .find_map(|name| match name {
            GeneralName::Directory(name) => Some(name),
            _ => None,
        });
    match name {
        Some(name) => Ok(Some(Name::parse(name)?.canonical().to_vec())),
        None => Ok(None),
    }
}

impl<'a> NameConstraints<'a> {
    fn parse(value: &'a [u8]) -> Result<NameConstraints<'a>> {
        let mut fields = Field::only(value, Tag::Sequence)?.fields()?;
        let permitted = fields.optional(context(0, true))?;
        let excluded = fields.optional(context(1, true))?;
        fields.finish()?;
        let constraints = NameConstraints {
            permitted: permitted.map_or(&[], |field| field.value),
            excluded: excluded.map_or(&[], |field| field.value),
        };
        for subtrees in [constraints.permitted, constraints.excluded] {
            for subtree in Subtrees::new(subtrees)? {
                subtree?;
            }
        }
        Ok(constraints)
    }
}

/// The subtrees of one GeneralSubtrees: each base, and whether it has a minimum or a maximum, which
/// RFC 5280 §4.2.1.10 does not use.
pub(super) struct Subtrees<'a>(Fields<'a>);

impl<'a> Subtrees<'a> {
    pub(super) fn new(subtrees: &'a [u8]) -> Result<Subtrees<'a>> {
        Fields::new(subtrees).map(Subtrees)
    }

    fn subtree(&mut self) -> Result<(GeneralName<'a>, bool)> {
        let mut fields = self.0.of(Tag::Sequence)?.fields()?;
        let base = GeneralName::parse(fields.next()?)?;
        // An explicit minimum of 0, the default, is let pass.
        let minimum = fields.optional(context(0, false))?;
        let maximum = fields.optional(context(1, false))?;
        fields.finish()?;
        let bounded = maximum.is_some() || minimum.is_some_and(|field| field.value != [0]);
        Ok((base, bounded))
    }
}

impl<'a> Iterator for Subtrees<'a> {
    type Item = Result<(GeneralName<'a>, bool)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| self.subtree())
    }
}
