//! Our own TLS client over a blocking socket, for what the usual tools cannot do: half-close,
//! resets, a ClientHello in crumbs, hundreds of connections at once.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stockade_tls::{
    Client, ClientOptions, Connection, Handshake, MAX_PLAINTEXT, MAX_RECORD, PeerCertificate,
    Server, VerifyMode, Version, Versions, WallClock,
};

use crate::PATIENCE;
use crate::certificates::{Identity, NAME};

/// The options of a client that verifies `identity`'s chain and name.
pub fn options(identity: &Identity) -> ClientOptions {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    ClientOptions::new(
        vec![identity.authority.clone().into_bytes()],
        WallClock::new(now),
    )
}

/// A client that verifies `identity`'s chain and name, with every default.
pub fn verifying(identity: &Identity) -> Client {
    build(options(identity))
}

/// A client that takes any certificate.
pub fn trusting(identity: &Identity) -> Client {
    build(ClientOptions {
        verify: VerifyMode::None,
        ..options(identity)
    })
}

/// A client that verifies and offers one version alone.
pub fn only(identity: &Identity, version: Version) -> Client {
    let versions = Versions {
        min: version,
        max: version,
    };
    build(ClientOptions {
        versions,
        ..options(identity)
    })
}

/// A client with these options; panics with the reason when they cannot be.
pub fn build(options: ClientOptions) -> Client {
    Client::new(options).unwrap_or_else(|error| panic!("the test's TLS client: {error}"))
}

/// A TCP connection on which nothing waits longer than [`PATIENCE`].
pub fn tcp(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = loop {
        match TcpStream::connect_timeout(&server, PATIENCE) {
            // A child of another test has ended; connect_timeout does not begin again by itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            connected => break connected?,
        }
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Makes the next close of `stream` a reset (socket(7), `SO_LINGER` of zero).
pub fn reset_on_close(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))
        .expect("a socket option of an open socket");
}

/// A blocking TLS stream.
///
/// `read` gives 0 only after the server's close_notify; a TCP end without it is
/// [`ErrorKind::UnexpectedEof`] (RFC 8446 §6.1: truncation).
pub struct TlsStream {
    tcp: TcpStream,
    tls: Connection,
    /// Received records that are not opened yet.
    records: Vec<u8>,
    /// Opened bytes that are not read yet; those before `taken` are.
    plaintext: Vec<u8>,
    taken: usize,
}

impl TlsStream {
    /// Connects and completes the handshake.
    pub fn connect(server: SocketAddr, client: &Client) -> io::Result<TlsStream> {
        let mut stream = Self::open(tcp(server)?, client)?;
        stream.complete_handshake()?;
        Ok(stream)
    }

    /// The same with a name of the caller's choice, or none, to ask for.
    pub fn connect_to(
        server: SocketAddr,
        client: &Client,
        name: Option<&str>,
    ) -> io::Result<TlsStream> {
        let tls = client.connect(name).map_err(io::Error::other)?;
        let mut stream = Self::over(tcp(server)?, tls);
        stream.complete_handshake()?;
        Ok(stream)
    }

    /// Completes the handshake of a server with the client at the other end.
    pub fn accept(tcp: TcpStream, server: &Server) -> io::Result<TlsStream> {
        let tls = server.accept().map_err(io::Error::other)?;
        let mut stream = Self::over(tcp, tls);
        stream.complete_handshake()?;
        Ok(stream)
    }

    /// Starts on an open TCP connection; the ClientHello waits to be sent.
    pub fn open(tcp: TcpStream, client: &Client) -> io::Result<TlsStream> {
        let tls = client.connect(Some(NAME)).map_err(io::Error::other)?;
        Ok(Self::over(tcp, tls))
    }

    fn over(tcp: TcpStream, tls: Connection) -> TlsStream {
        TlsStream {
            tcp,
            tls,
            records: Vec::new(),
            plaintext: Vec::new(),
            taken: 0,
        }
    }

    /// Sends the ClientHello one byte a segment, then completes the handshake.
    ///
    /// Without Nagle's algorithm each `write` leaves as a segment of its own; the pauses keep the
    /// kernel from merging those that wait.
    pub fn complete_handshake_in_crumbs(&mut self) -> io::Result<()> {
        for byte in self.output() {
            self.tcp.write_all(&[byte])?;
            std::thread::sleep(Duration::from_millis(1));
        }
        self.complete_handshake()
    }

