//! OpenSSL's cipher list language (openssl-ciphers(1), "CIPHER LIST FORMAT"), for the suites that
//! there are here.
//!
//! Suites with pre-shared keys take part in the reading of a list, so that it is known whether
//! the list leaves them, but none comes out.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::suites::Suite;

/// stunnel's own list.
pub(super) const DEFAULT: &str = "HIGH:!aNULL:!SSLv2:!DH:!kDHEPSK";
/// What the word `DEFAULT` stands for (openssl-ciphers(1)).
const OPENSSL_DEFAULT: &str = "ALL:!COMPLEMENTOFDEFAULT:!eNULL";

/// What a list comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    /// The suites, by preference.
    pub suites: Vec<Suite>,
    /// Whether suites with pre-shared keys are among what is selected.
    pub psk: bool,
    /// Names that select nothing here.
    pub missing: Vec<String>,
}

/// How the key is agreed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exchange {
    Ecdhe,
    Psk,
    EcdhePsk,
    DhePsk,
    RsaPsk,
}

/// Whom the server is known by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authentication {
    Ecdsa,
    Rsa,
    Psk,
}

/// How data is encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    Chacha20,
    /// AES-CBC with SHA-1, SHA-256 or SHA-384: with pre-shared keys only.
    Aes128Cbc,
    Aes256Cbc,
}

/// A suite that lists are about.
#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    suite: Option<Suite>,
    exchange: Exchange,
    authentication: Authentication,
    cipher: Cipher,
}

const fn ours(name: &'static str, suite: Suite, by: Authentication, cipher: Cipher) -> Entry {
    Entry {
        name,
        suite: Some(suite),
        exchange: Exchange::Ecdhe,
        authentication: by,
        cipher,
    }
}

const fn psk(name: &'static str, exchange: Exchange, cipher: Cipher) -> Entry {
    let authentication = match exchange {
        Exchange::RsaPsk => Authentication::Rsa,
        _ => Authentication::Psk,
    };
    Entry {
        name,
        suite: None,
        exchange,
        authentication,
        cipher,
    }
}

use Authentication::{Ecdsa, Rsa};
use Cipher::{Aes128Cbc, Aes128Gcm, Aes256Cbc, Aes256Gcm, Chacha20};
use Exchange::{DhePsk, EcdhePsk, Psk, RsaPsk};

/// The suites, in the order in which OpenSSL's lists begin.
#[rustfmt::skip]
const ENTRIES: [Entry; 20] = [
    ours("ECDHE-ECDSA-AES256-GCM-SHA384", Suite::EcdheEcdsaAes256GcmSha384, Ecdsa, Aes256Gcm),
    ours("ECDHE-RSA-AES256-GCM-SHA384", Suite::EcdheRsaAes256GcmSha384, Rsa, Aes256Gcm),
    ours("ECDHE-ECDSA-CHACHA20-POLY1305", Suite::EcdheEcdsaChacha20Poly1305Sha256, Ecdsa, Chacha20),
    ours("ECDHE-RSA-CHACHA20-POLY1305", Suite::EcdheRsaChacha20Poly1305Sha256, Rsa, Chacha20),
    ours("ECDHE-ECDSA-AES128-GCM-SHA256", Suite::EcdheEcdsaAes128GcmSha256, Ecdsa, Aes128Gcm),
    ours("ECDHE-RSA-AES128-GCM-SHA256", Suite::EcdheRsaAes128GcmSha256, Rsa, Aes128Gcm),
    psk("RSA-PSK-AES256-GCM-SHA384", RsaPsk, Aes256Gcm),
    psk("DHE-PSK-AES256-GCM-SHA384", DhePsk, Aes256Gcm),
    psk("RSA-PSK-CHACHA20-POLY1305", RsaPsk, Chacha20),
    psk("DHE-PSK-CHACHA20-POLY1305", DhePsk, Chacha20),
    psk("ECDHE-PSK-CHACHA20-POLY1305", EcdhePsk, Chacha20),
    psk("PSK-AES256-GCM-SHA384", Psk, Aes256Gcm),
    psk("PSK-CHACHA20-POLY1305", Psk, Chacha20),
    psk("RSA-PSK-AES128-GCM-SHA256", RsaPsk, Aes128Gcm),
    psk("DHE-PSK-AES128-GCM-SHA256", DhePsk, Aes128Gcm),
    psk("PSK-AES128-GCM-SHA256", Psk, Aes128Gcm),
    psk("ECDHE-PSK-AES256-CBC-SHA384", EcdhePsk, Aes256Cbc),
    psk("PSK-AES256-CBC-SHA", Psk, Aes256Cbc),
    psk("ECDHE-PSK-AES128-CBC-SHA256", EcdhePsk, Aes128Cbc),
    psk("PSK-AES128-CBC-SHA", Psk, Aes128Cbc),
];

