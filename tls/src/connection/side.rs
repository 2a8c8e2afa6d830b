//! rustls's unbuffered connections, driven one record at a time.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};

use super::output::Output;
use crate::path::PathVerifier;
use crate::psk::{Fault, Psk};
use crate::server::Accepted;
use crate::{Refusal, StatusQuery};

/// More waiting output than this means that the peer does not take it.
const STALLED: usize = 1024;

/// Which end of the connection this is, and what runs it.
pub(crate) enum Side {
    Server {
        connection: Box<UnbufferedServerConnection>,
        accepted: Arc<Accepted>,
    },
    Client {
        connection: Box<UnbufferedClientConnection>,
        name: Option<String>,
        /// Path validation, when it is ours, and the name that it is given.
        paths: Option<(Arc<PathVerifier>, ServerName<'static>)>,
    },
    /// Either end, with a pre-shared key.
    Psk(Box<Psk>),
}

/// What ended a connection, in the words of what runs it.
pub(super) enum Failure {
    Rustls(rustls::Error),
    Psk(Fault),
}

impl From<rustls::Error> for Failure {
    fn from(error: rustls::Error) -> Failure {
        Failure::Rustls(error)
    }
}

/// What to do once rustls lets us write.
pub(super) enum Intent<'a> {
    /// Nothing: only take records in.
    Listen,
    /// Seal `plaintext` into `output`; the bytes written come back in `written`.
    Seal {
        plaintext: &'a [u8],
        output: &'a mut [u8],
        written: &'a mut Result<usize, NotSealed>,
    },
    /// Queue a close_notify.
    Close,
    /// Queue a key update.
    Refresh,
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotSealed {
    /// Other records must leave first.
    Wait,
    /// The keys have protected as many records as they may.
    KeysUsedUp,
}

/// What a drive of the connection goes by and leaves behind.
pub(super) struct Hands<'a> {
    pub(super) sink: &'a mut dyn FnMut(&[u8]),
    pub(super) output: &'a mut Output,
    pub(super) intent: Intent<'a>,
    pub(super) peer_closed: bool,
}

impl Side {
    pub(crate) fn server(connection: UnbufferedServerConnection, accepted: Arc<Accepted>) -> Side {
        Side::Server {
            connection: Box::new(connection),
            accepted,
        }
    }

    pub(crate) fn client(
        connection: UnbufferedClientConnection,
        name: Option<String>,
        paths: Option<(Arc<PathVerifier>, ServerName<'static>)>,
    ) -> Side {
        Side::Client {
            connection: Box::new(connection),
            name,
            paths,
        }
    }

    pub(crate) fn psk(psk: Psk) -> Side {
        Side::Psk(Box::new(psk))
    }

    /// rustls's state, when rustls runs the connection.
    pub(super) fn common(&self) -> Option<&CommonState> {
        match self {
            Side::Server { connection, .. } => Some(connection),
            Side::Client { connection, .. } => Some(connection),
            Side::Psk(_) => None,
        }
    }

    /// Whether all that has been sent was in the clear, as far as rustls knows.
    pub(super) fn is_plain(&self) -> bool {
        self.common()
            .is_some_and(|common| common.negotiated_cipher_suite().is_none())
    }

    /// The certificates that the peer has shown, its own first.
    pub(super) fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        self.common()
            .and_then(CommonState::peer_certificates)
            .unwrap_or_default()
    }

