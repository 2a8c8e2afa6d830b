//! How each conversation begins: the server lists its references and what it can do
//! (gitprotocol-pack(5), "Reference Discovery").

use alloc::string::String;
use alloc::vec::Vec;

use super::object::ObjectId;
use super::packet::{Packet, Packets, words};
use super::{Error, Limits};

/// The name of nothing, which carries what a server without references can do.
const NO_REFERENCE: &[u8] = b"capabilities^{}";

/// The list as it comes.
#[derive(Debug)]
pub(super) struct Advertisement {
    reference: String,
    most: usize,
    seen: usize,
    /// Where the reference is, if the server has it.
    pub(super) id: Option<ObjectId>,
    capabilities: Vec<u8>,
}

impl Advertisement {
    /// Looks for this reference.
    pub(super) fn new(reference: &str, limits: &Limits) -> Advertisement {
        Advertisement {
            reference: reference.into(),
            most: limits.advertisement,
            seen: 0,
            id: None,
            capabilities: Vec::new(),
        }
    }

    /// Takes packets in; true once the list has ended.
    pub(super) fn read(&mut self, packets: &mut Packets) -> Result<bool, Error> {
        while let Some(packet) = packets.next()? {
            let line = match packet {
                Packet::Flush => return Ok(true),
                Packet::Line(line) => line,
            };
            self.seen += line.len();
            if self.seen > self.most {
                return Err(Error::TooMuch("references"));
            }
            self.line(&line)?;
        }
        Ok(false)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        const WHAT: Error = Error::Unexpected("its list of references");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut halves = line.splitn(2, |byte| *byte == 0);
        let line = halves.next().unwrap_or_default();
        if let Some(capabilities) = halves.next() {
            self.capabilities = capabilities.to_vec();
        }
        if line == b"version 1" || line.starts_with(b"shallow ") {
            return Ok(());
        }
        let (id, rest) = line.split_at_checked(2 * ObjectId::LENGTH).ok_or(WHAT)?;
        let id = ObjectId::from_hex(id).ok_or(WHAT)?;
        let name = rest.strip_prefix(b" ").ok_or(WHAT)?;
        if name == self.reference.as_bytes() && name != NO_REFERENCE {
            self.id = Some(id);
        }
        Ok(())
    }

    /// Makes sure that the server can do all of this.
    pub(super) fn require(&self, capabilities: &[&str]) -> Result<(), Error> {
        match capabilities.iter().find(|wanted| !self.can(wanted)) {
            None => Ok(()),
            Some(missing) => Err(Error::Server(alloc::format!(
                "its capabilities are \"{}\", but {missing} is needed",
                words(&self.capabilities)
            ))),
        }
    }

    fn can(&self, wanted: &str) -> bool {
        let mut words = self.capabilities.split(|byte| *byte == b' ');
        words.any(|word| word == wanted.as_bytes())
    }
}
