//! Record protection (RFC 8446 §5.2), each direction with keys of its own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::crypto::tls13::OkmBlock;
use rustls::internal::{derive_traffic_iv, derive_traffic_key};
use rustls::{ContentType, ProtocolVersion, Tls13CipherSuite};

use super::Fault;
use super::schedule::next_secret;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 5;

/// Protects what is sent.
pub(super) struct Sealer {
    suite: &'static Tls13CipherSuite,
    secret: OkmBlock,
    cipher: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealer {
    pub(super) fn new(suite: &'static Tls13CipherSuite, secret: OkmBlock) -> Sealer {
        let expander = suite.hkdf_provider.expander_for_okm(&secret);
        let key = derive_traffic_key(expander.as_ref(), suite.aead_alg);
        let iv = derive_traffic_iv(expander.as_ref());
        Sealer {
            suite,
            cipher: suite.aead_alg.encrypter(key, iv),
            secret,
            sequence: 0,
        }
    }

    /// One whole record, header included.
    pub(super) fn seal(&mut self, kind: ContentType, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        let sequence = self.sequence;
        self.sequence += 1;
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.cipher.encrypt(message, sequence);
        let sealed = sealed.map_err(|_| Fault::Internal("a record could not be sealed"))?;
        Ok(sealed.encode())
    }

    /// Bytes of the record that `length` bytes of payload become, header included.
    pub(super) fn sealed_length(&self, length: usize) -> usize {
        HEADER + self.cipher.encrypted_payload_len(length)
    }

    /// Whether the keys have protected as many records as they may (RFC 8446 §5.5), but for the
    /// KeyUpdate that says so.
    pub(super) fn is_worn(&self) -> bool {
        self.sequence + 1 >= self.suite.common.confidentiality_limit
    }

    /// The keys that follow (RFC 8446 §7.2).
    pub(super) fn update(&mut self) {
        *self = Sealer::new(self.suite, next_secret(self.suite, &self.secret));
    }
}

/// Opens what is received.
pub(super) struct Opener {
    suite: &'static Tls13CipherSuite,
    secret: OkmBlock,
    cipher: Box<dyn MessageDecrypter>,
    sequence: u64,
}

impl Opener {
    pub(super) fn new(suite: &'static Tls13CipherSuite, secret: OkmBlock) -> Opener {
        let expander = suite.hkdf_provider.expander_for_okm(&secret);
        let key = derive_traffic_key(expander.as_ref(), suite.aead_alg);
        let iv = derive_traffic_iv(expander.as_ref());
        Opener {
            suite,
            cipher: suite.aead_alg.decrypter(key, iv),
            secret,
            sequence: 0,
        }
    }

    /// Opens a record's payload in place, and takes its padding off.
    pub(super) fn open<'a>(
        &mut self,
        payload: &'a mut [u8],
    ) -> Result<(ContentType, &'a [u8]), Fault> {
        let version = ProtocolVersion::TLSv1_2;
        let message = InboundOpaqueMessage::new(ContentType::ApplicationData, version, payload);
        let opened = self.cipher.decrypt(message, self.sequence);
        let opened = opened.map_err(|error| match error {
            rustls::Error::PeerSentOversizedRecord => Fault::TooLong,
            rustls::Error::PeerMisbehaved(_) => Fault::Unexpected,
            _ => Fault::BadRecord,
        })?;
        self.sequence += 1;
        Ok((opened.typ, opened.payload))
    }

    /// The keys that follow (RFC 8446 §7.2).
    pub(super) fn update(&mut self) {
        *self = Opener::new(self.suite, next_secret(self.suite, &self.secret));
    }
}
