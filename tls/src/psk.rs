//! TLS 1.3 with external pre-shared keys (RFC 8446 §2.2, psk_dhe_ke), which rustls does not have.
//!
//! The handshake is written here; every cryptographic operation in it is the provider's, by rustls's
//! public traits. There is no mode without (EC)DHE, no early data, no TLS 1.2.
//!
//! ```text
//! client                                           server
//! ClientHello + key_share + pre_shared_key ─────►
//!                  ◄───── [HelloRetryRequest, once, when a share of another group is wanted]
//! [ClientHello] ─────────────────────────────────►
//!                  ◄───── ServerHello, {EncryptedExtensions}, {Finished}
//! {Finished} ────────────────────────────────────►
//! [application data] ◄───────────────────────────► [application data], KeyUpdate, close_notify
//! ```

mod client;
mod common;
mod fault;
mod messages;
mod options;
mod records;
mod schedule;
mod secrets;
mod server;
mod wire;

pub(crate) use common::{Agreed, Core};
pub(crate) use fault::Fault;
pub use options::{PskClient, PskOptions, PskServer};
pub use secrets::{MAX_IDENTITY, MAX_KEY, MAX_KEYS, MIN_KEY, PreSharedKey};

use rustls::ContentType;

use alloc::vec::Vec;

use messages::{CLIENT_HELLO, FINISHED, KEY_UPDATE, NEW_SESSION_TICKET, SERVER_HELLO};
use records::HEADER;

/// Most bytes of one handshake message, type and length included.
const MAX_MESSAGE: usize = 16 * 1024;

/// Record types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// One connection, client or server, from its first record to its last.
pub(crate) struct Psk {
    phase: Phase,
    core: Core,
    /// The beginning of a handshake message.
    fragments: Vec<u8>,
    peer_closed: bool,
}

/// How far the handshake has come.
enum Phase {
    Client(client::Stage),
    Server(server::Stage),
    Open,
    Failed,
}