    /// The name asked for, by a client of ours or of somebody else's.
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Side::Server { accepted, .. } => accepted.name(),
            Side::Client { name, .. } => name.clone(),
            Side::Psk(psk) => psk.agreed()?.server_name.clone(),
        }
    }

    /// Why path validation of ours refused the peer, if it has just done so.
    pub(super) fn take_refusal(&self) -> Option<Box<Refusal>> {
        match self {
            Side::Server { accepted, .. } => accepted.take_refusal(),
            Side::Client { paths, .. } => {
                let (verifier, _) = paths.as_ref()?;
                verifier.findings().take_refusal().map(Box::new)
            }
            Side::Psk(_) => None,
        }
    }

    /// What the server has just stapled to its certificate.
    pub(super) fn take_staple(&self) -> Option<Vec<u8>> {
        match self {
            Side::Client { paths, .. } => paths.as_ref()?.0.findings().take_staple(),
            Side::Server { .. } | Side::Psk(_) => None,
        }
    }

    /// What can be asked about the peer, where path validation of ours has accepted it.
    pub(super) fn status_queries(&self, now: u64) -> Result<Vec<StatusQuery>, Refusal> {
        let chain = self.peer_certificates();
        match self {
            _ if chain.is_empty() => Ok(Vec::new()),
            Side::Server { accepted, .. } => accepted.status_queries(chain, now),
            Side::Client {
                paths: Some((verifier, name)),
                ..
            } => verifier.status_queries(chain, Some(name), now),
            Side::Client { .. } | Side::Psk(_) => Ok(Vec::new()),
        }
    }

    /// Lets rustls work on `input` until it needs more. Returns how many bytes at its front are
    /// done with; what is left was decrypted in place and must stay, in front of what comes next.
    pub(super) fn drive(
        &mut self,
        input: &mut [u8],
        hands: &mut Hands<'_>,
    ) -> Result<usize, Failure> {
        Ok(match self {
            Side::Server { connection, .. } => drive(connection.as_mut(), input, hands)?,
            Side::Client { connection, .. } => drive(connection.as_mut(), input, hands)?,
            Side::Psk(psk) => drive_psk(psk, input, hands).map_err(Failure::Psk)?,
        })
    }

    /// Collects what is queued to be sent and nothing else: after an error too.
    pub(super) fn collect(&mut self, output: &mut Output) {
        let mut hands = Hands {
            sink: &mut |_| {},
            output,
            intent: Intent::Listen,
            peer_closed: false,
        };
        // rustls hands out what is queued before it looks at input.
        while self.common().is_some_and(CommonState::wants_write) {
            let step = match self {
                Side::Server { connection, .. } => step(connection.process(&mut []), &mut hands).1,
                Side::Client { connection, .. } => step(connection.process(&mut []), &mut hands).1,
                Side::Psk(_) => return,
            };
            if !matches!(step, Ok(Step::Again)) {
                return;
            }
        }
    }
}

/// Gives one whole record, or none, to a connection with a pre-shared key, then does what is
/// intended.
fn drive_psk(psk: &mut Psk, input: &mut [u8], hands: &mut Hands<'_>) -> Result<usize, Fault> {
    if !input.is_empty() {
        let stalled = hands.output.len() > STALLED;
        psk.receive(input, stalled, hands.sink)?;
        hands.peer_closed |= psk.peer_closed();
    }
    hands.output.push(&psk.take_output());
    match core::mem::replace(&mut hands.intent, Intent::Listen) {
        Intent::Listen => {}
        Intent::Seal { written, .. } if !hands.output.is_empty() => {
            *written = Err(NotSealed::Wait);
        }
        Intent::Seal {
            plaintext,
            output,
            written,
        } => *written = psk.seal(plaintext, output)?.ok_or(NotSealed::Wait),
        Intent::Close => psk.close()?,
        Intent::Refresh => psk.refresh()?,
    }
    hands.output.push(&psk.take_output());
    Ok(input.len())
}

/// The calls that rustls's two connection types have under separate names.
trait Unbuffered {
    type Data;

    /// Whether something is queued to be sent.
    fn wants_write(&self) -> bool;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Unbuffered for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ServerConnectionData> {
        self.process_tls_records(input)
    }
}

impl Unbuffered for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn wants_write(&self) -> bool {
        CommonState::wants_write(self)
    }

    fn process<'c, 'i>(
        &'c mut self,
        input: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, ClientConnectionData> {
        self.process_tls_records(input)
    }
}

