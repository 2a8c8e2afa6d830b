//! Certificate revocation lists (RFC 5280 §5 and §6.3), for the peer's own certificate alone, as
//! OpenSSL's `X509_V_FLAG_CRL_CHECK` uses them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::{PemObject, SectionKind};
use x509_cert::der::{self, Tag};

use super::RefusalReason;
use super::certificate::{Certificate, Signed, signed, time};
use super::extensions::{self, AuthorityKey, KeyUsage, Malformed};
use super::facts::hexadecimal;
use super::fields::{Field, Fields, context};
use super::name::Name;
use super::signature::{self, Budget};

/// The last byte of extensions' object identifiers below 2.5.29.
const CRL_NUMBER: u8 = 20;
const REASON: u8 = 21;
const ISSUING_DISTRIBUTION_POINT: u8 = 28;
const AUTHORITY_KEY: u8 = 35;

/// CRLReason `removeFromCRL` (RFC 5280 §5.3.1).
const REMOVED: &[u8] = &[0x0a, 1, 8];

/// One list, read and indexed.
pub(super) struct RevocationList {
    der: Vec<u8>,
    /// The issuer's canonical name.
    issuer: Vec<u8>,
    this_update: u64,
    next_update: Option<u64>,
    /// The authority key identifier's key.
    issuer_key: Option<Vec<u8>>,
    scope: Scope,
    /// Where the revoked serial numbers' bytes are, in the order of these bytes.
    revoked: Vec<Range<usize>>,
}

/// What a list is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    Authorities,
    EndEntities,
    /// A delta, an indirect or partitioned list, or one with a critical extension that is not known:
    /// it cannot show that a certificate is good.
    Unusable,
}

/// All lists of a text that may also be one list in DER.
pub(super) fn lists_in(text: &[u8]) -> Result<Vec<RevocationList>, String> {
    let words = |Malformed(part)| format!("malformed {part}");
    if text.first() == Some(&0x30) {
        return Ok(Vec::from([
            RevocationList::parse(text.to_vec()).map_err(words)?
        ]));
    }
    let mut lists = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        match section {
            Ok((SectionKind::Crl, der)) => {
                lists.push(RevocationList::parse(der).map_err(words)?);
            }
            Ok(_) => {}
            Err(_) => return Err("damaged PEM".into()),
        }
    }
    if lists.is_empty() {
        return Err("neither PEM with a line `-----BEGIN X509 CRL-----` nor a DER list".into());
    }
    Ok(lists)
}

impl RevocationList {
    fn parse(der: Vec<u8>) -> Result<RevocationList, Malformed> {
        let bad = |_: der::Error| Malformed("revocation list");
        let (signed, mut fields) = signed(&der).map_err(bad)?;
        // Version, when there, is 2; nothing depends on it.
        fields.optional(Tag::Integer).map_err(bad)?;
        if fields.of(Tag::Sequence).map_err(bad)?.value != signed.algorithm {
            return Err(Malformed("signature algorithm"));
        }
        let issuer = fields.of(Tag::Sequence).map_err(bad)?.value;
        let issuer = Name::parse(issuer).map_err(bad)?.canonical().to_vec();
        let this_update = fields.next().and_then(time).map_err(bad)?;
        let mut next_update = None;
        for tag in [Tag::UtcTime, Tag::GeneralizedTime] {
            if let Some(field) = fields.optional(tag).map_err(bad)? {
                next_update = Some(time(field).map_err(bad)?);
            }
        }
        let mut scope = Scope::All;
        let revoked = match fields.optional(Tag::Sequence).map_err(bad)? {
            Some(entries) => revoked(&der, entries, &mut scope)?,
            None => Vec::new(),
        };
        let mut issuer_key = None;
        if let Some(wrapped) = fields.optional(context(0, true)).map_err(bad)? {
            let all = Field::only(wrapped.value, Tag::Sequence).map_err(bad)?;
            extensions::each(all.value, |extension| {
                match extension.id {
                    [0x55, 0x1d, AUTHORITY_KEY] => {
                        let key = AuthorityKey::parse(extension.value).map_err(bad)?;
                        issuer_key = key.identifier.map(<[u8]>::to_vec);
                    }
                    [0x55, 0x1d, ISSUING_DISTRIBUTION_POINT] => {
                        scope = scope.and(distribution_point(extension.value).map_err(bad)?);
                    }
                    [0x55, 0x1d, CRL_NUMBER] => {}
                    _ if extension.critical => scope = Scope::Unusable,
                    _ => {}
                }
                Ok(())
            })?;
        }
        fields.finish().map_err(bad)?;
        Ok(RevocationList {
            issuer,
            this_update,
            next_update,
            issuer_key,
            scope,
            revoked,
            der,
        })
    }

    fn lists(&self, serial: &[u8]) -> bool {
        let bytes = |range: &Range<usize>| self.der.get(range.clone()).unwrap_or_default();
        self.revoked
            .binary_search_by(|range| bytes(range).cmp(serial))
            .is_ok()
    }

