//! Where an authority's services are (RFC 8555 §7.1.1).

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde_json::Value;

use crate::Response;

/// An authority's services by their addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where fresh nonces are.
    pub new_nonce: String,
    /// Where accounts are made and found.
    pub new_account: String,
    /// Where certificates are ordered.
    pub new_order: String,
    /// Where it says when to renew (RFC 9773), if it does.
    pub renewal_info: Option<String>,
    /// Its terms, for a person.
    pub terms: Option<String>,
    /// Whether an account must be bound to another one.
    pub needs_binding: bool,
    /// Kinds of certificates, by name, with what it says of each.
    pub profiles: BTreeMap<String, String>,
}

impl Directory {
    /// Reads the answer to a question for it; `None` where it is none.
    pub fn of(response: &Response) -> Option<Directory> {
        let json = response.is_success().then(|| response.json())?;
        Directory::parse(&json?)
    }

    /// Where to ask when the certificate that the authority calls `id` is to be renewed (RFC 9773
    /// §4.1); `None`: it does not say when.
    pub fn renewal_question(&self, id: &str) -> Option<String> {
        let place = self.renewal_info.as_deref()?;
        Some(alloc::format!("{}/{id}", place.trim_end_matches('/')))
    }

    /// Reads it; `None` where it is none.
    pub fn parse(json: &Value) -> Option<Directory> {
        let text = |name: &str| json.get(name)?.as_str().map(String::from);
        let meta = json.get("meta");
        let profiles = meta.and_then(|meta| meta.get("profiles")?.as_object());
        let said = |value: &Value| value.as_str().unwrap_or_default().into();
        // One by one: collecting a map would sort first, and that is 5 KB of code.
        let mut known = BTreeMap::new();
        for (name, value) in profiles.into_iter().flatten() {
            known.insert(name.clone(), said(value));
        }
        Some(Directory {
            new_nonce: text("newNonce")?,
            new_account: text("newAccount")?,
            new_order: text("newOrder")?,
            renewal_info: text("renewalInfo"),
            terms: meta.and_then(|meta| meta.get("termsOfService")?.as_str().map(String::from)),
            needs_binding: meta
                .and_then(|meta| meta.get("externalAccountRequired")?.as_bool())
                .unwrap_or(false),
            profiles: known,
        })
    }
}
