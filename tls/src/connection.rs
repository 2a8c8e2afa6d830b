//! One TLS connection, client or server, without I/O.

mod output;
mod peer;
mod record;
mod side;

use alloc::vec::Vec;
use core::fmt;

use rustls::HandshakeKind;

use crate::error::{HTTP, NOT_TLS};
use crate::handshake::{group_name, overhead, suite_name, version_of};
use crate::psk::Fault;
use crate::{Error, Handshake, MAX_PLAINTEXT, MAX_RECORD, Provider, Verdict, Version};
use output::Output;
use record::Front;
use side::{Failure, Hands, Intent, NotSealed};

pub(crate) use side::Side;

/// Most bytes of unfinished handshake messages that a server keeps, record headers included: two
/// full records. Clients' messages are small, and whoever sends them is still a stranger.
const MAX_STAGED_BY_SERVER: usize = 32 * 1024;

/// The same for a client: rustls takes certificate chains of up to 64 KiB.
const MAX_STAGED_BY_CLIENT: usize = 64 * 1024 + MAX_RECORD;

/// Memory for unfinished messages grows in these steps, so that it never far exceeds its bound.
const STAGE_STEP: usize = 4096;

/// Key updates that are asked for wait in the output; more than this many bytes of it mean that
/// nothing is being sent.
const MAX_OUTPUT_FOR_REFRESH: usize = 1024;

/// Alert levels and descriptions of RFC 8446 appendix B.2.
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;
const UNEXPECTED_MESSAGE: u8 = 10;
const PROTOCOL_VERSION: u8 = 70;

/// What [`Connection::receive`] did with its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the front of `input` that are done with; drop them before the next call.
    pub consumed: usize,
    /// When the rest begins with an incomplete record: its whole length as far as it is known,
    /// header included. `None` when nothing is left, or when a whole record waits for more room.
    pub needed: Option<usize>,
}

/// What [`Connection::send`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Plaintext bytes taken.
    pub read: usize,
    /// Bytes written to the output.
    pub written: usize,
}

/// One TLS connection. Performs no I/O and reads no clock.
///
/// Hand what arrives to [`receive`](Self::receive); then, and after every other call that says so,
/// send what [`transmit`](Self::transmit) gives until
/// [`pending_output`](Self::pending_output) is 0. After an error do the same once more, so that the
/// peer gets its alert, and drop the connection.
///
/// Each direction closes on its own, in TLS 1.3 (RFC 8446 §6.1) and, beyond RFC 5246 §7.2.1 but as
/// peers do in practice, in TLS 1.2: after the peer's close_notify data may still be sent, and after
/// ours it is still received. A peer that ends its stream without close_notify may have been cut
/// off; [`peer_closed`](Self::peer_closed) tells.
pub struct Connection {
    side: Side,
    provider: Provider,
    output: Output,
    /// Records of which a handshake message is not complete yet.
    staged: Vec<u8>,
    handshake: Option<Handshake>,
    /// What sealing adds to a record; known with the handshake's end.
    overhead: usize,
    peer_closed: bool,
    /// Why no more may be sent, once that is so.
    sending: Result<(), Error>,
    /// Why nothing works any more, once that is so.
    failed: Option<Error>,
    verdict: Option<Verdict>,
    /// What the server has sent with its certificate.
    staple: Option<Vec<u8>>,
    resumed_data: Option<Vec<u8>>,
    /// Whether the first record has come.
    greeted: bool,
    /// The newest version that a client offers which offers none of ours.
    old_version: Option<(u8, u8)>,
}

impl Connection {
    pub(crate) fn new(side: Side, provider: Provider) -> Connection {
        Connection {
            side,
            provider,
            output: Output::default(),
            staged: Vec::new(),
            handshake: None,
            overhead: 0,
            peer_closed: false,
            sending: Ok(()),
            failed: None,
            verdict: None,
            staple: None,
            resumed_data: None,
            greeted: false,
            old_version: None,
        }
    }

