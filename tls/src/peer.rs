//! What a peer's certificate says, for people.

use alloc::string::String;

use rustls::pki_types::CertificateDer;

use crate::path::Facts;

/// One certificate that a peer has shown. What it says is proven only as far as the connection's
/// options had it verified.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// Its place in what the peer sent: 0 is the peer's own.
    pub depth: usize,
    /// Its subject, such as `C=PL, O=Example, CN=example.org`; escaped, and cut where it is too
    /// long. Empty when it cannot be read.
    pub subject: String,
    /// Its issuer, written alike.
    pub issuer: String,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// Start of validity, Unix seconds.
    pub not_before: u64,
    /// End of validity, Unix seconds.
    pub not_after: u64,
}

impl PeerCertificate {
    pub(crate) fn read(depth: usize, certificate: &CertificateDer<'_>) -> PeerCertificate {
        let facts = Facts::read(certificate).unwrap_or_default();
        PeerCertificate {
            depth,
            subject: facts.subject,
            issuer: facts.issuer,
            serial: facts.serial,
            not_before: facts.not_before,
            not_after: facts.not_after,
        }
    }
}
