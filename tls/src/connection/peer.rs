//! What a connection knows of its peer's certificates.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Connection, Side};
use crate::{PeerCertificate, PeerName, Refusal, StatusQuery, Verdict};

impl Connection {
    /// The certificate that the peer has shown, in this handshake or in the one that was resumed.
    #[must_use]
    pub fn peer(&self) -> Option<PeerCertificate> {
        let chain = self.side.peer_certificates();
        chain.first().map(|leaf| PeerCertificate::read(0, leaf))
    }

    /// All certificates that the peer has shown: its own first, and then as they were sent.
    #[must_use]
    pub fn peer_chain(&self) -> Vec<PeerCertificate> {
        let chain = self.side.peer_certificates();
        let numbered = chain.iter().enumerate();
        numbered
            .map(|(depth, certificate)| PeerCertificate::read(depth, certificate))
            .collect()
    }

    /// The DER of the certificate that the peer has shown ([`peer`](Self::peer)).
    #[must_use]
    pub fn peer_der(&self) -> Option<&[u8]> {
        self.side.peer_certificates().first().map(AsRef::as_ref)
    }

    /// The first common name (CN) of that certificate's subject, as it stands there.
    #[must_use]
    pub fn peer_common_name(&self) -> Option<String> {
        crate::path::common_name(self.peer_der()?)
    }

    /// The first of `names` that the peer's certificate is for, and for a host the name in it that
    /// says so: `("www.example.org", "*.example.org")`. Proves nothing by itself.
    #[must_use]
    pub fn peer_matches<'n>(&self, names: &'n [PeerName]) -> Option<(&'n PeerName, String)> {
        crate::path::matching_name(self.peer_der()?, names)
    }

    /// Whether a client's certificate was verified against what the server trusts
    /// ([`ClientVerify::Chain`](crate::ClientVerify::Chain) or
    /// [`Path`](crate::ClientVerify::Path)), in this handshake or in the one that was resumed.
    #[must_use]
    pub fn client_verified(&self) -> bool {
        let Side::Server { accepted, .. } = &self.side else {
            return false;
        };
        self.handshake.is_some()
            && self.peer_der().is_some()
            && accepted.verifies()
            && self.verdict.as_ref().is_none_or(Verdict::is_good)
    }

    /// What can be asked by OCSP about the peer, once the handshake is done: about each certificate
    /// of its path but the trust anchor. None where path validation of ours
    /// ([`VerifyMode::Path`](crate::VerifyMode::Path), [`ClientVerify::Path`](crate::ClientVerify))
    /// has not judged a path, but the peer's certificate alone or nothing.
    ///
    /// # Errors
    ///
    /// The peer is not accepted any more: its session was resumed, and its certificate has expired
    /// meanwhile.
    pub fn status_queries(&self, unix_seconds: u64) -> Result<Vec<StatusQuery>, Refusal> {
        self.side.status_queries(unix_seconds)
    }

    /// The OCSP response that the server has stapled to its certificate in this very handshake,
    /// unchecked; for clients with
    /// [`keep_staples`](crate::ClientOptions::keep_staples). Once.
    pub fn take_staple(&mut self) -> Option<Vec<u8>> {
        self.staple.take()
    }
}
