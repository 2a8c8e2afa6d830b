//! As much of Git as a store needs: read a branch's newest commit, add one to it.
//!
//! ```text
//! Fetch ──► Pack ──► Objects ──► Commit ──► Tree ──► blobs
//!                                                      │ changed
//! Push  ◄── pack  ◄── new blobs, tree, commit  ◄───────┘
//! ```
//!
//! [`Fetch`] and [`Push`] are conversations of the smart protocol, version 0
//! (gitprotocol-pack(5)); a server that offers a later one to clients that ask speaks this one to
//! those that don't. Everything that a server says is bounded by [`Limits`], and every object is
//! found by the hash of what it is, so a server can leave something out but put nothing in another's
//! place.

mod advertisement;
mod commit;
mod delta;
mod error;
mod fetch;
mod object;
mod pack;
mod packet;
mod push;
mod sideband;
mod tree;

pub use commit::{Commit, Person};
pub use error::Error;
pub use fetch::{Fetch, Fetched};
pub use object::{Kind, Object, ObjectId, Objects};
pub use pack::{pack, unpack};
pub(crate) use packet::words;
pub use push::Push;
pub use tree::{Entry, Mode, Tree};

/// How much a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a pack as it comes.
    pub pack: usize,
    /// Objects in a pack.
    pub objects: u32,
    /// Bytes of one object.
    pub object: usize,
    /// Bytes of all objects of a pack, deltas included.
    pub total: usize,
    /// Objects from a delta to the object that it is made of in the end. Git itself makes chains of at
    /// most 50, and of 250 when told to be aggressive (git-pack-objects(1), git-gc(1)).
    pub depth: u32,
    /// Bytes of the list of references.
    pub advertisement: usize,
}

impl Default for Limits {
    /// For some thousand hosts: a pack of 8 MiB, 16 MiB of objects.
    fn default() -> Limits {
        Limits {
            pack: 8 << 20,
            objects: 16_384,
            object: 1 << 20,
            total: 16 << 20,
            depth: 256,
            advertisement: 1 << 20,
        }
    }
}

#[cfg(test)]
mod tests;