    /// Whether it speaks of certificates like this one, issued by this issuer.
    fn is_about(&self, certificate: &Certificate<'_>, issuer: &Certificate<'_>) -> bool {
        let constraints = certificate.extensions.basic_constraints;
        let authority = constraints.is_some_and(|constraints| constraints.authority);
        let in_scope = match self.scope {
            Scope::All => true,
            Scope::Authorities => authority,
            Scope::EndEntities => !authority,
            Scope::Unusable => false,
        };
        let key = match (&self.issuer_key, issuer.extensions.subject_key) {
            (Some(wanted), Some(there)) => wanted == there,
            _ => true,
        };
        in_scope && key && self.issuer == certificate.issuer.canonical()
    }
}

impl Scope {
    fn and(self, other: Scope) -> Scope {
        if self == Scope::All { other } else { self }
    }
}

/// The serial numbers of revokedCertificates, sorted.
fn revoked(
    der: &[u8],
    entries: Field<'_>,
    scope: &mut Scope,
) -> Result<Vec<Range<usize>>, Malformed> {
    let bad = |_: der::Error| Malformed("list of revoked certificates");
    let mut revoked = Vec::new();
    let mut entries = entries.fields().map_err(bad)?;
    while !entries.is_empty() {
        let entry = entries.of(Tag::Sequence).map_err(bad)?;
        let mut entry = entry.fields().map_err(bad)?;
        let serial = entry.of(Tag::Integer).map_err(bad)?.value;
        entry.next().and_then(time).map_err(bad)?;
        let mut removed = false;
        if let Some(all) = entry.optional(Tag::Sequence).map_err(bad)? {
            extensions::each(all.value, |extension| {
                if extension.id == [0x55, 0x1d, REASON] {
                    removed = extension.value == REMOVED;
                } else if extension.critical {
                    *scope = Scope::Unusable;
                }
                Ok(())
            })?;
        }
        entry.finish().map_err(bad)?;
        if !removed {
            // Both borrow from the same bytes.
            let start = serial.as_ptr() as usize - der.as_ptr() as usize;
            revoked.push(start..start + serial.len());
        }
    }
    revoked.sort_unstable_by_key(|range| der.get(range.clone()).unwrap_or_default());
    Ok(revoked)
}

/// IssuingDistributionPoint (RFC 5280 §5.2.5).
fn distribution_point(value: &[u8]) -> der::Result<Scope> {
    let mut fields = Field::only(value, Tag::Sequence)?.fields()?;
    let mut scopes = Vec::new();
    while !fields.is_empty() {
        let field = fields.next()?;
        scopes.push(match field.tag {
            tag if field.value == [0] && tag != context(3, false) => Scope::All,
            tag if tag == context(1, false) => Scope::EndEntities,
            tag if tag == context(2, false) => Scope::Authorities,
            _ => Scope::Unusable,
        });
    }
    Ok(match scopes[..] {
        [] => Scope::All,
        [scope] => scope,
        _ => Scope::Unusable,
    })
}

/// Whether `certificate` is shown not to be revoked.
pub(super) fn check(
    lists: &[RevocationList],
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    now: u64,
    algorithms: &WebPkiSupportedAlgorithms,
    budget: &mut Budget,
) -> Result<(), RefusalReason> {
    let is_current = |list: &&RevocationList| {
        list.this_update <= now && list.next_update.is_none_or(|next| now <= next)
    };
    let about = || {
        lists
            .iter()
            .filter(|list| list.is_about(certificate, issuer))
    };
    let current = about()
        .filter(is_current)
        .max_by_key(|list| list.this_update);
    let Some(list) = current.or_else(|| about().max_by_key(|list| list.this_update)) else {
        return Err(RefusalReason::NoRevocationList {
            issuer: certificate.issuer.shown(),
        });
    };
    if list.this_update > now {
        return Err(RefusalReason::RevocationListNotYetValid {
            from: list.this_update,
        });
    }
    if let Some(next) = list.next_update.filter(|next| now > *next) {
        return Err(RefusalReason::RevocationListExpired { since: next });
    }
    // "If a key usage extension is present in the CRL issuer's certificate, verify that the cRLSign
    // bit is set" (RFC 5280 §6.3.3 (f)).
    let signs = |usage: KeyUsage| usage.any(KeyUsage::CRL_SIGN);
    if !issuer.extensions.key_usage.is_none_or(signs) {
        return Err(RefusalReason::RevocationListSignature);
    }
    let (signed, _): (Signed<'_>, Fields<'_>) =
        signed(&list.der).map_err(|_| RefusalReason::RevocationListSignature)?;
    match signature::verify(&signed, &issuer.key, algorithms, budget) {
        Ok(()) => {}
        Err(RefusalReason::TooMuchWork) => return Err(RefusalReason::TooMuchWork),
        Err(_) => return Err(RefusalReason::RevocationListSignature),
    }
    if list.lists(certificate.serial) {
        return Err(RefusalReason::Revoked {
            serial: hexadecimal(certificate.serial),
        });
    }
    Ok(())
}
