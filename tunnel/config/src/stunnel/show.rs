//! How configurations are shown: no byte of a key or a password.

use core::fmt;

use super::negotiation::Negotiation;
use super::types::{File, Psk, TicketKeys};

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.path, self.bytes.len())
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, mac) = (self.key.len(), self.mac.len());
        write!(f, "TicketKeys({key} bytes, {mac} bytes)")
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identities = self.secrets.iter().map(|(identity, _)| identity);
        f.debug_struct("Psk")
            .field("identity", &self.identity)
            .field("identities", &identities.clone().count())
            .finish()
    }
}

impl fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiation")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("username", &self.username)
            .field("authentication", &self.authentication)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}
