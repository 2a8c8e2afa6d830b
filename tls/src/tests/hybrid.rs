//! X25519MLKEM768 against its parts put together by hand, as draft-ietf-tls-ecdhe-mlkem says.

use std::vec::Vec;

use ml_kem::kem::{Decapsulate, Kem, KeyExport};
use ml_kem::{B32, MlKem768, Seed};
use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;

use super::PROVIDERS;
use crate::Provider;

fn group(provider: Provider, name: NamedGroup) -> &'static dyn SupportedKxGroup {
    let groups = provider.crypto().kx_groups;
    groups
        .into_iter()
        .find(|group| group.name() == name)
        .unwrap()
}

#[test]
fn clients_share_and_secret_have_their_parts_in_order() {
    for provider in PROVIDERS {
        let exchange = group(provider, NamedGroup::X25519MLKEM768).start().unwrap();
        let share = exchange.pub_key().to_vec();
        assert_eq!(share.len(), 1184 + 32);
        let (name, half) = exchange.hybrid_component().unwrap();
        assert_eq!((name, half), (NamedGroup::X25519, &share[1184..]));

        let key = share[..1184].try_into().unwrap();
        let key = <MlKem768 as Kem>::EncapsulationKey::new(key).unwrap();
        let (ciphertext, kem_secret) = key.encapsulate_deterministic(&B32::from([7; 32]));
        let x25519 = group(provider, NamedGroup::X25519)
            .start_and_complete(&share[1184..])
            .unwrap();
        let mut answer = Vec::from(ciphertext.as_slice());
        assert_eq!(answer.len(), 1088);
        answer.extend_from_slice(&x25519.pub_key);
        let secret = exchange.complete(&answer).unwrap();
        let expected = [kem_secret.as_slice(), x25519.secret.secret_bytes()].concat();
        assert_eq!(secret.secret_bytes(), expected);
    }
}

#[test]
fn servers_share_and_secret_have_their_parts_in_order() {
    for provider in PROVIDERS {
        let key = <MlKem768 as Kem>::DecapsulationKey::from_seed(Seed::from([9; 64]));
        let x25519 = group(provider, NamedGroup::X25519).start().unwrap();
        let mut share = Vec::from(key.encapsulation_key().to_bytes().as_slice());
        share.extend_from_slice(x25519.pub_key());

        let hybrid = group(provider, NamedGroup::X25519MLKEM768);
        let completed = hybrid.start_and_complete(&share).unwrap();
        assert_eq!(completed.group, NamedGroup::X25519MLKEM768);
        assert_eq!(completed.pub_key.len(), 1088 + 32);
        let kem_secret = key.decapsulate_slice(&completed.pub_key[..1088]).unwrap();
        let x25519_secret = x25519.complete(&completed.pub_key[1088..]).unwrap();
        let expected = [kem_secret.as_slice(), x25519_secret.secret_bytes()].concat();
        assert_eq!(completed.secret.secret_bytes(), expected);
    }
}

#[test]
fn hybrid_secrets_differ_each_time() {
    for provider in PROVIDERS {
        let hybrid = group(provider, NamedGroup::X25519MLKEM768);
        let share = hybrid.start().unwrap().pub_key().to_vec();
        let one = hybrid.start_and_complete(&share).unwrap();
        let other = hybrid.start_and_complete(&share).unwrap();
        assert_ne!(
            one.secret.secret_bytes()[..32],
            other.secret.secret_bytes()[..32]
        );
        assert_ne!(
            one.secret.secret_bytes()[32..],
            other.secret.secret_bytes()[32..]
        );
    }
}