    /// Lets a client write its ClientHello.
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        self.feed(&mut [], &mut |_| {})
    }

    /// Takes whole records from the front of `input`, which it decrypts in place, and hands their
    /// plaintext to `sink`, in order, one record at a time.
    ///
    /// Stops before a record that is incomplete, and before one that may hold more plaintext than
    /// `room` has left; 16,384 bytes of room take any record. Handshake bytes may come of it: see
    /// [`pending_output`](Self::pending_output). After the peer's close_notify all input is dropped
    /// (RFC 8446 §6.1: "Any data received after a closure alert has been received MUST be ignored").
    ///
    /// # Errors
    ///
    /// Anything fatal; the alert to send, where one is due, is then in the pending output. Plaintext
    /// of the records before has already gone to `sink`.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        room: usize,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<Received, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut room = room;
        let mut consumed = 0;
        loop {
            if self.peer_closed {
                consumed = input.len();
            }
            let rest = input.get_mut(consumed..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Received {
                    consumed,
                    needed: None,
                });
            }
            let overhead = self.handshake.is_some().then_some(self.overhead);
            let (content_type, length) = match record::front(rest, overhead) {
                Front::Whole {
                    content_type,
                    length,
                } => (content_type, length),
                Front::Incomplete { needed } => {
                    return Ok(Received {
                        consumed,
                        needed: Some(needed),
                    });
                }
                Front::NotTls => return Err(self.refuse_front(rest)),
                Front::TooLong => return Err(self.refuse("a record is too long")),
            };
            if content_type == record::APPLICATION_DATA
                && overhead.is_some_and(|overhead| length.saturating_sub(overhead) > room)
            {
                return Ok(Received {
                    consumed,
                    needed: None,
                });
            }
            if self.staged.len() + length > self.max_staged() {
                return Err(self.refuse("a handshake message came in too many pieces"));
            }
            let record = rest.get_mut(..length).unwrap_or_default();
            if !core::mem::replace(&mut self.greeted, true) {
                self.old_version = record::old_hello(record);
            }
            self.feed(record, &mut |plaintext| {
                room = room.saturating_sub(plaintext.len());
                sink(plaintext);
            })?;
            consumed += length;
        }
    }

    /// Seals `plaintext` into whole records in `output`, as many bytes of it as fit.
    ///
    /// Pending output is copied first, so that nothing overtakes it; `written` counts it too. A
    /// record holds at most 16,384 bytes and costs [`RECORD_OVERHEAD`](crate::RECORD_OVERHEAD) bytes
    /// at most, so room for less than that may take nothing. Keys are updated on the way when they
    /// have protected as many records as they may (RFC 8446 §5.5).
    ///
    /// # Errors
    ///
    /// [`Error::NotYetReady`] while the handshake runs, [`Error::Closed`] after
    /// [`close_notify`](Self::close_notify), [`Error::KeysUsedUp`] for TLS 1.2 alone, or what the
    /// connection failed with.
    pub fn send(&mut self, plaintext: &[u8], output: &mut [u8]) -> Result<Sealed, Error> {
        self.check_sending()?;
        let mut sealed = Sealed {
            read: 0,
            written: self.transmit(output),
        };
        while self.output.is_empty() && sealed.read < plaintext.len() {
            let rest = plaintext.get(sealed.read..).unwrap_or_default();
            let space = output.get_mut(sealed.written..).unwrap_or_default();
            let room = space.len().saturating_sub(self.overhead);
            let size = rest.len().min(room).min(MAX_PLAINTEXT);
            if size == 0 {
                break;
            }
            match self.seal(rest.get(..size).unwrap_or_default(), space)? {
                Ok(written) => {
                    sealed.read += size;
                    sealed.written += written;
                }
                Err(NotSealed::Wait) => sealed.written += self.transmit(space),
                Err(NotSealed::KeysUsedUp) => {
                    self.sending = Err(Error::KeysUsedUp);
                    if sealed.read == 0 {
                        return Err(Error::KeysUsedUp);
                    }
                    break;
                }
            }
        }
        Ok(sealed)
    }

    /// Handshake, alert and key-update bytes that wait for [`transmit`](Self::transmit).
    #[must_use]
    pub fn pending_output(&self) -> usize {
        self.output.len()
    }

    /// Copies waiting bytes into `output`; returns how many. They come in the order in which they
    /// must be sent, and before any record of a later [`send`](Self::send).
    pub fn transmit(&mut self, output: &mut [u8]) -> usize {
        self.output.transmit(output)
    }

    /// Queues our close_notify; a later [`send`](Self::send) is an error. Once is enough.
    ///
    /// While the handshake runs encrypted there is no way to send one; ending the stream must do.
    pub fn close_notify(&mut self) {
        if self
            .check_sending()
            .is_err_and(|error| error != Error::NotYetReady)
        {
            return;
        }
        if self.handshake.is_some() {
            // Cannot fail: the intent has no error of its own, and there is no input.
            let _ = self.act(Intent::Close);
        } else if self.side.is_plain() {
            self.output
                .push(&record::plain_alert(WARNING, CLOSE_NOTIFY));
        } else if matches!(self.side, Side::Psk(_)) {
            let _ = self.act(Intent::Close);
        }
        self.sending = Err(Error::Closed);
    }

    /// Arranges for new sending keys and asks the peer for new ones too (TLS 1.3 KeyUpdate,
    /// RFC 8446 §4.6.3). This also happens by itself when keys have been used enough.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeyUpdate`] in TLS 1.2; [`Error::NotYetReady`] while the handshake runs or while
    /// earlier key updates still wait to be sent; [`Error::Closed`].
    pub fn refresh_keys(&mut self) -> Result<(), Error> {
        self.check_sending()?;
        if self.version() == Some(Version::Tls12) {
            return Err(Error::NoKeyUpdate);
        }
        if self.output.len() > MAX_OUTPUT_FOR_REFRESH {
            return Err(Error::NotYetReady);
        }
        self.act(Intent::Refresh)
    }

    /// Whether the peer's close_notify has arrived: it sends no more, and nothing was cut off.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Whether the handshake still runs.
    #[must_use]
    pub fn is_handshaking(&self) -> bool {
        self.handshake.is_none() && self.failed.is_none()
    }

    /// Whether [`send`](Self::send) would take data now.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.check_sending().is_ok()
    }

    /// What was agreed on, once the handshake is done.
    #[must_use]
    pub fn handshake(&self) -> Option<&Handshake> {
        self.handshake.as_ref()
    }

    /// What was found about the client's certificate, once the handshake is done: for servers that
    /// only note it ([`ClientAuth::Note`](crate::ClientAuth::Note)). A resumed session keeps the
    /// verdict of its full handshake.
    #[must_use]
    pub fn client_verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// The data that was kept with the session that this connection resumed
    /// ([`Server::accept_with`](crate::Server::accept_with)), once the handshake is done.
    #[must_use]
    pub fn resumed_data(&self) -> Option<&[u8]> {
        self.resumed_data.as_deref()
    }

    /// Changes the data of the session that a server's connection has kept in memory, and of the
    /// tickets that it has yet to make; those that are on their way keep theirs. Does nothing for
    /// clients, or with more than [`MAX_SESSION_DATA`](crate::MAX_SESSION_DATA) bytes.
    pub fn change_session_data(&mut self, session_data: &[u8]) {
        if let Side::Server { accepted, .. } = &self.side
            && session_data.len() <= crate::MAX_SESSION_DATA
        {
            accepted.change_data(session_data);
        }
    }

    fn version(&self) -> Option<Version> {
        self.handshake.as_ref().map(|handshake| handshake.version)
    }

    fn check_sending(&self) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.sending.clone()?;
        match self.handshake {
            Some(_) => Ok(()),
            None => Err(Error::NotYetReady),
        }
    }

    fn max_staged(&self) -> usize {
        match self.side {
            Side::Server { .. } => MAX_STAGED_BY_SERVER,
            // With a pre-shared key nothing is staged here, but a record must pass.
            Side::Client { .. } | Side::Psk(_) => MAX_STAGED_BY_CLIENT,
        }
    }

    /// Gives rustls one whole record, or none.
    fn feed(&mut self, record: &mut [u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut hands = Hands {
            sink,
            output: &mut self.output,
            intent: Intent::Listen,
            peer_closed: false,
        };
        // A handshake message that spans records is put together where its first record is, so
        // that must stay until the last has come; anything else is done with at once, in place.
        let result = if self.staged.is_empty() {
            self.side.drive(record, &mut hands).map(|done| {
                let left = record.get(done..).unwrap_or_default();
                stage(&mut self.staged, left);
            })
        } else {
            stage(&mut self.staged, record);
            self.side.drive(&mut self.staged, &mut hands).map(|done| {
                self.staged.drain(..done.min(self.staged.len()));
            })
        };
        self.peer_closed |= hands.peer_closed;
        if self.staged.is_empty() {
            self.staged = Vec::new();
        }
        if self.handshake.is_none()
            && let Some(staple) = self.side.take_staple()
        {
            self.staple = Some(staple);
        }
        match result {
            Ok(()) => self.note_handshake(),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Does what needs no input.
    fn act(&mut self, intent: Intent<'_>) -> Result<(), Error> {
        let mut hands = Hands {
            sink: &mut |_| {},
            output: &mut self.output,
            intent,
            peer_closed: false,
        };
        let result = self.side.drive(&mut self.staged, &mut hands);
        self.peer_closed |= hands.peer_closed;
        match result {
            Ok(done) => {
                self.staged.drain(..done.min(self.staged.len()));
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Seals one record; the outer error is fatal.
    fn seal(
        &mut self,
        plaintext: &[u8],
        output: &mut [u8],
    ) -> Result<Result<usize, NotSealed>, Error> {
        let mut written = Err(NotSealed::Wait);
        self.act(Intent::Seal {
            plaintext,
            output,
            written: &mut written,
        })?;
        if written == Err(NotSealed::Wait) && self.output.is_empty() {
            return Err(Error::internal("a record could not be sealed"));
        }
        Ok(written)
    }

    /// Fills in what was agreed on, as soon as it is.
    fn note_handshake(&mut self) -> Result<(), Error> {
        if let Side::Psk(psk) = &self.side {
            if let (None, Some(agreed)) = (&self.handshake, psk.agreed()) {
                self.overhead = overhead(Version::Tls13, agreed.suite);
                self.handshake = Some(Handshake::with_psk(agreed, self.provider));
            }
            return Ok(());
        }
        let Some(common) = self.side.common() else {
            return Ok(());
        };
        if self.handshake.is_some() || common.is_handshaking() {
            return Ok(());
        }
        let version = common.protocol_version().and_then(version_of);
        let suite = common.negotiated_cipher_suite();
        let (Some(version), Some(suite)) = (version, suite) else {
            return Err(Error::internal("a handshake without version or suite"));
        };
        let group = common.negotiated_key_exchange_group();
        let resumed = common.handshake_kind() == Some(HandshakeKind::Resumed);
        if let Side::Server { accepted, .. } = &self.side {
            let Some(concluded) = accepted.conclude(resumed) else {
                let error = Error::internal("a handshake without a verdict on the client");
                self.failed = Some(error.clone());
                return Err(error);
            };
            self.verdict = concluded.verdict;
            self.resumed_data = concluded.data;
        }
        self.overhead = overhead(version, suite.suite());
        self.handshake = Some(Handshake {
            version,
            suite: suite_name(suite.suite()),
            group: group.map(|group| group_name(group.name())),
            sni: self.side.name(),
            alpn: common.alpn_protocol().map(<[u8]>::to_vec),
            resumed,
            psk_identity: None,
            provider: self.provider,
        });
        Ok(())
    }

    /// Ends the connection over bytes that are no record. A client that does not begin with TLS gets
    /// no alert, which it would take for something else (OpenSSL sends it none either).
    fn refuse_front(&mut self, front: &[u8]) -> Error {
        if self.greeted || !matches!(self.side, Side::Server { .. }) {
            return self.refuse(NOT_TLS);
        }
        let reason = match record::is_http(front) {
            true => HTTP,
            false => NOT_TLS,
        };
        let error = Error::misbehaved(reason);
        self.failed = Some(error.clone());
        error
    }

    /// Ends the connection over bytes that rustls is not given; it is given others instead, which it
    /// refuses, so that the alert is sealed as it must be.
    fn refuse(&mut self, reason: &str) -> Error {
        let mut impossible = [record::HANDSHAKE, 3, 3, 0xff, 0xff];
        // Fails by itself with rustls's reason; ours is the better one.
        let _ = self.feed(&mut impossible, &mut |_| {});
        let error = Error::misbehaved(reason);
        self.failed = Some(error.clone());
        error
    }

    /// Ends the connection: collects the alert and remembers why.
    fn fail(&mut self, failure: Failure) -> Error {
        match failure {
            Failure::Rustls(error) => self.fail_rustls(error),
            Failure::Psk(fault) => self.fail_psk(fault),
        }
    }

    fn fail_psk(&mut self, fault: Fault) -> Error {
        if let Side::Psk(psk) = &mut self.side {
            psk.fail(fault);
            let alert = psk.take_output();
            if self.sending != Err(Error::Closed) {
                // Nothing may follow a close_notify, an alert neither.
                self.output.push(&alert);
            }
        }
        let error = fault.into_error();
        self.failed = Some(error.clone());
        error
    }

    fn fail_rustls(&mut self, error: rustls::Error) -> Error {
        let before = self.output.len();
        self.side.collect(&mut self.output);
        if self.sending.is_err() {
            // Nothing may follow a close_notify, an alert neither.
            self.output.truncate(before);
        } else if let Some((major, minor)) = self.old_version
            && matches!(error, rustls::Error::PeerIncompatible(_))
        {
            // "If the server only supports versions greater than client_version, it MUST send a
            // "protocol_version" alert" (RFC 5246 appendix E.1). rustls may have stumbled over
            // something else before, such as an extension that is newer than the version. Old
            // clients know no record of another version than theirs.
            let mut alert = record::plain_alert(FATAL, PROTOCOL_VERSION);
            alert[1] = major;
            alert[2] = minor;
            self.output.truncate(before);
            self.output.push(&alert);
            let error = Error::NothingInCommon {
                reason: "the peer speaks at most TLS 1.1".into(),
            };
            self.failed = Some(error.clone());
            return error;
        } else if self.output.len() == before
            && matches!(error, rustls::Error::PeerMisbehaved(_))
            && self.side.is_plain()
        {
            // rustls has no alert for some faults; in the clear any can be written.
            self.output
                .push(&record::plain_alert(FATAL, UNEXPECTED_MESSAGE));
        }
        self.staged = Vec::new();
        let mut error = Error::from_rustls(error);
        if matches!(error, Error::Certificate { .. })
            && let Some(refusal) = self.side.take_refusal()
        {
            error = Error::Refused(refusal);
        }
        self.failed = Some(error.clone());
        error
    }
}

fn stage(staged: &mut Vec<u8>, bytes: &[u8]) {
    let length = staged.len() + bytes.len();
    if length > staged.capacity() {
        let capacity = length.next_multiple_of(STAGE_STEP);
        staged.reserve_exact(capacity - staged.len());
    }
    staged.extend_from_slice(bytes);
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection")
            .field("handshake", &self.handshake)
            .field("peer_closed", &self.peer_closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
