//! One TLS connection, client or server, without I/O.

use crate::{Error, Handshake};

/// What [`Connection::receive`] did with its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the front of `input` that are done with; drop them before the next call.
    pub consumed: usize,
    /// When a first record is incomplete: its whole length, header included. When it is whole but
    /// does not fit into `room`: `None`.
    pub needed: Option<usize>,
}

/// What [`Connection::send`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Plaintext bytes taken.
    pub read: usize,
    /// Record bytes written.
    pub written: usize,
}

/// One TLS connection. Performs no I/O and reads no clock.
#[derive(Debug)]
pub struct Connection {}

impl Connection {
    /// Takes records from the front of `input` and hands their plaintext to `sink`.
    ///
    /// # Errors
    ///
    /// Anything fatal; the alert to send is then in [`pending_output`](Self::pending_output).
    pub fn receive(
        &mut self,
        input: &mut [u8],
        room: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Received, Error> {
        let _ = (input, room, sink);
        Err(Error::Closed)
    }

    /// Seals `plaintext` into whole records in `output`; takes what fits.
    ///
    /// # Errors
    ///
    /// [`Error::NotYetReady`] while the handshake runs, [`Error::Closed`] afterwards.
    pub fn send(&mut self, plaintext: &[u8], output: &mut [u8]) -> Result<Sealed, Error> {
        let _ = (plaintext, output);
        Err(Error::Closed)
    }

    /// Handshake, alert and key-update bytes that wait for [`transmit`](Self::transmit).
    #[must_use]
    pub fn pending_output(&self) -> usize {
        0
    }

    /// Copies waiting bytes into `output`; returns how many.
    pub fn transmit(&mut self, output: &mut [u8]) -> usize {
        let _ = output;
        0
    }

    /// Queues our close_notify; a later [`send`](Self::send) is an error.
    pub fn close_notify(&mut self) {}

    /// Arranges for new sending keys (TLS 1.3 KeyUpdate, RFC 8446 §4.6.3).
    ///
    /// # Errors
    ///
    /// When the handshake is not done or the version is 1.2.
    pub fn refresh_keys(&mut self) -> Result<(), Error> {
        Err(Error::Closed)
    }

    /// Whether the peer's close_notify has arrived.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        false
    }

    /// Whether the handshake still runs.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        true
    }

    /// Whether [`send`](Self::send) would take data now.
    #[must_use]
    pub fn may_send(&self) -> bool {
        false
    }

    /// What was agreed on, once the handshake is done.
    #[must_use]
    pub fn handshake(&self) -> Option<&Handshake> {
        None
    }
}
