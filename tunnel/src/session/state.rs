//! How a session stands.

use tls::Connection;

use super::{Direction, Mode, Session};

impl Session {
    /// Which end was accepted.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The TLS connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the handshake agreed on, once it is over.
    pub fn handshake(&self) -> Option<&tls::Handshake> {
        self.connection.handshake()
    }

    /// Plaintext bytes moved: out of TLS and into it.
    pub fn bytes(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Which directions are over: out of TLS, as the TLS peer has ended it; and into TLS, as the plain
    /// peer has, with our close_notify sent.
    pub fn ended(&self) -> (bool, bool) {
        let [inbound, outbound] = [self.inbound, self.outbound].map(|it| it == Direction::Ended);
        (inbound, outbound)
    }

    /// Whether TLS has failed with an alert of either side, so that the TLS end was ended in order.
    pub fn alerted(&self) -> bool {
        self.alerted
    }
}
