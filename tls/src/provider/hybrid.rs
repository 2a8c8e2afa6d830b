//! X25519MLKEM768, the post-quantum hybrid key exchange (draft-ietf-tls-ecdhe-mlkem).
//!
//! The client's share is an ML-KEM-768 encapsulation key followed by an X25519 public key, the
//! server's an ML-KEM-768 ciphertext followed by an X25519 public key; the secret is ML-KEM's
//! followed by X25519's. X25519 comes from the provider that runs the connection.

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_kem::kem::{Decapsulate, Kem, KeyExport};
use ml_kem::{B32, MlKem768, Seed};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroizing;

type DecapsulationKey = <MlKem768 as Kem>::DecapsulationKey;
type EncapsulationKey = <MlKem768 as Kem>::EncapsulationKey;

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, table 3).
const ENCAPSULATION_KEY: usize = 1184;
/// Bytes of an ML-KEM-768 ciphertext (FIPS 203, table 3).
const CIPHERTEXT: usize = 1088;
/// Bytes of an X25519 public key (RFC 7748 §5).
const X25519_KEY: usize = 32;
/// Bytes of the secret: 32 from each half.
const SECRET: usize = 64;

/// The group, over one provider's X25519.
#[derive(Debug)]
pub(super) struct X25519MlKem768 {
    // A reference to a reference: rustls keeps its groups in statics, and one static cannot read
    // another while it is made.
    x25519: &'static &'static dyn SupportedKxGroup,
}

impl X25519MlKem768 {
    pub(super) const fn new(x25519: &'static &'static dyn SupportedKxGroup) -> X25519MlKem768 {
        X25519MlKem768 { x25519 }
    }
}

impl SupportedKxGroup for X25519MlKem768 {
    /// The client's half: a fresh key pair of each kind.
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut seed = Zeroizing::new([0; 64]);
        super::fill_random(&mut *seed)?;
        let key = DecapsulationKey::from_seed(Seed::from(*seed));
        let x25519 = self.x25519.start()?;
        let mut share = Vec::with_capacity(ENCAPSULATION_KEY + X25519_KEY);
        share.extend_from_slice(&key.encapsulation_key().to_bytes());
        share.extend_from_slice(x25519.pub_key());
        Ok(Box::new(Exchange {
            key: Box::new(key),
            x25519,
            share,
        }))
    }

    /// The server's half: encapsulates to the client's key and answers with the ciphertext.
    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, x25519_share) = split(share, ENCAPSULATION_KEY)?;
        // "the server MUST perform the encapsulation key check described in Section 7.2 of
        // [FIPS203] on the client's encapsulation key, and abort with an illegal_parameter alert
        // if it fails": `new` refuses coefficients that are not reduced.
        let key = key
            .try_into()
            .ok()
            .and_then(|key| EncapsulationKey::new(key).ok())
            .ok_or(INVALID)?;
        let x25519 = self.x25519.start_and_complete(x25519_share)?;

        let mut message = Zeroizing::new([0; 32]);
        super::fill_random(&mut *message)?;
        let (ciphertext, kem_secret) = key.encapsulate_deterministic(&B32::from(*message));
        let kem_secret = Zeroizing::new(<[u8; 32]>::from(kem_secret));

        let mut pub_key = Vec::with_capacity(CIPHERTEXT + X25519_KEY);
        pub_key.extend_from_slice(&ciphertext);
        pub_key.extend_from_slice(&x25519.pub_key);
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key,
            secret: join(&kem_secret, &x25519.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's keys while the server's share is awaited.
struct Exchange {
    key: Box<DecapsulationKey>,
    x25519: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, x25519_share) = split(share, CIPHERTEXT)?;
        let x25519 = self.x25519.complete(x25519_share)?;
        let kem_secret = self
            .key
            .decapsulate_slice(ciphertext)
            .map_err(|_| Error::from(INVALID))?;
        let kem_secret = Zeroizing::new(<[u8; 32]>::from(kem_secret));
        Ok(join(&kem_secret, &x25519))
    }

    // The X25519 half is offered on its own too, so that a server without ML-KEM needs no second
    // round trip.
    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((NamedGroup::X25519, self.x25519.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        self.x25519.complete(share)
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

const INVALID: PeerMisbehaved = PeerMisbehaved::InvalidKeyShare;

/// ML-KEM's part, of `length` bytes, and X25519's; any other length is an error.
fn split(share: &[u8], length: usize) -> Result<(&[u8], &[u8]), Error> {
    match share.split_at_checked(length) {
        Some((kem, x25519)) if x25519.len() == X25519_KEY => Ok((kem, x25519)),
        _ => Err(INVALID.into()),
    }
}

fn join(kem_secret: &[u8; 32], x25519: &SharedSecret) -> SharedSecret {
    // Of the right size from the start: a `Vec` that grew would leave a copy behind.
    let mut secret = Vec::with_capacity(SECRET);
    secret.extend_from_slice(kem_secret);
    secret.extend_from_slice(x25519.secret_bytes());
    SharedSecret::from(secret)
}
