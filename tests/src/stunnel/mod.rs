//! What the stunnel tests are made of: Debian's stunnel as a peer, certificates of every kind,
//! and the subject that serves a `stunnel.conf`.
//!
//! A [`subject`] is one of three: the tunnel as a process, the image in a virtual machine, or
//! Debian's stunnel itself. A scenario that passes with the last one asks for what stunnel does,
//! not for what we think it does.

pub mod authority;
pub mod daemon;
pub mod debian;
pub mod disk;
pub mod files;
pub mod hello;
pub mod launched;
pub mod log;
pub mod ports;
pub mod responder;
pub mod shake;
pub mod subject;
pub mod talk;
