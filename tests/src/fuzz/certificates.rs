//! Certificates, keys and revocation lists.

use std::net::IpAddr;

use stockade_tls::{
    Client, ClientOptions, Identity, NameCheck, PathOptions, PathValidator, PeerName, Provider,
    Purpose, Trust, WallClock,
};

use super::input::Input;

/// Unix seconds of 2026-01-01, within the validity of the committed certificates.
const NOW: u64 = 1_767_225_600;
/// The host that the committed certificates are for.
const HOST: &str = "localhost";
/// Blocks of one input at most.
const BLOCKS_MOST: usize = 24;

/// The identity loader gets all of it as a PEM text.
const AS_PEM: u8 = 0;
/// One certificate is leaf and trust anchor at once, so that no signature stands in the way.
const ALONE: u8 = 1;

/// A byte that says what the rest is: a PEM text, one certificate (DER or PEM), or else a chain of
/// blocks: the leaf, the trusted ones, those sent along, the revocation lists, which the first
/// block's bytes count.
///
/// Checked: refusals say something; what both providers read as an identity, they judge alike.
pub fn certificates(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() {
        Some(AS_PEM) => identity(input.rest()),
        Some(ALONE) => alone(input.rest()),
        Some(options) => {
            chain(options, &mut input);
        }
        None => {}
    }
}

fn identity(text: &[u8]) {
    let verdicts =
        [Provider::Ring, Provider::RustCrypto].map(|provider| {
            match Identity::from_pem(text, text, provider) {
                Ok(identity) => {
                    for warning in identity.warnings(NOW) {
                        assert!(!warning.to_string().is_empty());
                    }
                    true
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    false
                }
            }
        });
    assert_eq!(verdicts[0], verdicts[1], "ring and RustCrypto disagree");
}

/// Every way to trust, and every kind of name.
fn alone(certificate: &[u8]) {
    let address = IpAddr::from([127, 0, 0, 1]);
    let names = [
        PeerName::Host(HOST.into()),
        PeerName::Email("a@example.org".into()),
        PeerName::Address(address),
    ];
    for trust in [Trust::Chain, Trust::Peer, Trust::ChainAndPeer] {
        for purpose in [Purpose::Server, Purpose::Client] {
            let names = names.to_vec();
            let options = PathOptions {
                trust,
                names: NameCheck::AnyOf(names),
                revocation_lists: Vec::new(),
            };
            judge(&[certificate.to_vec()], options, purpose, certificate, &[]);
        }
    }
    let lists = PathOptions {
        revocation_lists: vec![certificate.to_vec()],
        ..PathOptions::default()
    };
    let root = include_bytes!("../../fixtures/version-1-authority.pem");
    judge(&[root.to_vec()], lists, Purpose::Server, certificate, &[]);
    webpki(vec![certificate.to_vec()]);
}

fn chain(options: u8, input: &mut Input<'_>) -> Option<()> {
    let counts = input.byte()?;
    let (roots, lists) = (usize::from(counts & 7), usize::from(counts >> 3 & 7));
    let leaf = input.block()?;
    let mut blocks = Vec::new();
    while blocks.len() < BLOCKS_MOST
        && let Some(block) = input.block()
    {
        blocks.push(block);
    }
    let (roots, rest) = blocks.split_at(roots.min(blocks.len()));
    let (lists, sent) = rest.split_at(lists.min(rest.len()));
    let owned = |blocks: &[&[u8]]| blocks.iter().map(|block| block.to_vec()).collect();
    let purpose = match options & 2 {
        0 => Purpose::Server,
        _ => Purpose::Client,
    };
    let path = PathOptions {
        trust: [Trust::Chain, Trust::Peer, Trust::ChainAndPeer][usize::from(options >> 2) % 3],
        names: match purpose {
            Purpose::Server => NameCheck::ServerName,
            Purpose::Client => NameCheck::Nobody,
        },
        revocation_lists: owned(lists),
    };
    let roots: Vec<Vec<u8>> = owned(roots);
    judge(&roots, path, purpose, leaf, sent);
    webpki(roots);
    Some(())
}

fn judge(
    roots: &[Vec<u8>],
    options: PathOptions,
    purpose: Purpose,
    leaf: &[u8],
    sent: &[&[u8]],
) -> bool {
    let validator = match PathValidator::new(Provider::Ring, purpose, roots, options) {
        Ok(validator) => validator,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let server = Some(PeerName::Host(HOST.into()));
    match validator.validate(leaf, sent, server, NOW) {
        Ok(()) => true,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            false
        }
    }
}

/// The roots as webpki reads them.
fn webpki(roots: Vec<Vec<u8>>) {
    if let Err(error) = Client::new(ClientOptions::new(roots, WallClock::new(NOW))) {
        assert!(!error.to_string().is_empty());
    }
}