    /// Sends these bytes and the ClientHello in one segment, then completes the handshake.
    pub fn complete_handshake_behind(&mut self, front: &[u8]) -> io::Result<()> {
        let both = [front, &self.output()].concat();
        self.tcp.write_all(&both)?;
        self.complete_handshake()
    }

    /// Completes the handshake.
    pub fn complete_handshake(&mut self) -> io::Result<()> {
        self.flush_output()?;
        while self.tls.is_handshaking() {
            self.receive_some()?;
        }
        Ok(())
    }

    /// What the handshake agreed on.
    pub fn handshake(&self) -> &Handshake {
        self.tls.handshake().expect("the handshake is complete")
    }

    /// The certificate that the other end has shown.
    pub fn peer(&self) -> Option<PeerCertificate> {
        self.tls.peer()
    }

    /// Ends our direction in order: close_notify, then FIN. Reading goes on.
    pub fn finish(&mut self) -> io::Result<()> {
        self.tls.close_notify();
        self.flush_output()?;
        self.tcp.shutdown(Shutdown::Write)
    }

    /// Ends our direction with close_notify alone, without FIN. Reading goes on.
    pub fn close_notify(&mut self) -> io::Result<()> {
        self.tls.close_notify();
        self.flush_output()
    }

    /// Takes new sending keys and asks the server for the same (RFC 8446 §4.6.3).
    pub fn refresh_keys(&mut self) -> io::Result<()> {
        self.tls.refresh_keys().map_err(io::Error::other)?;
        self.flush_output()
    }

    /// Resets the connection.
    pub fn reset(self) {
        reset_on_close(&self.tcp);
    }

    /// The socket below, for what no TLS stream should do.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Reads until the server's close_notify into `output`.
    pub fn read_into<W: Write>(&mut self, mut output: W) -> io::Result<W> {
        io::copy(self, &mut output)?;
        Ok(output)
    }

    /// Waits for the TCP end; `Ok` when it is orderly (FIN) and nothing came before it.
    pub fn expect_fin(&mut self) -> io::Result<()> {
        match self.tcp.read(&mut [0; 1])? {
            0 => Ok(()),
            _ => Err(io::Error::other("bytes after close_notify")),
        }
    }

    /// Takes in what one `read` of the socket gives.
    fn receive_some(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; 4 * MAX_RECORD];
        let length = self.tcp.read(&mut chunk)?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.records.extend_from_slice(&chunk[..length]);
        let mut consumed = 0;
        let outcome = loop {
            let plaintext = &mut self.plaintext;
            let result = self
                .tls
                .receive(&mut self.records[consumed..], usize::MAX, &mut |data| {
                    plaintext.extend_from_slice(data);
                });
            match result {
                Ok(received) if received.consumed == 0 => break Ok(()),
                Ok(received) => consumed += received.consumed,
                Err(error) => break Err(io::Error::other(error)),
            }
        };
        self.records.drain(..consumed);
        // Alerts go out even when the connection failed; that failure is the one to report.
        let flushed = self.flush_output();
        outcome.and(flushed)
    }

    fn output(&mut self) -> Vec<u8> {
        let mut output = vec![0; self.tls.pending_output()];
        let length = self.tls.transmit(&mut output);
        output.truncate(length);
        output
    }

    fn flush_output(&mut self) -> io::Result<()> {
        while self.tls.pending_output() > 0 {
            let output = self.output();
            self.tcp.write_all(&output)?;
        }
        Ok(())
    }
}

impl Read for TlsStream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.plaintext.len() {
            self.plaintext.clear();
            self.taken = 0;
            if self.tls.peer_closed() {
                return Ok(0);
            }
            self.receive_some()?;
        }
        let length = out.len().min(self.plaintext.len() - self.taken);
        out[..length].copy_from_slice(&self.plaintext[self.taken..self.taken + length]);
        self.taken += length;
        Ok(length)
    }
}

impl Write for TlsStream {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.flush_output()?;
        let mut record = vec![0; MAX_RECORD];
        let data = &data[..data.len().min(MAX_PLAINTEXT)];
        let sealed = self.tls.send(data, &mut record).map_err(io::Error::other)?;
        self.tcp.write_all(&record[..sealed.written])?;
        Ok(sealed.read)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_output()
    }
}
