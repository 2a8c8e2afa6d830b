//! A TLS client for load: one version, one cipher suite, one group, a full handshake every time.
//!
//! The product's own client prefers a hybrid group that no peer of Debian's has, so that figures
//! would not compare. This one leaves no choice to the server.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, WriteTraffic};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::backend::Order;
use crate::PATIENCE;
use crate::certificates::NAME;

/// Bytes that one `read` takes from the socket.
const READ: usize = 256 * 1024;
/// Bytes that one `write` puts on the socket: four records.
const WRITE: usize = 4 * 16 * 1024;
/// More than four records' headers, content types and tags.
const WRITE_OVERHEAD: usize = 1024;

/// Makes connections: TLS 1.3 with TLS_AES_128_GCM_SHA256 and X25519.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// A client that takes any certificate: it measures servers, it does not trust them.
    pub fn new() -> Client {
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..ring::default_provider()
        };
        let builder = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(Clock));
        let mut config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the suite is one of TLS 1.3's")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Client {
            config: Arc::new(config),
        }
    }

    /// Connects and completes the handshake; the TCP connection must stand within `limit`.
    pub fn connect(&self, server: SocketAddr, limit: Duration) -> io::Result<Stream> {
        let tcp = TcpStream::connect_timeout(&server, limit)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(NAME).map_err(failed)?;
        let tls = UnbufferedClientConnection::new(self.config.clone(), name);
        let mut stream = Stream {
            tcp,
            tls: tls.map_err(failed)?,
            input: Vec::new(),
            filled: 0,
            output: Vec::new(),
            state: State::Handshaking,
            first_byte: None,
        };
        stream.advance(Intent::Listen, &mut |_| {})?;
        while stream.state == State::Handshaking {
            stream.receive(&mut |_| {})?;
        }
        Ok(stream)
    }
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

/// A TLS connection over a blocking socket.
pub struct Stream {
    tcp: TcpStream,
    tls: UnbufferedClientConnection,
    /// Records received; the bytes before `filled` are not taken in yet.
    input: Vec<u8>,
    filled: usize,
    /// Records to be sent.
    output: Vec<u8>,
    state: State,
    first_byte: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshaking,
    Open,
    Closed,
}

/// What to do once rustls lets us write.
#[derive(Clone, Copy)]
enum Intent<'a> {
    Listen,
    Send(&'a [u8]),
    Close,
}

impl Stream {
    /// When the server's first byte came.
    pub fn first_byte(&self) -> Option<Instant> {
        self.first_byte
    }

    /// Sends all of `data`.
    pub fn send(&mut self, data: &[u8]) -> io::Result<()> {
        data.chunks(WRITE)
            .try_for_each(|chunk| self.advance(Intent::Send(chunk), &mut |_| {}))
    }

    /// Waits for bytes and hands their plaintext, if it is any, to `sink`. False at the server's
    /// close_notify; a TCP end without it is an error.
    pub fn receive(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        if self.state == State::Closed {
            return Ok(false);
        }
        self.input.resize(self.filled + READ, 0);
        let length = self.tcp.read(&mut self.input[self.filled..])?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.first_byte.get_or_insert_with(Instant::now);
        self.filled += length;
        self.advance(Intent::Listen, sink)?;
        Ok(self.state != State::Closed)
    }

    /// Receives exactly `length` bytes of plaintext, and looks at none of them.
    pub fn skip(&mut self, length: u64) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let mut taken = 0;
            let open = self.receive(&mut |data| taken += data.len() as u64)?;
            left = left
                .checked_sub(taken)
                .ok_or_else(|| io::Error::other("more bytes than were asked for"))?;
            if !open && left > 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Orders an echo and has one byte sent to the backend and back, in one record each way.
    pub fn echo_byte(&mut self) -> io::Result<()> {
        let mut message = Order::Echo.bytes().to_vec();
        message.push(b'?');
        self.send(&message)?;
        self.skip(1)
    }

    /// Ends both directions in order: close_notify and FIN, then the server's.
    pub fn close(mut self) -> io::Result<()> {
        self.advance(Intent::Close, &mut |_| {})?;
        self.tcp.shutdown(Shutdown::Write)?;
        let mut rest = [0; 1024];
        // stunnel answers with FIN alone, others with close_notify first.
        while self.tcp.read(&mut rest)? > 0 {}
        Ok(())
    }

    /// Lets rustls work on what has come, then sends what it made.
    fn advance(&mut self, intent: Intent<'_>, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut done = 0;
        loop {
            let input = &mut self.input[done..self.filled];
            let status = self.tls.process_tls_records(input);
            let mut discard = status.discard;
            let mut blocked = false;
            match status.state.map_err(failed)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(failed)?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(message) => encode(message, &mut self.output)?,
                ConnectionState::TransmitTlsData(message) => message.done(),
                ConnectionState::WriteTraffic(traffic) => {
                    if self.state == State::Handshaking {
                        self.state = State::Open;
                    }
                    write(traffic, intent, &mut self.output)?;
                    blocked = true;
                }
                ConnectionState::PeerClosed | ConnectionState::Closed => {
                    self.state = State::Closed;
                    blocked = matches!(intent, Intent::Listen);
                }
                ConnectionState::BlockedHandshake => blocked = true,
                _ => return Err(io::Error::other("a state that no client has")),
            }
            done += discard;
            if blocked {
                break;
            }
        }
        self.input.copy_within(done..self.filled, 0);
        self.filled -= done;
        self.tcp.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }
}

/// rustls's errors without std are no `Error`s.
fn failed(error: impl fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn encode<D>(mut message: EncodeTlsData<'_, D>, output: &mut Vec<u8>) -> io::Result<()> {
    let start = output.len();
    // Encoding into nothing tells the size.
    if let Err(EncodeError::InsufficientSize(size)) = message.encode(&mut []) {
        output.resize(start + size.required_size, 0);
        message.encode(&mut output[start..]).map_err(failed)?;
    }
    Ok(())
}

fn write<D>(
    mut traffic: WriteTraffic<'_, D>,
    intent: Intent<'_>,
    output: &mut Vec<u8>,
) -> io::Result<()> {
    let start = output.len();
    let room = match intent {
        Intent::Listen => return Ok(()),
        Intent::Send(data) => data.len() + WRITE_OVERHEAD,
        Intent::Close => WRITE_OVERHEAD,
    };
    output.resize(start + room, 0);
    let sealed = match intent {
        Intent::Send(data) => traffic.encrypt(data, &mut output[start..]),
        _ => traffic.queue_close_notify(&mut output[start..]),
    };
    output.truncate(start + sealed.map_err(failed)?);
    Ok(())
}

/// The system's clock.
#[derive(Debug)]
struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(UnixTime::since_unix_epoch(since))
    }
}

/// Believes every certificate and every signature: what that costs is the client's, and the
/// client shares the machine with the server.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 was not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
