//! The certificates that are trusted, found by their subject.

use alloc::vec::Vec;

use rustls::DistinguishedName;
use rustls::pki_types::CertificateDer;
use x509_cert::der::{Encode, Tag, asn1::AnyRef};

use super::certificate::Certificate;
use super::extensions::Malformed;

/// What CAfile holds: trust anchors, which are self-signed, intermediates, and pinned peers.
#[derive(Default)]
pub(super) struct Store {
    /// Sorted by canonical subject.
    entries: Vec<Entry>,
}

struct Entry {
    subject: Vec<u8>,
    der: CertificateDer<'static>,
}

impl Store {
    /// Adds a certificate; one that is there already is not added again.
    pub(super) fn add(&mut self, der: CertificateDer<'static>) -> Result<(), Malformed> {
        let subject = Certificate::parse(&der)?.subject.canonical().to_vec();
        let start = self
            .entries
            .partition_point(|entry| entry.subject < subject);
        let mut same = self.named(&subject);
        if !same.any(|known| known == der.as_ref()) {
            drop(same);
            self.entries.insert(start, Entry { subject, der });
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The DER of all certificates with this canonical subject.
    pub(super) fn named(&self, subject: &[u8]) -> impl Iterator<Item = &[u8]> {
        let start = self
            .entries
            .partition_point(|entry| entry.subject.as_slice() < subject);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.iter()
            .take_while(move |entry| entry.subject == subject)
            .map(|entry| entry.der.as_ref())
    }

    /// Whether this very certificate is there.
    pub(super) fn holds(&self, certificate: &Certificate<'_>) -> bool {
        self.named(certificate.subject.canonical())
            .any(|der| der == certificate.der)
    }

    /// The subjects, for a server's CertificateRequest (RFC 8446 §4.2.4).
    pub(super) fn subjects(&self) -> Vec<DistinguishedName> {
        let mut subjects = Vec::new();
        let mut last: &[u8] = &[];
        for entry in &self.entries {
            if core::mem::replace(&mut last, &entry.subject) == entry.subject {
                continue;
            }
            let Ok(certificate) = Certificate::parse(&entry.der) else {
                continue;
            };
            let name = AnyRef::new(Tag::Sequence, certificate.subject.der());
            if let Ok(name) = name.and_then(|name| name.to_der()) {
                subjects.push(DistinguishedName::from(name));
            }
        }
        subjects
    }
}
