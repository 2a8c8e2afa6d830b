//! `options`, `sslVersion` and `curves`: what they say in OpenSSL's names.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::suites::Group;
use super::table::Taken;
use super::types::Version;

/// A protocol version as `sslVersion` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `all`: no bound.
    All,
    /// SSL 3.0, TLS 1.0 or 1.1, which there are not here.
    Old,
    /// One that there is.
    There(Version),
}

impl Protocol {
    pub fn named(text: &str) -> Result<Protocol, String> {
        let names = [
            ("all", Protocol::All),
            ("SSLv3", Protocol::Old),
            ("TLSv1", Protocol::Old),
            ("TLSv1.1", Protocol::Old),
            ("TLSv1.2", Protocol::There(Version::Tls12)),
            ("TLSv1.3", Protocol::There(Version::Tls13)),
        ];
        names
            .into_iter()
            .find(|(name, _)| text.eq_ignore_ascii_case(name))
            .map(|(_, version)| version)
            .ok_or_else(|| "Invalid protocol version".into())
    }
}

/// What of OpenSSL's `SSL_OP_` options counts here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SslOptions {
    pub no_tls12: bool,
    pub no_tls13: bool,
    pub no_ticket: bool,
    pub server_preference: bool,
}

/// Options that always hold here: setting them is honoured, clearing them has no effect.
const ALWAYS: [&str; 11] = [
    "NO_SSLv2",
    "NO_SSLv3",
    "NO_TLSv1",
    "NO_TLSv1_1",
    "NO_COMPRESSION",
    "NO_RENEGOTIATION",
    "NO_SESSION_RESUMPTION_ON_RENEGOTIATION",
    "SINGLE_DH_USE",
    "SINGLE_ECDH_USE",
    "NO_DTLSv1",
    "NO_DTLSv1_2",
];

/// Options that never hold here: clearing them is honoured, setting them has no effect.
const NEVER: [&str; 42] = [
    "ALL",
    "ALLOW_CLIENT_RENEGOTIATION",
    "ALLOW_NO_DHE_KEX",
    "ALLOW_UNSAFE_LEGACY_RENEGOTIATION",
    "CISCO_ANYCONNECT",
    "CLEANSE_PLAINTEXT",
    "COOKIE_EXCHANGE",
    "CRYPTOPRO_TLSEXT_BUG",
    "DISABLE_TLSEXT_CA_NAMES",
    "DONT_INSERT_EMPTY_FRAGMENTS",
    "ENABLE_KTLS",
    "ENABLE_MIDDLEBOX_COMPAT",
    "EPHEMERAL_RSA",
    "IGNORE_UNEXPECTED_EOF",
    "LEGACY_SERVER_CONNECT",
    "MICROSOFT_BIG_SSLV3_BUFFER",
    "MICROSOFT_SESS_ID_BUG",
    "MSIE_SSLV2_RSA_PADDING",
    "NETSCAPE_CA_DN_BUG",
    "NETSCAPE_CHALLENGE_BUG",
    "NETSCAPE_DEMO_CIPHER_CHANGE_BUG",
    "NETSCAPE_REUSE_CIPHER_CHANGE_BUG",
    "NO_ANTI_REPLAY",
    "NO_DTLS_MASK",
    "NO_ENCRYPT_THEN_MAC",
    "NO_EXTENDED_MASTER_SECRET",
    "NO_QUERY_MTU",
    "PKCS1_CHECK_1",
    "PKCS1_CHECK_2",
    "PRIORITIZE_CHACHA",
    "SAFARI_ECDHE_ECDSA_BUG",
    "SSLEAY_080_CLIENT_DH_BUG",
    "SSLREF2_REUSE_CERT_TYPE_BUG",
    "TLSEXT_PADDING",
    "TLS_BLOCK_PADDING_BUG",
    "TLS_D5_BUG",
    "TLS_ROLLBACK_BUG",
    "TLSEXT_PADDING_SUPER",
    "NO_TX_CERTIFICATE_COMPRESSION",
    "NO_RX_CERTIFICATE_COMPRESSION",
    "ENABLE_KTLS_TX_ZEROCOPY_SENDFILE",
    "PREFER_NO_DHE_KEX",
];

/// Options that are looked at.
const HEEDED: [&str; 5] = [
    "NO_TLSv1_2",
    "NO_TLSv1_3",
    "NO_SSL_MASK",
    "NO_TICKET",
    "CIPHER_SERVER_PREFERENCE",
];

