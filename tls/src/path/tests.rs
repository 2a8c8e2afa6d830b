//! Path validation, compared with OpenSSL's verdict on the same files.

mod chain;
mod changes;
mod der;
mod deviations;
mod generated;
mod handshake;
mod lists;
mod mutation;
mod names;
mod ocsp;
mod openssl;
mod pinned;
mod refusals;
mod table;
mod work;

use std::string::String;
use std::vec::Vec;

use crate::tests::PROVIDERS;
use crate::{NameCheck, PathOptions, PathValidator, Provider, Refusal, Trust};
use chain::Case;

/// Our verdict, with one provider.
fn judge(case: &Case, provider: Provider, trust: Trust) -> Result<(), Refusal> {
    let options = PathOptions {
        trust,
        names: match &case.name {
            Some(name) => NameCheck::AnyOf(Vec::from([name.clone()])),
            None => NameCheck::Nobody,
        },
        revocation_lists: case.lists.clone(),
    };
    let validator = PathValidator::new(provider, case.purpose, &case.trusted, options)
        .unwrap_or_else(|error| panic!("{error}"));
    let sent: Vec<&[u8]> = case.sent.iter().map(Vec::as_slice).collect();
    validator.validate(&case.leaf, &sent, None, case.now)
}

/// Our verdict, with both providers, which must agree.
fn verdict(case: &Case) -> Result<(), Refusal> {
    let [ring, rustcrypto] = PROVIDERS.map(|provider| judge(case, provider, Trust::Chain));
    assert_eq!(ring, rustcrypto, "the providers disagree");
    ring
}

/// Compares the verdicts; a difference comes back in words.
fn compare(name: &str, case: &Case) -> Result<Result<(), Refusal>, String> {
    let ours = verdict(case);
    let theirs = openssl::verify(case);
    if ours.is_ok() == theirs.is_ok() {
        return Ok(ours);
    }
    Err(std::format!(
        "{name}: OpenSSL says {theirs:?}, we say {ours:?}"
    ))
}

/// Fails with all differences at once.
fn report(differences: &[String], count: usize) {
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
