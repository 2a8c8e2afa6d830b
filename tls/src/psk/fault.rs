//! What ends a connection with a pre-shared key, and the alert that goes with it.

use alloc::format;
use alloc::string::String;

use crate::Error;
use crate::error::{NO_PROTOCOL, UNEXPECTED, UNKNOWN_IDENTITY, WRONG_KEY};

/// Why a handshake or a connection ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A message is shorter, longer or otherwise than it says.
    Decode,
    /// A message or record that has no place here.
    Unexpected,
    /// A field whose value is not allowed; which one, in words.
    Illegal(&'static str),
    /// An extension that must be there is not.
    Missing(&'static str),
    /// An extension that nobody asked for.
    Unsolicited,
    /// The peer does not offer or choose TLS 1.3.
    Version,
    /// The peer has nothing that we have; what, in words.
    NothingInCommon(&'static str),
    /// The client's application protocols, none of them ours.
    Protocol,
    /// The client offers no pre-shared key, or not with (EC)DHE.
    NoKey,
    /// The client's identity is not known.
    UnknownIdentity,
    /// The identity is known, and the client has another key for it.
    WrongKey,
    /// The server goes on without the key that was offered.
    NotTaken,
    /// The Finished message does not fit the handshake.
    Finished,
    /// A record did not decrypt.
    BadRecord,
    /// A record or message is too long.
    TooLong,
    /// The peer has ended the connection.
    Alert(u8),
    /// No entropy.
    Entropy,
    /// The peer's share of the key exchange is none.
    KeyShare,
    /// Something on our side that cannot be.
    Internal(&'static str),
}

/// Alert descriptions (RFC 8446 appendix B.2).
pub(super) const CLOSE_NOTIFY: u8 = 0;
const UNEXPECTED_MESSAGE: u8 = 10;
const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const DECRYPT_ERROR: u8 = 51;
const PROTOCOL_VERSION: u8 = 70;
const INTERNAL_ERROR: u8 = 80;
pub(super) const USER_CANCELED: u8 = 90;
const MISSING_EXTENSION: u8 = 109;
const UNSUPPORTED_EXTENSION: u8 = 110;
const NO_APPLICATION_PROTOCOL: u8 = 120;

impl Fault {
    /// The alert to send; none in answer to an alert.
    ///
    /// A wrong key and an unknown identity get the alerts that OpenSSL, and with it stunnel, sends,
    /// so that what people know of those is true here.
    pub(super) fn alert(self) -> Option<u8> {
        Some(match self {
            Fault::Decode => DECODE_ERROR,
            Fault::Unexpected => UNEXPECTED_MESSAGE,
            Fault::Illegal(_) | Fault::WrongKey | Fault::KeyShare => ILLEGAL_PARAMETER,
            Fault::Missing(_) => MISSING_EXTENSION,
            Fault::Unsolicited => UNSUPPORTED_EXTENSION,
            Fault::Version => PROTOCOL_VERSION,
            Fault::NothingInCommon(_) | Fault::NoKey | Fault::UnknownIdentity | Fault::NotTaken => {
                HANDSHAKE_FAILURE
            }
            Fault::Protocol => NO_APPLICATION_PROTOCOL,
            Fault::Finished => DECRYPT_ERROR,
            Fault::BadRecord => BAD_RECORD_MAC,
            Fault::TooLong => RECORD_OVERFLOW,
            Fault::Entropy | Fault::Internal(_) => INTERNAL_ERROR,
            Fault::Alert(_) => return None,
        })
    }

    /// The same for those who use this crate.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Fault::Decode => Error::misbehaved("malformed message"),
            Fault::Unexpected => Error::misbehaved(UNEXPECTED),
            Fault::Illegal(what) => Error::misbehaved(format!("{what} is not allowed")),
            Fault::Missing(what) => Error::misbehaved(format!("no {what} extension")),
            Fault::Unsolicited => Error::misbehaved("an extension that nobody asked for"),
            Fault::Version => nothing_in_common(
                "the peer speaks at most TLS 1.2; pre-shared keys need TLS 1.3 on both sides (with \
                 stunnel: OpenSSL 1.1.1 or newer, and no sslVersion or sslVersionMax below TLSv1.3)",
            ),
            Fault::NothingInCommon(what) => nothing_in_common(what),
            Fault::Protocol => nothing_in_common(NO_PROTOCOL),
            Fault::NoKey => nothing_in_common("the client offers no pre-shared key"),
            Fault::UnknownIdentity => Error::PreSharedKey {
                reason: UNKNOWN_IDENTITY,
            },
            Fault::WrongKey => Error::PreSharedKey { reason: WRONG_KEY },
            Fault::NotTaken => Error::PreSharedKey {
                reason: "the server does not take the key; it may not know the identity",
            },
            Fault::Finished => Error::misbehaved("a Finished message that does not fit"),
            Fault::BadRecord => Error::Decrypt,
            Fault::TooLong => Error::misbehaved("a record or message is too long"),
            Fault::Alert(code) => Error::from_rustls(rustls::Error::AlertReceived(code.into())),
            Fault::Entropy => Error::Entropy,
            Fault::KeyShare => Error::misbehaved("an invalid key share"),
            Fault::Internal(what) => Error::internal(what),
        }
    }
}

fn nothing_in_common(reason: &'static str) -> Error {
    Error::NothingInCommon {
        reason: String::from(reason),
    }
}
