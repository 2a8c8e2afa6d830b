//! PostgreSQL's SSLRequest (PostgreSQL documentation, "Message Flow", "SSL Session Encryption"), and
//! TLS without it (`sslnegotiation=direct`, since PostgreSQL 17).
//!
//! In client mode applications need not be told to do without TLS: what they ask for it is answered
//! here, with no.
//!
//! In server mode nothing but TLS is served: a CancelRequest in the clear is refused as well, and what clients up to
//! libpq 16 cancel through here goes on running. From 17 on, `PQcancelStart` asks under TLS.

use alloc::boxed::Box;

use super::{About, Dialect, End, Ends, Fault, Progress, Setup, Stage, Wire};

#[cfg(test)]
mod tests;

/// `SSLRequest` ("Message Formats"): its length, and 1234 and 5679 in two 16-bit words.
const SSL_REQUEST: [u8; 8] = 0x0000_0008_04d2_162fu64.to_be_bytes();

/// `GSSENCRequest`: likewise, with 5680.
const GSS_ENCRYPTION_REQUEST: [u8; 8] = 0x0000_0008_04d2_1630u64.to_be_bytes();

/// A TLS record of type handshake (RFC 8446 §5.1). No packet of PostgreSQL's is so long that its
/// length begins so.
const HANDSHAKE: u8 = 0x16;

/// What clients offer by ALPN where TLS begins at once; they must ("SSL Session Encryption").
const PROTOCOL: &[u8] = b"postgresql";

/// `ErrorResponse` for clients that want no TLS: their users see why.
const TLS_REQUIRED: &[u8; 69] =
    b"E\0\0\0\x44SFATAL\0VFATAL\0C28000\0MSSL expected but not requested by client\0\0";

/// Most such requests of one application: it may ask for each encryption once.
const MAX_REQUESTS: u8 = 2;

const NO_TLS: &str = "PostgreSQL client did not request TLS, rejecting";

/// A client of a database.
pub(super) fn client(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Client {
        asked: false,
        requests: 0,
    })
}

/// The server in front of a database.
pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Server {
        gss_refused: false,
        direct: false,
    })
}

struct Client {
    asked: bool,
    /// Requests of the application's own that were refused.
    requests: u8,
}

impl Dialect for Client {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        if stage != Stage::Clear {
            return Ok(self.spare(&mut ends.client));
        }
        if !self.asked {
            self.asked = true;
            ends.backend.send(&SSL_REQUEST);
        }
        let Some([answer]) = ends.backend.take_array() else {
            return ends.backend.more();
        };
        if answer != b'S' {
            // An ErrorResponse's text is nobody's who has shown who he is: it is not told.
            let text = "PostgreSQL server rejected TLS";
            return Err(Fault::with(End::Backend, text, &[answer]));
        }
        ends.backend.refuse_early()?;
        Ok(Progress::Next)
    }
}

impl Client {
    /// Applications that would rather have TLS ask for it first (libpq's `sslmode=prefer`). They hear
    /// that there is none: from here on there is, and the server would be asked for TLS inside TLS.
    fn spare(&mut self, application: &mut Wire<'_>) -> Progress {
        while let Some(packet) = application.rest().first_chunk() {
            let asks = [SSL_REQUEST, GSS_ENCRYPTION_REQUEST].contains(packet);
            if !asks || self.requests == MAX_REQUESTS {
                return Progress::Next;
            }
            self.requests += 1;
            application.take(packet.len());
            application.send(b"N");
        }
        match application.has_ended() {
            true => Progress::Next,
            false => Progress::Wait,
        }
    }
}

struct Server {
    gss_refused: bool,
    direct: bool,
}

impl Dialect for Server {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        about: &About<'_>,
    ) -> Result<Progress, Fault> {
        match stage {
            Stage::Clear => self.negotiate(ends),
            Stage::Secured if self.direct => {
                let handshake = about.tls.and_then(|tls| tls.handshake());
                agreed(handshake.and_then(|handshake| handshake.alpn.as_deref()))
            }
            Stage::Secured | Stage::Connected => Ok(Progress::Next),
        }
    }
}

impl Server {
    fn negotiate(&mut self, ends: &mut Ends<'_>) -> Result<Progress, Fault> {
        let client = &mut ends.client;
        loop {
            if client.rest().first() == Some(&HANDSHAKE) {
                self.direct = true;
                return Ok(Progress::Next);
            }
            let Some(packet) = client.take_array() else {
                return client.more();
            };
            match packet {
                SSL_REQUEST => {
                    // CVE-2021-23214.
                    client.refuse_early()?;
                    client.send(b"S");
                    return Ok(Progress::Next);
                }
                // No such encryption, but the client may go on ("GSSAPI Session Encryption").
                GSS_ENCRYPTION_REQUEST if !self.gss_refused => {
                    self.gss_refused = true;
                    client.send(b"N");
                }
                // A StartupMessage of version 3.
                [_, _, _, _, 0, 3, _, _] => {
                    client.send(TLS_REQUIRED);
                    return Err(Fault::new(End::Client, NO_TLS));
                }
                _ => return Err(Fault::with(End::Client, NO_TLS, &packet)),
            }
        }
    }
}

/// Whether TLS that nothing went before is PostgreSQL's: other protocols' clients, whom an attacker
/// leads here, don't say so.
fn agreed(protocol: Option<&[u8]>) -> Result<Progress, Fault> {
    match protocol {
        Some(PROTOCOL) => Ok(Progress::Next),
        _ => Err(Fault::new(
            End::Client,
            "TLS without SSLRequest, and without ALPN protocol \"postgresql\"",
        )),
    }
}
