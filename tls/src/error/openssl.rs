//! Errors as OpenSSL's error queue names them (ERR_error_string_n(3)), for logs that are searched for
//! its words.

use core::fmt;

use super::{
    Error, HTTP, NO_CIPHER_SUITE, NO_GROUP, NO_PROTOCOL, NOT_MODERN, NOT_TLS, OLD_VERSION,
    UNEXPECTED, UNKNOWN_IDENTITY, WRONG_KEY,
};

/// OpenSSL's TLS library in its errors: `ERR_LIB_SSL` (20), above 23 bits of reasons.
const LIBRARY: u32 = 20 << 23;

/// What OpenSSL calls an error: `error:0A000086:SSL routines::certificate verify failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpensslReason {
    /// The reason's number (`SSL_R_…`).
    pub number: u16,
    /// Its text.
    pub text: &'static str,
}

impl fmt::Display for OpensslReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = LIBRARY | u32::from(self.number);
        write!(out, "error:{code:08X}:SSL routines::{}", self.text)
    }
}

impl OpensslReason {
    /// A TCP connection that ends without close_notify, or in the midst of a handshake.
    pub const UNEXPECTED_EOF: Self = Self::new(294, "unexpected eof while reading");

    const fn new(number: u16, text: &'static str) -> Self {
        Self { number, text }
    }

    /// An alert of the peer's: OpenSSL counts these from 1000.
    fn of_alert(code: u8) -> Option<Self> {
        let text = match code {
            10 => "sslv3 alert unexpected message",
            20 => "sslv3 alert bad record mac",
            21 => "tlsv1 alert decryption failed",
            22 => "tlsv1 alert record overflow",
            30 => "sslv3 alert decompression failure",
            40 => "sslv3 alert handshake failure",
            41 => "sslv3 alert no certificate",
            42 => "sslv3 alert bad certificate",
            43 => "sslv3 alert unsupported certificate",
            44 => "sslv3 alert certificate revoked",
            45 => "sslv3 alert certificate expired",
            46 => "sslv3 alert certificate unknown",
            47 => "sslv3 alert illegal parameter",
            48 => "tlsv1 alert unknown ca",
            49 => "tlsv1 alert access denied",
            50 => "tlsv1 alert decode error",
            51 => "tlsv1 alert decrypt error",
            60 => "tlsv1 alert export restriction",
            70 => "tlsv1 alert protocol version",
            71 => "tlsv1 alert insufficient security",
            80 => "tlsv1 alert internal error",
            86 => "tlsv1 alert inappropriate fallback",
            90 => "tlsv1 alert user cancelled",
            100 => "tlsv1 alert no renegotiation",
            109 => "tlsv13 alert missing extension",
            110 => "tlsv1 unsupported extension",
            112 => "tlsv1 unrecognized name",
            113 => "tlsv1 bad certificate status response",
            115 => "tlsv1 alert unknown psk identity",
            116 => "tlsv13 alert certificate required",
            120 => "tlsv1 alert no application protocol",
            _ => return None,
        };
        Some(Self::new(1000 + u16::from(code), text))
    }
}

impl Error {
    /// What OpenSSL 3 says in the same situation, where it has words for it.
    #[must_use]
    pub fn openssl_reason(&self) -> Option<OpensslReason> {
        let (number, text) = match self {
            Error::Refused(_) | Error::Certificate { .. } => (134, "certificate verify failed"),
            Error::NoCertificate => (199, "peer did not return a certificate"),
            Error::Decrypt => (281, "decryption failed or bad record mac"),
            Error::PeerAlert { code, .. } => return OpensslReason::of_alert(*code),
            Error::PreSharedKey { reason } => match *reason {
                WRONG_KEY => (253, "binder does not verify"),
                // It goes on to look for a certificate.
                UNKNOWN_IDENTITY => (118, "no suitable signature algorithm"),
                _ => return None,
            },
            Error::NothingInCommon { reason } => match reason.as_str() {
                NO_CIPHER_SUITE => (193, "no shared cipher"),
                OLD_VERSION | NOT_MODERN => (258, "unsupported protocol"),
                NO_GROUP => (101, "no suitable key share"),
                NO_PROTOCOL => (235, "no application protocol"),
                _ => return None,
            },
            Error::PeerMisbehaved { reason } => match reason.as_str() {
                NOT_TLS => (267, "wrong version number"),
                HTTP => (156, "http request"),
                UNEXPECTED => (244, "unexpected message"),
                _ => return None,
            },
            _ => return None,
        };
        Some(OpensslReason::new(number, text))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use std::process::Command;

    use super::*;

    /// What is installed here says what a number means; version 3.0 and later agree on these.
    fn openssl_says(number: u16) -> std::string::String {
        let code = format!("{:08X}", LIBRARY | u32::from(number));
        let output = Command::new("openssl").args(["errstr", &code]).output();
        let output = output.expect("openssl is installed").stdout;
        std::string::String::from_utf8_lossy(&output)
            .trim()
            .to_string()
    }

    #[test]
    fn numbers_and_texts_are_openssls() {
        let reason = |error: &Error| error.openssl_reason().expect("it has words for this");
        let nothing = |reason: &str| Error::NothingInCommon {
            reason: reason.into(),
        };
        let key = |reason| Error::PreSharedKey { reason };
        let errors = [
            Error::NoCertificate,
            Error::Decrypt,
            Error::Certificate { reason: "x".into() },
            key(WRONG_KEY),
            key(UNKNOWN_IDENTITY),
            nothing(NO_CIPHER_SUITE),
            nothing(OLD_VERSION),
            nothing(NO_GROUP),
            nothing(NO_PROTOCOL),
            Error::misbehaved(NOT_TLS),
            Error::misbehaved(HTTP),
            Error::misbehaved(UNEXPECTED),
        ];
        let reasons = errors.iter().map(reason);
        let alerts = (0..=u8::MAX).filter_map(OpensslReason::of_alert);
        for reason in reasons.chain(alerts).chain([OpensslReason::UNEXPECTED_EOF]) {
            assert_eq!(reason.to_string(), openssl_says(reason.number));
        }
    }
}
