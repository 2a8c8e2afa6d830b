//! What one accepted connection has of its own while rustls shakes hands.
//!
//! rustls asks a configuration for certificates, tickets and verdicts without saying for which
//! connection, so each has a configuration that points here.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use spin::Mutex;

use super::judge::Judge;
use crate::kept::Kept;
use crate::sessions::ServerSessions;
use crate::tickets::Tickets;
use crate::{Refusal, StatusQuery, Verdict, WallClock};

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) key: Mutex<Arc<CertifiedKey>>,
    pub(super) clock: WallClock,
    /// Of sessions, in seconds.
    pub(super) lifetime: u64,
    pub(super) tickets: Option<Tickets>,
    pub(super) sessions: Option<ServerSessions>,
    pub(super) judge: Judge,
}

/// One connection's answers to rustls, and what they leave behind.
pub(crate) struct Accepted {
    shared: Arc<Shared>,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// The name that the client asks for.
    name: Option<String>,
    /// What to keep with the session, unless it is resumed and has its own.
    data: Vec<u8>,
    /// What went with the session that the client offered; rustls may yet decline it.
    offered: Option<Kept>,
    /// The verdict on the client's certificate in this handshake.
    verdict: Option<Verdict>,
    /// Why the handshake failed.
    refusal: Option<Box<Refusal>>,
    /// Where the session is kept in memory.
    kept: Vec<Vec<u8>>,
}

/// What a handshake ended with.
pub(crate) struct Concluded {
    pub(crate) verdict: Option<Verdict>,
    /// Of the session that was resumed.
    pub(crate) data: Option<Vec<u8>>,
}

impl Accepted {
    pub(super) fn new(shared: Arc<Shared>, data: &[u8]) -> Accepted {
        let noted = Noted {
            data: data.to_vec(),
            ..Noted::default()
        };
        Accepted {
            shared,
            noted: Mutex::new(noted),
        }
    }

    pub(crate) fn name(&self) -> Option<String> {
        self.noted.lock().name.clone()
    }

    /// Whether clients' certificates are verified, where they show any.
    pub(crate) fn verifies(&self) -> bool {
        self.shared.judge.verifies()
    }

    pub(crate) fn take_refusal(&self) -> Option<Box<Refusal>> {
        self.noted.lock().refusal.take()
    }

    /// What can be asked about a client that path validation of ours has accepted.
    pub(crate) fn status_queries(
        &self,
        chain: &[CertificateDer<'_>],
        now: u64,
    ) -> Result<Vec<StatusQuery>, Refusal> {
        self.shared.judge.status_queries(chain, now)
    }

    /// What this handshake, now done, has found or taken over; `None` when a verdict is lacking
    /// where there must be one.
    pub(crate) fn conclude(&self, resumed: bool) -> Option<Concluded> {
        let mut noted = self.noted.lock();
        let offered = noted.offered.take();
        let (verdict, data) = match offered {
            Some(kept) if resumed => (kept.verdict, Some(kept.data)),
            None if resumed => return None,
            _ => (noted.verdict.take(), None),
        };
        if self.shared.judge.notes() && verdict.is_none() {
            return None;
        }
        Some(Concluded { verdict, data })
    }

    /// Changes the data of the sessions that this connection has kept in memory.
    pub(crate) fn change_data(&self, data: &[u8]) {
        let mut noted = self.noted.lock();
        noted.data = data.to_vec();
        let Some(sessions) = &self.shared.sessions else {
            return;
        };
        for key in &noted.kept {
            sessions.change(key, |bytes| {
                let (kept, state) = Kept::decode(bytes)?;
                let kept = Kept {
                    data: data.to_vec(),
                    ..kept
                };
                Some([&kept.encode(), state].concat())
            });
        }
    }

    /// What to keep with a session now.
    fn keep(&self) -> Kept {
        let now = self.shared.clock.now();
        let noted = self.noted.lock();
        match &noted.offered {
            // The handshake is a resumption, or rustls has declined it without asking the client
            // for anything: then there is no verdict either.
            Some(offered) => Kept {
                made: now,
                ..offered.clone()
            },
            None => Kept {
                made: now,
                began: now,
                verdict: noted.verdict.clone(),
                data: noted.data.clone(),
            },
        }
    }

    /// rustls's state, if its session may be resumed.
    fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (kept, state) = Kept::decode(bytes)?;
        if !kept.is_fresh(self.shared.clock.now(), self.shared.lifetime) {
            return None;
        }
        self.noted.lock().offered = Some(kept);
        Some(state.to_vec())
    }
}