impl Entry {
    /// The strength in bits, as `@STRENGTH` sorts.
    fn bits(&self) -> u16 {
        match self.cipher {
            Aes128Gcm | Aes128Cbc => 128,
            Aes256Gcm | Chacha20 | Aes256Cbc => 256,
        }
    }

    fn is_gcm(&self) -> bool {
        matches!(self.cipher, Aes128Gcm | Aes256Gcm)
    }

    fn is_aead(&self) -> bool {
        self.is_gcm() || self.cipher == Chacha20
    }

    /// Whether one word of a list means this suite; `None` for a word that means nothing at all.
    fn matches(&self, word: &str) -> Option<bool> {
        Some(match word {
            "ALL" | "HIGH" => true,
            "kECDHE" | "kEECDH" => self.exchange == Exchange::Ecdhe,
            "ECDHE" | "EECDH" | "ECDH" => self.exchange == Exchange::Ecdhe,
            "aECDSA" | "ECDSA" => self.authentication == Ecdsa,
            "aRSA" => self.authentication == Rsa,
            "PSK" | "kPSK" | "aPSK" | "kECDHEPSK" | "kDHEPSK" | "kRSAPSK" => self.is_psk(word),
            "AES" => self.cipher != Chacha20,
            "AES128" => self.bits() == 128,
            "AES256" => self.bits() == 256 && self.cipher != Chacha20,
            "AESGCM" => self.is_gcm(),
            "CHACHA20" => self.cipher == Chacha20,
            "TLSv1.2" => self.is_aead(),
            "SHA1" | "SHA" => !self.is_aead() && self.name.ends_with("SHA"),
            "SHA256" | "SHA384" => !self.is_aead() && self.name.ends_with(word),
            "TLSv1" | "TLSv1.0" => !self.is_aead() && self.exchange == EcdhePsk,
            "SSLv3" => !self.is_aead() && self.exchange == Psk,
            "FIPS" => self.cipher != Chacha20,
            "COMPLEMENTOFALL"
            | "COMPLEMENTOFDEFAULT"
            | "MEDIUM"
            | "LOW"
            | "eNULL"
            | "NULL"
            | "aNULL"
            | "kRSA"
            | "RSA"
            | "kDHE"
            | "kEDH"
            | "DHE"
            | "EDH"
            | "DH"
            | "ADH"
            | "AECDH"
            | "aDSS"
            | "DSS"
            | "AESCCM"
            | "AESCCM8"
            | "ARIA"
            | "ARIA128"
            | "ARIA256"
            | "ARIAGCM"
            | "CAMELLIA"
            | "CAMELLIA128"
            | "CAMELLIA256"
            | "3DES"
            | "DES"
            | "RC4"
            | "RC2"
            | "IDEA"
            | "SEED"
            | "MD5"
            | "CBC"
            | "kGOST"
            | "aGOST"
            | "aGOST01"
            | "GOST94"
            | "GOST89MAC"
            | "kSRP"
            | "aSRP"
            | "SRP" => false,
            name => {
                if !ENTRIES.iter().any(|entry| entry.name == name) {
                    return None;
                }
                self.name == name
            }
        })
    }

    fn is_psk(&self, word: &str) -> bool {
        match word {
            "aPSK" => self.authentication == Authentication::Psk,
            "kPSK" => self.exchange == Psk,
            "kECDHEPSK" => self.exchange == EcdhePsk,
            "kDHEPSK" => self.exchange == DhePsk,
            "kRSAPSK" => self.exchange == RsaPsk,
            _ => self.exchange != Exchange::Ecdhe,
        }
    }
}

/// A list while it is read: what is selected, and what can be, in order.
struct Pool {
    entries: Vec<(Entry, bool)>,
    /// A word after `@` that is no command, if there is one.
    invalid: Option<String>,
}

/// Reads a list.
///
/// # Errors
///
/// It leaves no suite that there is here, and none with pre-shared keys.
pub(super) fn select(list: &str) -> Result<Selection, String> {
    let mut pool = Pool {
        entries: ENTRIES.into_iter().map(|entry| (entry, false)).collect(),
        invalid: None,
    };
    let mut missing = Vec::new();
    match list {
        "SUITEB128" => pool.run(
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
            &mut missing,
        ),
        "SUITEB128ONLY" => pool.run("ECDHE-ECDSA-AES128-GCM-SHA256", &mut missing),
        "SUITEB192" => pool.run("ECDHE-ECDSA-AES256-GCM-SHA384", &mut missing),
        _ => {
            let rest = match list.strip_prefix("DEFAULT") {
                Some(rest) => {
                    pool.run(OPENSSL_DEFAULT, &mut missing);
                    rest
                }
                None => list,
            };
            pool.run(rest, &mut missing);
        }
    }
    if let Some(word) = pool.invalid {
        return Err(format!("invalid command: @{word}"));
    }
    let selected = || pool.entries.iter().filter(|(_, on)| *on);
    let suites: Vec<Suite> = selected().filter_map(|(entry, _)| entry.suite).collect();
    let psk = selected().any(|(entry, _)| entry.suite.is_none());
    if suites.is_empty() && !psk {
        return Err(String::from(
            "no cipher match: none of these cipher suites exists here, use ECDHE+AESGCM:CHACHA20",
        ));
    }
    Ok(Selection {
        suites,
        psk,
        missing,
    })
}