impl Psk {
    /// What was agreed on, once the handshake is done.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        match self.phase {
            Phase::Open => self.core.agreed.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Records that wait to be sent; they must leave before what is sealed next.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.core.output)
    }

    /// Takes one whole record in, which it decrypts in place. `stalled` says that what was written
    /// earlier is not being sent: then no more is written than must be.
    pub(crate) fn receive(
        &mut self,
        record: &mut [u8],
        stalled: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        let result = self.take_record(record, sink);
        if result.is_ok() && !stalled {
            self.core.answer_key_updates()?;
        }
        result
    }

    fn take_record(&mut self, record: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let Some((header, payload)) = record.split_at_mut_checked(HEADER) else {
            return Err(Fault::Decode);
        };
        let [kind, _, _, high, low] = *header else {
            return Err(Fault::Decode);
        };
        if usize::from(u16::from_be_bytes([high, low])) != payload.len() {
            return Err(Fault::TooLong);
        }
        match kind {
            CHANGE_CIPHER_SPEC => self.pass_over_change_cipher_spec(payload),
            HANDSHAKE if self.core.opener.is_none() => self.take_handshake(payload),
            // A peer that could not make keys says so in the clear.
            ALERT if self.core.opener.is_none() || !matches!(self.phase, Phase::Open) => {
                self.take_alert(payload)
            }
            APPLICATION_DATA => self.take_protected(payload, sink),
            _ => Err(Fault::Unexpected),
        }
    }

    /// "An implementation may receive an unencrypted record of type change_cipher_spec consisting
    /// of the single byte value 0x01 at any time after the first ClientHello message has been sent
    /// or received and before the peer's Finished message has been received" (RFC 8446 §5).
    fn pass_over_change_cipher_spec(&self, payload: &[u8]) -> Result<(), Fault> {
        let before_hello = matches!(&self.phase, Phase::Server(stage) if stage.is_first());
        match (payload, &self.phase) {
            (_, Phase::Open | Phase::Failed) => Err(Fault::Unexpected),
            ([1], _) if !before_hello && self.fragments.is_empty() => Ok(()),
            _ => Err(Fault::Unexpected),
        }
    }

    fn take_protected(
        &mut self,
        payload: &mut [u8],
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Fault> {
        let length = payload.len();
        let Some(opener) = self.core.opener.as_mut() else {
            return self.core.pass_over_early_data(length, Fault::Unexpected);
        };
        let (kind, payload) = match opener.open(payload) {
            Ok(opened) => opened,
            Err(fault @ Fault::BadRecord) => {
                return self.core.pass_over_early_data(length, fault);
            }
            Err(fault) => return Err(fault),
        };
        self.core.early_data = 0;
        if !self.fragments.is_empty() && kind != ContentType::Handshake {
            // "there MUST NOT be any other records between them" (RFC 8446 §5.1).
            return Err(Fault::Unexpected);
        }
        match kind {
            ContentType::ApplicationData if matches!(self.phase, Phase::Open) => {
                if !payload.is_empty() {
                    sink(payload);
                }
                Ok(())
            }
            ContentType::Handshake => {
                let payload = payload.to_vec();
                self.take_handshake(&payload)
            }
            ContentType::Alert => {
                let alert: [u8; 2] = payload.try_into().map_err(|_| Fault::Decode)?;
                self.take_alert(&alert)
            }
            _ => Err(Fault::Unexpected),
        }
    }

    /// RFC 8446 §6: the level says nothing; but for two, every alert ends the connection.
    fn take_alert(&mut self, payload: &[u8]) -> Result<(), Fault> {
        match payload {
            [_, fault::CLOSE_NOTIFY] => {
                self.peer_closed = true;
                Ok(())
            }
            [_, fault::USER_CANCELED] => Ok(()),
            [_, code] => Err(Fault::Alert(*code)),
            _ => Err(Fault::Decode),
        }
    }

    /// Puts messages together, over as many records as they take.
    fn take_handshake(&mut self, payload: &[u8]) -> Result<(), Fault> {
        if payload.is_empty() {
            // "Implementations MUST NOT send zero-length fragments of Handshake types" (§5.1).
            return Err(Fault::Unexpected);
        }
        self.fragments.extend_from_slice(payload);
        loop {
            let Some([kind, high, middle, low]) = self.fragments.first_chunk() else {
                return Ok(());
            };
            let kind = *kind;
            let length = 4 + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if length > MAX_MESSAGE {
                return Err(Fault::TooLong);
            }
            if self.fragments.len() < length {
                return Ok(());
            }
            let rest = self.fragments.split_off(length);
            let message = core::mem::replace(&mut self.fragments, rest);
            let changes_keys = matches!(kind, CLIENT_HELLO | SERVER_HELLO | FINISHED | KEY_UPDATE);
            if changes_keys && !self.fragments.is_empty() {
                // "Handshake messages MUST NOT span key changes" (RFC 8446 §5.1).
                return Err(Fault::Unexpected);
            }
            self.take_message(kind, &message)?;
        }
    }

    fn take_message(&mut self, kind: u8, message: &[u8]) -> Result<(), Fault> {
        self.phase = match core::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Client(stage) => stage.take(kind, message, &mut self.core)?,
            Phase::Server(stage) => stage.take(kind, message, &mut self.core)?,
            Phase::Open => {
                self.take_late_message(kind, message)?;
                Phase::Open
            }
            Phase::Failed => return Err(Fault::Unexpected),
        };
        Ok(())
    }

    /// What may come after the handshake (RFC 8446 §4.6).
    fn take_late_message(&mut self, kind: u8, message: &[u8]) -> Result<(), Fault> {
        match (kind, self.core.opener.as_mut()) {
            (KEY_UPDATE, Some(opener)) => {
                self.core.update_owed |= messages::read_key_update(message)?;
                opener.update();
                Ok(())
            }
            // Tickets are not used: the key itself will do the next time, too.
            (NEW_SESSION_TICKET, _) if self.core.is_client => Ok(()),
            _ => Err(Fault::Unexpected),
        }
    }

    /// Seals one record of application data into `output`; gives its length. `None` when other
    /// records must leave first, which then wait in the output, or when it does not fit.
    pub(crate) fn seal(
        &mut self,
        plaintext: &[u8],
        output: &mut [u8],
    ) -> Result<Option<usize>, Fault> {
        if self
            .core
            .sealer
            .as_ref()
            .is_some_and(records::Sealer::is_worn)
        {
            self.core.update_keys(false)?;
        }
        self.core.answer_key_updates()?;
        if !self.core.output.is_empty() {
            return Ok(None);
        }
        let Some(sealer) = self.core.sealer.as_mut() else {
            return Err(Fault::Internal("sealing before there are keys"));
        };
        let length = sealer.sealed_length(plaintext.len());
        let Some(place) = output.get_mut(..length) else {
            return Ok(None);
        };
        let record = sealer.seal(ContentType::ApplicationData, plaintext)?;
        if record.len() != length {
            return Err(Fault::Internal("a record of another length"));
        }
        place.copy_from_slice(&record);
        Ok(Some(length))
    }

    /// Writes a close_notify.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        self.core.close()
    }

    /// New sending keys, and a request for new receiving ones.
    pub(crate) fn refresh(&mut self) -> Result<(), Fault> {
        self.core.update_keys(true)
    }

    /// Ends the connection: writes the alert that `fault` calls for.
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.phase = Phase::Failed;
        self.fragments = Vec::new();
        if let Some(code) = fault.alert() {
            // Without an alert the peer finds out by the stream's end.
            let _ = self.core.send_alert(2, code);
        }
    }
}

#[cfg(test)]
mod tests;