/// Shows the one identity to everybody, and notes the name asked for.
impl ResolvesServerCert for Accepted {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut noted = self.noted.lock();
        noted.name = hello.server_name().map(ToString::to_string);
        noted.offered = None;
        Some(self.shared.key.lock().clone())
    }
}

impl ProducesTickets for Accepted {
    fn enabled(&self) -> bool {
        self.shared.tickets.is_some()
    }

    fn lifetime(&self) -> u32 {
        let tickets = self.shared.tickets.as_ref();
        tickets.map(Tickets::lifetime).unwrap_or_default()
    }

    fn encrypt(&self, state: &[u8]) -> Option<Vec<u8>> {
        let tickets = self.shared.tickets.as_ref()?;
        tickets.seal(&[&self.keep().encode(), state])
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let opened = self.shared.tickets.as_ref()?.open(ticket)?;
        self.open(&opened)
    }
}

impl StoresServerSessions for Accepted {
    fn put(&self, key: Vec<u8>, state: Vec<u8>) -> bool {
        let Some(sessions) = &self.shared.sessions else {
            return false;
        };
        let mut bytes = self.keep().encode();
        bytes.reserve_exact(state.len());
        bytes.extend_from_slice(&state);
        self.noted.lock().kept.push(key.clone());
        sessions.put(key, bytes)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.shared.sessions.as_ref()?.get(key)?;
        let state = self.open(&bytes)?;
        // TLS 1.2's session stays where it is, and its data may change.
        self.noted.lock().kept.push(key.to_vec());
        Some(state)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let bytes = self.shared.sessions.as_ref()?.take(key)?;
        self.open(&bytes)
    }

    fn can_cache(&self) -> bool {
        self.shared.sessions.is_some()
    }
}

impl ClientCertVerifier for Accepted {
    fn client_auth_mandatory(&self) -> bool {
        // rustls asks when the client's Certificate message has come, empty or not. So this is a
        // full handshake, whatever session was offered.
        let mut noted = self.noted.lock();
        noted.offered = None;
        if self.shared.judge.notes() {
            noted.verdict = Some(Verdict::Missing);
        }
        self.shared.judge.required()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.shared.judge.subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judge = &self.shared.judge;
        let result = judge.examine(certificate, intermediates, now);
        let mut noted = self.noted.lock();
        match result {
            Ok(()) => {
                if judge.notes() {
                    noted.verdict = Some(Verdict::Good);
                }
            }
            Err((error, refusal)) if judge.notes() => {
                noted.verdict = Some(Verdict::Refused {
                    reason: match &refusal {
                        Some(refusal) => refusal.to_string(),
                        None => crate::error::certificate_words(&error),
                    },
                    refusal,
                });
            }
            Err((error, refusal)) => {
                noted.refusal = refusal;
                return Err(error);
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_refused() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let signatures = self.shared.judge.signatures();
        signatures.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_refused() {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let signatures = self.shared.judge.signatures();
        signatures.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.shared.judge.signatures().supported_verify_schemes()
    }
}

impl Accepted {
    /// Whether the certificate was refused and the handshake goes on: then it proves nothing, and
    /// neither does a signature made with its key, which may be of a kind that is not known here.
    fn is_refused(&self) -> bool {
        matches!(self.noted.lock().verdict, Some(Verdict::Refused { .. }))
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Accepted").finish_non_exhaustive()
    }
}