fn drive<C: Unbuffered>(
    connection: &mut C,
    input: &mut [u8],
    hands: &mut Hands<'_>,
) -> Result<usize, rustls::Error> {
    let mut done = 0;
    // Ends: each turn takes a record, a queued message or a one-time state away.
    loop {
        let rest = input.get_mut(done..).unwrap_or_default();
        let (discard, step) = step(connection.process(rest), hands);
        done += discard;
        match step? {
            Step::Again => {}
            Step::Blocked => return Ok(done),
            // Asked again, rustls would only say that it waits for more.
            Step::Done
                if matches!(hands.intent, Intent::Listen)
                    && done >= input.len()
                    && !connection.wants_write() =>
            {
                return Ok(done);
            }
            Step::Done => {}
        }
    }
}

enum Step {
    Again,
    Blocked,
    /// A record was sealed, or all plaintext there was is handed over.
    Done,
}

/// Handles one state; returns the bytes to discard, and what comes next.
fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    hands: &mut Hands<'_>,
) -> (usize, Result<Step, rustls::Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let state = match state {
        Ok(state) => state,
        Err(error) => return (discard, Err(error)),
    };
    let next = match state {
        ConnectionState::EncodeTlsData(message) => encode(message, hands.output),
        ConnectionState::TransmitTlsData(message) => {
            message.done();
            Ok(Step::Again)
        }
        ConnectionState::ReadTraffic(mut traffic) => {
            let mut next = Ok(Step::Done);
            while let Some(record) = traffic.next_record() {
                match record {
                    Ok(record) => {
                        discard += record.discard;
                        (hands.sink)(record.payload);
                    }
                    Err(error) => {
                        next = Err(error);
                        break;
                    }
                }
            }
            next
        }
        ConnectionState::PeerClosed => {
            hands.peer_closed = true;
            Ok(Step::Again)
        }
        ConnectionState::WriteTraffic(traffic) => write(traffic, hands),
        ConnectionState::BlockedHandshake | ConnectionState::Closed => Ok(Step::Blocked),
        // Early data is never offered and never accepted.
        ConnectionState::ReadEarlyData(_) => Err(rustls::Error::General(
            "early data that was not accepted".into(),
        )),
        _ => Err(rustls::Error::General("a state that is not known".into())),
    };
    (discard, next)
}

fn encode<D>(
    mut message: EncodeTlsData<'_, D>,
    output: &mut Output,
) -> Result<Step, rustls::Error> {
    // Encoding into nothing tells the size.
    let size = match message.encode(&mut []) {
        Ok(_) => 0,
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Err(error @ EncodeError::AlreadyEncoded) => {
            return Err(rustls::Error::General(alloc::format!("{error}")));
        }
    };
    output
        .push_with(size, |buffer| message.encode(buffer))
        .map_err(|error| rustls::Error::General(alloc::format!("{error}")))?;
    Ok(Step::Again)
}

fn write<D>(
    mut traffic: WriteTraffic<'_, D>,
    hands: &mut Hands<'_>,
) -> Result<Step, rustls::Error> {
    match core::mem::replace(&mut hands.intent, Intent::Listen) {
        Intent::Listen => Ok(Step::Blocked),
        Intent::Seal {
            plaintext,
            output,
            written,
        } => {
            // Once sealed, a record's place in the sequence is fixed: what waits goes first.
            if !hands.output.is_empty() {
                *written = Err(NotSealed::Wait);
                return Ok(Step::Blocked);
            }
            *written = match traffic.encrypt(plaintext, output) {
                Ok(sealed) => {
                    *written = Ok(sealed);
                    return Ok(Step::Done);
                }
                // A key update came in between; it is queued, and the next turn encodes it.
                Err(EncryptError::InsufficientSize(_)) => Err(NotSealed::Wait),
                Err(EncryptError::EncryptExhausted) => Err(NotSealed::KeysUsedUp),
            };
            Ok(Step::Again)
        }
        Intent::Close => {
            // Without room it stays queued, and the next turn encodes it.
            let _ = traffic.queue_close_notify(&mut []);
            Ok(Step::Again)
        }
        Intent::Refresh => {
            traffic.refresh_traffic_keys()?;
            Ok(Step::Again)
        }
    }
}
