//! Who judges clients' certificates.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{DistinguishedName, Error};

use super::{ClientAuth, ClientVerify};
use crate::client::read_roots;
use crate::path::PathVerifier;
use crate::verifier::AnyCertificate;
use crate::{ConfigError, PathValidator, Purpose, Refusal, StatusQuery};

/// A server's judge of clients, if it asks for certificates at all.
pub(super) struct Judge {
    bench: Bench,
    end: End,
}

enum Bench {
    /// Nobody is asked, or anything will do.
    Any(AnyCertificate),
    /// webpki.
    Chain(Arc<dyn ClientCertVerifier>),
    /// Our own validation.
    Path(Box<PathVerifier>),
}

/// What becomes of clients without a good certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nobody is asked.
    Off,
    /// One that is shown must be good.
    Request,
    Require,
    Note,
}

impl Judge {
    pub(super) fn new(
        auth: &ClientAuth,
        crypto: &Arc<CryptoProvider>,
    ) -> Result<Judge, ConfigError> {
        let (end, verify) = match auth {
            ClientAuth::Off => (End::Off, &ClientVerify::Any),
            ClientAuth::Request(verify) => (End::Request, verify),
            ClientAuth::Require(verify) => (End::Require, verify),
            ClientAuth::Note(verify) => (End::Note, verify),
        };
        let algorithms = crypto.signature_verification_algorithms;
        let bench = match verify {
            ClientVerify::Any => Bench::Any(AnyCertificate::new(algorithms)),
            ClientVerify::Chain { roots } => {
                let roots = Arc::new(read_roots(roots, &[])?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, crypto.clone());
                let verifier = verifier.build().map_err(|error| ConfigError::Internal {
                    reason: error.to_string(),
                })?;
                Bench::Chain(verifier)
            }
            ClientVerify::Path { roots, options } => {
                let validator = PathValidator::with_algorithms(
                    algorithms,
                    Purpose::Client,
                    roots,
                    options.clone(),
                )?;
                Bench::Path(Box::new(PathVerifier::new(validator)))
            }
        };
        Ok(Judge { bench, end })
    }

    /// Whether clients are asked for a certificate.
    pub(super) fn asks(&self) -> bool {
        self.end != End::Off
    }

    /// Whether a certificate must be more than any.
    pub(super) fn verifies(&self) -> bool {
        self.asks() && !matches!(self.bench, Bench::Any(_))
    }

    pub(super) fn required(&self) -> bool {
        self.end == End::Require
    }

    /// Whether verdicts are only noted.
    pub(super) fn notes(&self) -> bool {
        self.end == End::Note
    }

    /// Authorities that clients' certificates should be of.
    pub(super) fn subjects(&self) -> &[DistinguishedName] {
        match &self.bench {
            Bench::Any(_) => &[],
            Bench::Chain(verifier) => verifier.root_hint_subjects(),
            Bench::Path(verifier) => verifier.subjects(),
        }
    }

    /// Judges what a client has shown.
    pub(super) fn examine(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), (Error, Option<Box<Refusal>>)> {
        match &self.bench {
            Bench::Any(_) => Ok(()),
            Bench::Chain(verifier) => verifier
                .verify_client_cert(certificate, intermediates, now)
                .map(drop)
                .map_err(|error| (error, None)),
            Bench::Path(verifier) => verifier
                .judge(certificate, intermediates, None, now)
                .map_err(|refusal| (PathVerifier::error(&refusal), Some(Box::new(refusal)))),
        }
    }

    /// What can be asked about a client that was accepted.
    pub(super) fn status_queries(
        &self,
        chain: &[CertificateDer<'_>],
        now: u64,
    ) -> Result<Vec<StatusQuery>, Refusal> {
        match &self.bench {
            Bench::Any(_) | Bench::Chain(_) => Ok(Vec::new()),
            Bench::Path(verifier) => verifier.status_queries(chain, None, now),
        }
    }

    /// Who checks that the client has its certificate's key.
    pub(super) fn signatures(&self) -> &dyn ClientCertVerifier {
        match &self.bench {
            Bench::Any(verifier) => verifier,
            Bench::Chain(verifier) => verifier.as_ref(),
            Bench::Path(verifier) => verifier.signatures(),
        }
    }
}

/// All that decides whether a client is let in, as bytes: sessions must not cross from one way of
/// judging to another.
pub(super) fn fingerprint(auth: &ClientAuth) -> Vec<u8> {
    let (mut bytes, verify) = match auth {
        ClientAuth::Off => return Vec::from([0]),
        ClientAuth::Request(verify) => (Vec::from([1]), verify),
        ClientAuth::Require(verify) => (Vec::from([2]), verify),
        ClientAuth::Note(verify) => (Vec::from([3]), verify),
    };
    let mut push = |value: &[u8]| {
        bytes.extend_from_slice(&(value.len() as u64).to_be_bytes());
        bytes.extend_from_slice(value);
    };
    match verify {
        ClientVerify::Any => push(b"any"),
        ClientVerify::Chain { roots } => {
            push(b"chain");
            roots.iter().for_each(|root| push(root));
        }
        ClientVerify::Path { roots, options } => {
            push(b"path");
            push(&[roots.len() as u8]);
            roots.iter().for_each(|root| push(root));
            push(alloc::format!("{:?} {:?}", options.trust, options.names).as_bytes());
            options.revocation_lists.iter().for_each(|list| push(list));
        }
    }
    bytes
}
