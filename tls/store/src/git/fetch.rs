//! Reading a branch's newest commit (git-upload-pack(1)).

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use super::advertisement::Advertisement;
use super::object::ObjectId;
use super::packet::{FLUSH, Packet, Packets, packet};
use super::sideband::{Band, band};
use super::{Error, Limits};

/// What we ask the server to do; it must offer it.
const WANTED: [&str; 4] = ["side-band-64k", "ofs-delta", "shallow", "no-progress"];

/// A conversation that fetches the newest commit of one branch with all that is in it, but nothing of
/// its past.
pub struct Fetch {
    packets: Packets,
    output: Vec<u8>,
    state: State,
    advertisement: Advertisement,
    known: Option<ObjectId>,
    pack: Vec<u8>,
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The server lists its references.
    Advertisement,
    /// It says where the past begins that it leaves out.
    Shallow,
    /// It says that it knows of nothing that we have.
    Acknowledgment,
    /// It sends the pack.
    Pack,
    Done,
}

/// What a branch holds. For debugging it displays its names: the objects may be private keys.
#[derive(Clone, PartialEq, Eq)]
pub enum Fetched {
    /// There is no such branch (yet).
    Nothing,
    /// This commit still, which was known.
    Unchanged(ObjectId),
    /// This commit; its objects are in the pack, for [`unpack`](super::unpack).
    Commit {
        /// Its name.
        id: ObjectId,
        /// The pack.
        pack: Vec<u8>,
    },
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fetched::Nothing => f.write_str("nothing"),
            Fetched::Unchanged(id) => write!(f, "{id} still"),
            Fetched::Commit { id, pack } => write!(f, "{id} in {} bytes", pack.len()),
        }
    }
}

impl Fetch {
    /// Fetches this reference (`refs/heads/master`), unless it is still at the commit `known`.
    pub fn new(reference: &str, known: Option<ObjectId>, limits: &Limits) -> Fetch {
        Fetch {
            packets: Packets::default(),
            output: Vec::new(),
            state: State::Advertisement,
            advertisement: Advertisement::new(reference, limits),
            known,
            pack: Vec::new(),
            most: limits.pack,
        }
    }

    /// Takes in what the server says.
    ///
    /// # Errors
    ///
    /// The conversation can't go on.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.packets.push(bytes);
        if self.state == State::Advertisement && self.advertisement.read(&mut self.packets)? {
            self.ask()?;
        }
        while self.state != State::Advertisement && self.state != State::Done {
            let Some(packet) = self.packets.next()? else {
                return Ok(());
            };
            self.take(packet)?;
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

    /// Whether all has been said.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// What has been fetched.
    ///
    /// # Errors
    ///
    /// Not all has been said: the connection was over too early.
    pub fn finish(self) -> Result<Fetched, Error> {
        if !self.is_done() {
            return Err(Error::Ended);
        }
        Ok(match self.advertisement.id {
            None => Fetched::Nothing,
            Some(id) if Some(id) == self.known => Fetched::Unchanged(id),
            Some(id) => Fetched::Commit {
                id,
                pack: self.pack,
            },
        })
    }

    fn ask(&mut self) -> Result<(), Error> {
        let wanted = self.advertisement.id.filter(|id| Some(*id) != self.known);
        let Some(id) = wanted else {
            // There is nothing to want: this is how to leave.
            self.output.extend_from_slice(FLUSH);
            self.state = State::Done;
            return Ok(());
        };
        self.advertisement.require(&WANTED)?;
        let capabilities = WANTED.join(" ");
        let want = format!("want {id} {capabilities} agent=stockade\n");
        self.output.extend(packet(want.as_bytes()));
        self.output.extend(packet(b"deepen 1\n"));
        self.output.extend_from_slice(FLUSH);
        self.state = State::Shallow;
        Ok(())
    }

    fn take(&mut self, packet: Packet) -> Result<(), Error> {
        match (self.state, packet) {
            (State::Shallow, Packet::Flush) => {
                self.output.extend(super::packet::packet(b"done\n"));
                self.state = State::Acknowledgment;
            }
            (State::Shallow, Packet::Line(line)) if is_shallow(&line) => {}
            (State::Shallow, _) => {
                return Err(Error::Unexpected(
                    "where the past that it leaves out begins",
                ));
            }
            (State::Acknowledgment, Packet::Line(line)) if line == b"NAK\n" => {
                self.state = State::Pack;
            }
            (State::Acknowledgment, _) => return Err(Error::Unexpected("an acknowledgment")),
            (State::Pack, Packet::Flush) => self.state = State::Done,
            (State::Pack, Packet::Line(line)) => {
                if let Band::Data(bytes) = band(&line)? {
                    if bytes.len() > self.most.saturating_sub(self.pack.len()) {
                        return Err(Error::TooMuch("a pack's bytes"));
                    }
                    self.pack.extend_from_slice(bytes);
                }
            }
            (State::Advertisement | State::Done, _) => return Err(Error::Unexpected("the end")),
        }
        Ok(())
    }
}

fn is_shallow(line: &[u8]) -> bool {
    line.starts_with(b"shallow ") || line.starts_with(b"unshallow ")
}
