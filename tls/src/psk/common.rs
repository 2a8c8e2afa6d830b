//! What client and server have in common: keys in force, records to send, what was agreed on.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::crypto::tls13::OkmBlock;
use rustls::crypto::{SecureRandom, SupportedKxGroup};
use rustls::{CipherSuite, ContentType, NamedGroup, Tls13CipherSuite};

use super::fault::CLOSE_NOTIFY;
use super::records::{Opener, Sealer};
use super::{ALERT, CHANGE_CIPHER_SPEC, Fault, HANDSHAKE, messages};

/// Suites, groups, randomness and protocols, shared by all connections of a server or client.
pub(crate) struct Shared {
    /// Those with SHA-256, most wanted first; never empty.
    pub(super) suites: Vec<&'static Tls13CipherSuite>,
    /// Most wanted first; never empty.
    pub(super) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(super) random: &'static dyn SecureRandom,
    pub(super) protocols: Vec<Vec<u8>>,
}

impl Shared {
    pub(super) fn random(&self) -> Result<[u8; 32], Fault> {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes).map_err(|_| Fault::Entropy)?;
        Ok(bytes)
    }

    pub(super) fn group(&self, number: u16) -> Option<&'static dyn SupportedKxGroup> {
        let is = |group: &&&'static dyn SupportedKxGroup| u16::from(group.name()) == number;
        self.groups.iter().find(is).copied()
    }

    pub(super) fn suite(&self, number: u16) -> Option<&'static Tls13CipherSuite> {
        let is = |suite: &&&'static Tls13CipherSuite| u16::from(suite.common.suite) == number;
        self.suites.iter().find(is).copied()
    }
}

/// What a handshake agreed on.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    pub(crate) suite: CipherSuite,
    pub(crate) group: NamedGroup,
    pub(crate) server_name: Option<String>,
    pub(crate) protocol: Option<Vec<u8>>,
    pub(crate) identity: Vec<u8>,
}

/// The part of a connection that the handshake's stages work on.
pub(crate) struct Core {
    pub(super) shared: Arc<Shared>,
    pub(super) is_client: bool,
    pub(super) sealer: Option<Sealer>,
    pub(super) opener: Option<Opener>,
    pub(super) output: Vec<u8>,
    pub(super) agreed: Option<Agreed>,
    /// The peer has asked for a KeyUpdate that has not been sent.
    pub(super) update_owed: bool,
    /// Bytes of early data that may still be passed over.
    pub(super) early_data: usize,
    /// A change_cipher_spec has been sent for middleboxes.
    changed: bool,
    /// Our close_notify has been sent: nothing may follow it (RFC 8446 §6.1).
    closed: bool,
}

/// The level of alerts that end nothing (RFC 8446 §6).
const WARNING: u8 = 1;

/// The record versions: 3.1 for a first ClientHello, else 3.3 (RFC 8446 §5.1).
const FIRST_VERSION: u8 = 1;
const VERSION: u8 = 3;

impl Core {
    pub(super) fn new(shared: Arc<Shared>, is_client: bool) -> Core {
        Core {
            shared,
            is_client,
            sealer: None,
            opener: None,
            output: Vec::new(),
            agreed: None,
            update_owed: false,
            early_data: 0,
            changed: false,
            closed: false,
        }
    }

    /// Writes a client's first message.
    pub(super) fn send_first(&mut self, message: &[u8]) {
        self.send_plain(HANDSHAKE, FIRST_VERSION, message);
    }

    /// Writes handshake messages, protected as far as there are keys.
    pub(super) fn send_handshake(&mut self, messages: &[u8]) -> Result<(), Fault> {
        self.send(ContentType::Handshake, HANDSHAKE, messages)
    }

    /// Ends our sending direction.
    pub(super) fn close(&mut self) -> Result<(), Fault> {
        self.send_alert(WARNING, CLOSE_NOTIFY)?;
        self.closed = true;
        Ok(())
    }

    pub(super) fn send_alert(&mut self, level: u8, description: u8) -> Result<(), Fault> {
        self.send(ContentType::Alert, ALERT, &[level, description])
    }

    fn send(&mut self, kind: ContentType, plain: u8, payload: &[u8]) -> Result<(), Fault> {
        match self.sealer.as_mut() {
            Some(sealer) => {
                let record = sealer.seal(kind, payload)?;
                self.output.extend_from_slice(&record);
            }
            None => self.send_plain(plain, VERSION, payload),
        }
        Ok(())
    }

    /// "the client (or server) sends a dummy change_cipher_spec record" once, so that middleboxes
    /// take the rest for a resumed TLS 1.2 session (RFC 8446 appendix D.4).
    pub(super) fn change_cipher_spec(&mut self) {
        if !core::mem::replace(&mut self.changed, true) {
            self.send_plain(CHANGE_CIPHER_SPEC, VERSION, &[1]);
        }
    }

    fn send_plain(&mut self, kind: u8, version: u8, payload: &[u8]) {
        debug_assert!(payload.len() <= crate::MAX_PLAINTEXT);
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        self.output.extend_from_slice(&[kind, 3, version]);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(payload);
    }

    pub(super) fn seal_with(&mut self, suite: &'static Tls13CipherSuite, secret: OkmBlock) {
        self.sealer = Some(Sealer::new(suite, secret));
    }

    pub(super) fn open_with(&mut self, suite: &'static Tls13CipherSuite, secret: OkmBlock) {
        self.opener = Some(Opener::new(suite, secret));
    }

    /// New sending keys (RFC 8446 §4.6.3).
    pub(super) fn update_keys(&mut self, asks_for_one: bool) -> Result<(), Fault> {
        self.send_handshake(&messages::write_key_update(asks_for_one))?;
        if let Some(sealer) = self.sealer.as_mut() {
            sealer.update();
        }
        Ok(())
    }

    /// Sends the one KeyUpdate that any number of requests call for.
    pub(super) fn answer_key_updates(&mut self) -> Result<(), Fault> {
        match core::mem::take(&mut self.update_owed) {
            true if !self.closed => self.update_keys(false),
            _ => Ok(()),
        }
    }

    /// Early data that was offered and not taken: "the server ... skips past early data by
    /// attempting to deprotect received records ... up to the configured max_early_data_size"
    /// (RFC 8446 §4.2.10).
    pub(super) fn pass_over_early_data(&mut self, length: usize, or: Fault) -> Result<(), Fault> {
        self.early_data = self.early_data.checked_sub(length).ok_or(or)?;
        Ok(())
    }
}