impl Pool {
    fn run(&mut self, list: &str, missing: &mut Vec<String>) {
        let words = list
            .split([':', ',', ';', ' '])
            .filter(|word| !word.is_empty());
        for word in words {
            self.apply(word, missing);
        }
    }

    /// One word, as ssl_create_cipher_list does: what is added or moved goes to the end in the
    /// order that it had; what is taken away can be added again, what is killed can't.
    fn apply(&mut self, word: &str, missing: &mut Vec<String>) {
        let (sign, word) = match word.as_bytes().first() {
            Some(sign @ (b'!' | b'-' | b'+' | b'@')) => (*sign, word.get(1..).unwrap_or_default()),
            _ => (b' ', word),
        };
        if sign == b'@' {
            match word {
                "STRENGTH" => crate::sort::sort_by_key(&mut self.entries, |(entry, on)| {
                    if *on { 1000 - entry.bits() } else { 0 }
                }),
                // What there is here satisfies level 2; stunnel's own option bounds the level.
                "SECLEVEL=0" | "SECLEVEL=1" | "SECLEVEL=2" => {}
                _ => self.invalid = Some(super::lines::shown(word).into_owned()),
            }
            return;
        }
        let parts = || word.split('+');
        let known = parts().all(|part| ENTRIES.iter().any(|entry| entry.matches(part).is_some()));
        let means = |entry: &Entry| known && parts().all(|part| entry.matches(part) == Some(true));
        let (hit, other): (Vec<_>, Vec<_>) =
            self.entries.iter().partition(|(entry, _)| means(entry));
        if sign == b' ' && hit.is_empty() && missing.len() < MAX_MISSING {
            missing.push(format!("{:?}", super::lines::shown(word)));
        }
        self.entries = match sign {
            b'!' => other,
            b'-' => {
                // Only what is selected moves, to the front.
                let (moving, staying): (Vec<_>, Vec<_>) = self
                    .entries
                    .iter()
                    .partition(|(entry, on)| *on && means(entry));
                let moving = moving
                    .into_iter()
                    .map(|(entry, _): (Entry, bool)| (entry, false));
                moving.chain(staying).collect()
            }
            b'+' => {
                // Only what is selected moves.
                let (moving, staying): (Vec<_>, Vec<_>) = self
                    .entries
                    .iter()
                    .partition(|(entry, on)| *on && means(entry));
                staying.into_iter().chain(moving).collect()
            }
            _ => {
                // Only what is not selected yet moves.
                let (moving, staying): (Vec<_>, Vec<_>) = self
                    .entries
                    .iter()
                    .partition(|(entry, on)| !*on && means(entry));
                let moving = moving
                    .into_iter()
                    .map(|(entry, _): (Entry, bool)| (entry, true));
                staying.into_iter().chain(moving).collect()
            }
        };
    }
}

/// Most names that a message lists.
const MAX_MISSING: usize = 16;

/// Reads a list of TLS 1.3 suites (`ciphersuites`): names with colons between them, of which
/// those that OpenSSL does not know count for nothing.
///
/// # Errors
///
/// It is not empty, and none of its suites exists here.
pub(super) fn select_tls13(list: &str) -> Result<(Vec<Suite>, Vec<String>), String> {
    let mut suites = Vec::new();
    let mut missing = Vec::new();
    for word in list.split(':').filter(|word| !word.is_empty()) {
        match Suite::TLS13.into_iter().find(|suite| suite.name() == word) {
            Some(suite) if suites.contains(&suite) => {}
            Some(suite) => suites.push(suite),
            None if missing.len() < MAX_MISSING => {
                missing.push(format!("{:?}", super::lines::shown(word)));
            }
            None => {}
        }
    }
    if suites.is_empty() && !missing.is_empty() {
        return Err(String::from(
            "no cipher match: none of these cipher suites exists here, \
             use TLS_AES_128_GCM_SHA256",
        ));
    }
    Ok((suites, missing))
}
