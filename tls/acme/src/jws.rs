//! Signed requests (RFC 7515, as RFC 8555 §6.2 narrows it).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Key;

/// Who signs.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// Somebody without an account yet, who shows the public key.
    Key(&'a Key),
    /// The account with this address at the authority.
    Account {
        /// The account's key.
        key: &'a Key,
        /// The account's URL.
        url: &'a str,
    },
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// Nothing: something is only read (POST-as-GET, RFC 8555 §6.3).
    Nothing,
    /// This.
    Json(&'a Value),
}

/// An account that its owner has with the authority outside of ACME (RFC 8555 §7.3.4).
pub struct Binding {
    /// The key's name at the authority.
    pub name: String,
    /// The key that both know.
    pub secret: Zeroizing<Vec<u8>>,
}

/// A request's body, signed for this URL and with this nonce alone; its type is
/// `application/jose+json`.
pub fn sign(signer: Signer<'_>, url: &str, nonce: &str, payload: Payload<'_>) -> Vec<u8> {
    let (key, (name, value)) = match signer {
        Signer::Key(key) => (key, ("jwk", key.public_json())),
        Signer::Account { key, url } => (key, ("kid", json!(url))),
    };
    let mut protected = json!({"alg": key.algorithm(), "nonce": nonce, "url": url});
    insert(&mut protected, name, value);
    let signed = flattened(&protected, payload, |text| key.sign(text.as_bytes()));
    format!("{signed}").into_bytes()
}

impl Binding {
    /// What an account's first request holds as `externalAccountBinding`: that the key's owner and the
    /// account there are the same.
    pub fn to_json(&self, key: &Key, new_account_url: &str) -> Value {
        let protected = json!({"alg": "HS256", "kid": self.name, "url": new_account_url});
        let public = key.public_json();
        flattened(&protected, Payload::Json(&public), |text| {
            let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(&self.secret) else {
                // HMAC takes keys of every length (RFC 2104 §2).
                return Vec::new();
            };
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        })
    }
}

/// RFC 7515 §7.2.2.
fn flattened(
    protected: &Value,
    payload: Payload<'_>,
    signature: impl FnOnce(&str) -> Vec<u8>,
) -> Value {
    let word = |text: String| Base64UrlUnpadded::encode_string(text.as_bytes());
    let protected = word(format!("{protected}"));
    let payload = match payload {
        Payload::Nothing => String::new(),
        Payload::Json(value) => word(format!("{value}")),
    };
    let signature = signature(&format!("{protected}.{payload}"));
    let signature = Base64UrlUnpadded::encode_string(&signature);
    json!({"protected": protected, "payload": payload, "signature": signature})
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::Verifier;
    use p256::ecdsa::{Signature, VerifyingKey};

    const URL: &str = "https://ca.example/new-order";

    fn key() -> Key {
        Key::draw(|bytes| bytes.fill(7)).unwrap()
    }

    fn member(value: &Value, name: &str) -> Vec<u8> {
        let word = value[name].as_str().unwrap();
        Base64UrlUnpadded::decode_vec(word).unwrap()
    }

    fn json_of(value: &Value, name: &str) -> Value {
        serde_json::from_slice(&member(value, name)).unwrap()
    }

    #[test]
    fn a_request_verifies_with_the_key_that_it_shows() {
        let key = key();
        let order = json!({"identifiers": []});
        let body = sign(Signer::Key(&key), URL, "n1", Payload::Json(&order));
        let body: Value = serde_json::from_slice(&body).unwrap();
        let protected = json_of(&body, "protected");
        assert_eq!(protected["alg"], "ES256");
        assert_eq!(protected["nonce"], "n1");
        assert_eq!(protected["url"], URL);
        assert!(protected.get("kid").is_none());
        assert_eq!(json_of(&body, "payload"), order);

        let (x, y) = (
            member(&protected["jwk"], "x"),
            member(&protected["jwk"], "y"),
        );
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let public = VerifyingKey::from_sec1_bytes(&point).unwrap();
        let text = |name: &str| body[name].as_str().unwrap();
        let signed = format!("{}.{}", text("protected"), text("payload"));
        let signature = Signature::from_slice(&member(&body, "signature")).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn an_account_names_itself_and_reading_signs_nothing() {
        let key = key();
        let account = Signer::Account {
            key: &key,
            url: "https://ca.example/acct/1",
        };
        let body = sign(account, URL, "n2", Payload::Nothing);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["payload"], "");
        let protected = json_of(&body, "protected");
        assert_eq!(protected["kid"], "https://ca.example/acct/1");
        assert!(protected.get("jwk").is_none());
    }

    #[test]
    fn a_binding_is_a_mac_over_the_account_s_public_key() {
        let key = key();
        let binding = Binding {
            name: "kid-1".into(),
            secret: Zeroizing::new(b"secret".to_vec()),
        };
        let bound = binding.to_json(&key, URL);
        assert_eq!(json_of(&bound, "payload"), key.public_json());
        let protected = json_of(&bound, "protected");
        assert_eq!(
            protected,
            json!({"alg": "HS256", "kid": "kid-1", "url": URL})
        );
        assert_eq!(member(&bound, "signature").len(), 32);
        assert!(!format!("{bound}").contains("secret"));
    }
}
