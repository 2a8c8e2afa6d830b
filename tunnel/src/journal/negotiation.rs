//! What is told of protocols around TLS.

use core::fmt;

use super::{Address, Kind, Lines, Severity};

impl Lines<'_> {
    /// A proxy has told for whom its connection is.
    pub fn proxied(&mut self, proxy: Address<'_>, client: Address<'_>) {
        self.line(
            Severity::Info,
            format_args!("PROXY header from {proxy}: the client is {client}"),
        );
    }

    /// A client has named its backend.
    pub fn destination(&mut self, destination: &dyn fmt::Display) {
        self.line(
            Severity::Info,
            format_args!("The client asks for {destination}"),
        );
    }

    /// What precedes the relay came to nothing.
    pub fn negotiation_failed(&mut self, error: &dyn fmt::Display) {
        self.tell(
            Kind::HandshakeFailed,
            Severity::Error,
            format_args!("{error}"),
        );
    }
}
