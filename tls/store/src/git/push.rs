//! Adding a commit to a branch (git-receive-pack(1)).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::advertisement::Advertisement;
use super::object::ObjectId;
use super::packet::{FLUSH, Packet, Packets, packet, words};
use super::sideband::{Band, band};
use super::{Error, Limits};

/// What we ask the server to do; it must offer it.
const WANTED: [&str; 2] = ["report-status", "side-band-64k"];

/// How a server says that the branch has moved meanwhile.
const STALE: [&str; 5] = [
    "failed to update ref",
    "failed to lock",
    "cannot lock ref",
    "fetch first",
    "non-fast-forward",
];

/// A conversation that moves one branch from one commit to the next, or not at all.
pub struct Push {
    packets: Packets,
    /// What comes on the data's band: packets again.
    report: Packets,
    output: Vec<u8>,
    state: State,
    advertisement: Advertisement,
    reference: String,
    old: Option<ObjectId>,
    new: ObjectId,
    pack: Vec<u8>,
    is_unpacked: bool,
    is_updated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server lists its references.
    Advertisement,
    /// It says what became of the pack and of the branch.
    Report,
    /// It has said so, and ends.
    End,
    Done,
}

impl Push {
    /// Moves `reference` from `old`, which is the new commit's parent (`None`: there is no such branch
    /// yet), to `new`, which is in the pack.
    pub fn new(
        reference: &str,
        old: Option<ObjectId>,
        new: ObjectId,
        pack: Vec<u8>,
        limits: &Limits,
    ) -> Push {
        Push {
            packets: Packets::default(),
            report: Packets::default(),
            output: Vec::new(),
            state: State::Advertisement,
            advertisement: Advertisement::new(reference, limits),
            reference: reference.into(),
            old,
            new,
            pack,
            is_unpacked: false,
            is_updated: false,
        }
    }

    /// Takes in what the server says.
    ///
    /// # Errors
    ///
    /// The conversation can't go on. Once the pack is sent, nobody knows then whether the branch has
    /// moved: fetch it again. With [`Error::Stale`] it has not.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.packets.push(bytes);
        if self.state == State::Advertisement && self.advertisement.read(&mut self.packets)? {
            self.send()?;
        }
        while matches!(self.state, State::Report | State::End) {
            let Some(packet) = self.packets.next()? else {
                return Ok(());
            };
            match packet {
                Packet::Line(line) => {
                    if let Band::Data(bytes) = band(&line)? {
                        self.report.push(bytes);
                        self.read_report()?;
                    }
                }
                Packet::Flush if self.state == State::End => self.state = State::Done,
                Packet::Flush => return Err(Error::Unexpected("what became of the pack")),
            }
        }
        match self.state {
            State::Done => self.packets.expect_end(),
            _ => Ok(()),
        }
    }

    /// What is to be sent to the server now.
    pub fn output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Whether all has been said, and the branch has moved.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn send(&mut self) -> Result<(), Error> {
        if self.advertisement.id != self.old {
            let there = self.advertisement.id.unwrap_or(ObjectId::ZERO);
            let text = format!("{} is at {there}", self.reference);
            // This is how to leave.
            self.output.extend_from_slice(FLUSH);
            return Err(Error::Stale(text));
        }
        self.advertisement.require(&WANTED)?;
        let (old, new) = (self.old.unwrap_or(ObjectId::ZERO), self.new);
        let capabilities = WANTED.join(" ");
        let command = format!(
            "{old} {new} {}\0{capabilities} agent=stockade",
            self.reference
        );
        self.output.extend(packet(command.as_bytes()));
        self.output.extend_from_slice(FLUSH);
        self.output.append(&mut self.pack);
        self.state = State::Report;
        Ok(())
    }

    fn read_report(&mut self) -> Result<(), Error> {
        while let Some(packet) = self.report.next()? {
            let line = match packet {
                Packet::Line(line) if self.state == State::Report => words(&line),
                Packet::Flush if self.is_unpacked && self.is_updated => {
                    self.state = State::End;
                    continue;
                }
                _ => return Err(Error::Unexpected("what became of the branch")),
            };
            match line.split_once(' ') {
                Some(("unpack", "ok")) => self.is_unpacked = true,
                Some(("ok", name)) if name == self.reference => self.is_updated = true,
                Some(("ng", text)) if STALE.iter().any(|stale| text.contains(stale)) => {
                    return Err(Error::Stale(text.into()));
                }
                _ => return Err(Error::Server(line)),
            }
        }
        Ok(())
    }
}
