//! The public roots that an authority's server is judged by; build.rs chooses them.

use rustls::pki_types::{Der, TrustAnchor};

/// Names and keys of the roots.
pub(crate) static PUBLIC: &[TrustAnchor<'static>] = include!(concat!(env!("OUT_DIR"), "/roots.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    fn has(name: &str) -> bool {
        PUBLIC.iter().any(|root| {
            let subject = root.subject.as_ref();
            subject.ends_with(name.as_bytes())
        })
    }

    #[test]
    fn authorities_that_issue_by_acme_are_known() {
        for name in [
            "ISRG Root X1",
            "ISRG Root X2",
            "GTS Root R1",
            "GTS Root R4",
            "USERTrust RSA Certification Authority",
            "USERTrust ECC Certification Authority",
            "SSL.com Root Certification Authority RSA",
            "DigiCert Global Root G2",
            "Actalis Authentication Root CA",
        ] {
            assert!(has(name), "{name}");
        }
    }

    #[test]
    fn others_are_left_out_and_what_is_there_is_whole() {
        assert!(!has("Amazon Root CA 1"));
        let of_mozilla = |root: &TrustAnchor<'_>| {
            let mut all = webpki_roots::TLS_SERVER_ROOTS.iter();
            all.any(|other| other == root)
        };
        assert!(PUBLIC.iter().all(of_mozilla));
        assert!(PUBLIC.len() < webpki_roots::TLS_SERVER_ROOTS.len() / 2);
    }
}
