//! Why sessions end early, in types and in words.

use alloc::string::String;
use core::fmt;

use net::StreamError;

use crate::dialect::{End, Fault, Unreachable};

/// Why a session ended early.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionError {
    /// The TLS peer did not finish its handshake in time.
    HandshakeTimeout,
    /// The TLS peer left before its handshake was over.
    HandshakeAbandoned,
    /// The handshake failed.
    Handshake(tls::Error),
    /// The client asks for a host that is not served.
    NoHost {
        /// The host (RFC 6066 §3), if it asks for one.
        name: Option<String>,
        /// It is an authority that wants the name proven (RFC 8737).
        proof: bool,
    },
    /// The peer's certificate is revoked, or may be.
    Revocation(tls::Refusal),
    /// What had to be said before the relay, in the clear or inside TLS, took too long.
    NegotiationTimeout,
    /// An end left before everything was said.
    NegotiationAbandoned(End),
    /// An end said something wrong, or no.
    Negotiation(Fault),
    /// What a teller says of the store is refused.
    Notice(store::notice::Refusal),
    /// The backend that the client has asked for is none.
    Destination(Unreachable),
    /// No address of the dialled end answered; the last one's failure.
    Connect(DialError),
    /// No byte moved for [`Timeouts::idle`](crate::limits::Timeouts::idle).
    Idle,
    /// One end ended its direction, the other did not within [`Timeouts::close`](crate::limits::Timeouts::close).
    CloseTimeout,
    /// The image stops, and the session's time to end by itself is over.
    Shutdown,
    /// A record was broken, or the peer broke the protocol.
    Tls(tls::Error),
    /// The TLS peer ended TCP without close_notify: its data may have been cut off
    /// (RFC 8446 §6.1).
    Truncated,
    /// An HTTP message was cut off in its midst.
    MessageCut,
    /// The TCP connection of the TLS end was lost.
    TlsEndLost(StreamError),
    /// The TCP connection of the plain end was lost.
    PlainEndLost(StreamError),
}

/// Why no stream to the dialled end came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    /// No address is known: the name is not resolved, or there is no gateway.
    NoAddress,
    /// No TLS connection can be made: there is no entropy, or the name cannot be one.
    Tls,
    /// The stack cannot dial.
    Refused(net::ConnectError),
    /// The peer, or the way to it, did not answer or said no.
    Failed(StreamError),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress => f.write_str("no address of it is known"),
            Self::Tls => f.write_str("no TLS connection to it can be made"),
            Self::Refused(error) => error.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandshakeTimeout => f.write_str("the TLS handshake took too long"),
            Self::HandshakeAbandoned => {
                f.write_str("the peer left before its TLS handshake was over")
            }
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
            Self::NoHost {
                name: Some(name), ..
            } => write!(f, "no host {name:?} is served"),
            Self::NoHost { name: None, .. } => f.write_str("the client asks for no host by name"),
            Self::Revocation(refusal) => write!(f, "the peer is refused: {refusal}"),
            Self::NegotiationTimeout => f.write_str("the protocol negotiation took too long"),
            Self::NegotiationAbandoned(End::Client) => {
                f.write_str("the client left before its protocol negotiation was over")
            }
            Self::NegotiationAbandoned(End::Backend) => {
                f.write_str("the backend left before its protocol negotiation was over")
            }
            Self::Negotiation(fault) => write!(f, "the protocol negotiation failed: {fault}"),
            Self::Notice(reason) => write!(f, "the notice is refused: {reason}"),
            Self::Destination(why) => {
                write!(
                    f,
                    "the backend that the client asked for cannot be reached: {why}"
                )
            }
            Self::Connect(error) => write!(f, "the backend cannot be reached: {error}"),
            Self::Idle => f.write_str("no byte moved for the idle time"),
            Self::CloseTimeout => f.write_str("only one end ended within the close time"),
            Self::Shutdown => f.write_str("the image stops"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Truncated => f.write_str("the TLS peer ended TCP without close_notify"),
            Self::MessageCut => f.write_str("an HTTP message was cut off"),
            Self::TlsEndLost(error) => write!(f, "the TLS peer was lost: {error}"),
            Self::PlainEndLost(error) => write!(f, "the plaintext peer was lost: {error}"),
        }
    }
}