/// Every name that is known, sorted.
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = HEEDED.into_iter().chain(ALWAYS).chain(NEVER).collect();
    crate::sort::sort_by_key(&mut names, |name| *name);
    names
}

impl SslOptions {
    /// Takes one value of `options` in: a name of SSL_CTX_set_options(3) without `SSL_OP_`,
    /// with `-` in front to clear it.
    pub fn set(&mut self, text: &str) -> Result<Taken, String> {
        let (on, name) = match text.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, text),
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("NO_TLSv1_2") {
            self.no_tls12 = on;
        } else if is("NO_TLSv1_3") {
            self.no_tls13 = on;
        } else if is("NO_SSL_MASK") {
            self.no_tls12 = on;
            self.no_tls13 = on;
        } else if is("NO_TICKET") {
            self.no_ticket = on;
        } else if is("CIPHER_SERVER_PREFERENCE") {
            self.server_preference = on;
        } else if ALWAYS.into_iter().any(is) {
            if !on {
                return Ok(Taken::WithoutEffect(format!("{name} always holds here")));
            }
        } else if NEVER.into_iter().any(is) {
            if on {
                return Ok(Taken::WithoutEffect(format!("there is no {name} here")));
            }
        } else {
            return Err("Illegal TLS option".into());
        }
        Ok(Taken::Honoured)
    }
}

/// The lowest and highest version that are left.
pub(super) fn versions(
    min: Protocol,
    max: Protocol,
    options: SslOptions,
) -> Result<(Version, Version), String> {
    let range = || String::from("Invalid protocol version range");
    let lowest = match min {
        Protocol::All | Protocol::Old => Version::Tls12,
        Protocol::There(version) => version,
    };
    let highest = match max {
        Protocol::All => Version::Tls13,
        Protocol::There(version) => version,
        Protocol::Old => {
            return Err(format!(
                "{}: TLS 1.1 and older don't exist here, use TLSv1.2 or TLSv1.3",
                range()
            ));
        }
    };
    if lowest > highest {
        return Err(range());
    }
    let mut left = [
        (Version::Tls12, options.no_tls12),
        (Version::Tls13, options.no_tls13),
    ]
    .into_iter()
    .filter(|(version, off)| !off && (lowest..=highest).contains(version))
    .map(|(version, _)| version);
    let first = left
        .next()
        .ok_or_else(|| format!("{}: options leave no version", range()))?;
    Ok((first, left.next().unwrap_or(first)))
}

/// The groups of a `curves` list, and those that OpenSSL has and that are not here.
pub(super) fn groups(list: &str) -> Result<(Vec<Group>, Vec<&str>), String> {
    let mut groups = Vec::new();
    let mut missing = Vec::new();
    for name in list.split(':') {
        match group(name) {
            Some(Some(group)) if groups.contains(&group) => {}
            Some(Some(group)) => groups.push(group),
            Some(None) => missing.push(name),
            None => {
                return Err(format!(
                    "Invalid groups list in 'curves': there is no curve \"{name}\""
                ));
            }
        }
    }
    if groups.is_empty() {
        return Err(String::from(
            "Invalid groups list in 'curves': none of them exists here, \
             use X25519, P-256 or P-384",
        ));
    }
    Ok((groups, missing))
}

/// The group of a name; `Some(None)` when OpenSSL alone has it.
fn group(name: &str) -> Option<Option<Group>> {
    Some(match name {
        "X25519" | "x25519" => Some(Group::X25519),
        "P-256" | "prime256v1" | "secp256r1" => Some(Group::P256),
        "P-384" | "secp384r1" => Some(Group::P384),
        "X25519MLKEM768" => Some(Group::X25519MlKem768),
        "X448" | "x448" | "P-521" | "secp521r1" | "P-224" | "secp224r1" | "P-192"
        | "prime192v1" | "secp192r1" | "secp192k1" | "secp224k1" | "secp256k1"
        | "brainpoolP256r1" | "brainpoolP384r1" | "brainpoolP512r1" | "ffdhe2048" | "ffdhe3072"
        | "ffdhe4096" | "ffdhe6144" | "ffdhe8192" | "SecP256r1MLKEM768" | "SecP384r1MLKEM1024" => {
            None
        }
        _ => return None,
    })
}
