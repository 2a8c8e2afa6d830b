//! A conversation with a Git server over a socket or over the pipes of a program.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use stockade_store::git::{self, Fetch, Push};
use stockade_store::visit::{Visit, VisitError};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// One side of a conversation.
pub(super) trait Talk {
    /// Takes in what the other side says.
    fn receive(&mut self, bytes: &[u8]) -> Result<(), VisitError>;
    /// Says that the other side has ended.
    fn receive_end(&mut self) -> Result<(), VisitError>;
    /// What is to be said now.
    fn departing(&mut self) -> Vec<u8>;
    /// Whether all has been said.
    fn is_done(&self) -> bool;
}

impl Talk for Visit {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), VisitError> {
        Visit::receive(self, bytes)
    }

    fn receive_end(&mut self) -> Result<(), VisitError> {
        Visit::receive_end(self)
    }

    fn departing(&mut self) -> Vec<u8> {
        Visit::departing(self)
    }

    fn is_done(&self) -> bool {
        Visit::is_done(self)
    }
}

impl Talk for Fetch {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), VisitError> {
        Ok(Fetch::receive(self, bytes)?)
    }

    fn receive_end(&mut self) -> Result<(), VisitError> {
        Err(git::Error::Ended.into())
    }

    fn departing(&mut self) -> Vec<u8> {
        self.output()
    }

    fn is_done(&self) -> bool {
        Fetch::is_done(self)
    }
}

impl Talk for Push {
    fn receive(&mut self, bytes: &[u8]) -> Result<(), VisitError> {
        Ok(Push::receive(self, bytes)?)
    }

    fn receive_end(&mut self) -> Result<(), VisitError> {
        Err(git::Error::Ended.into())
    }

    fn departing(&mut self) -> Vec<u8> {
        self.output()
    }

    fn is_done(&self) -> bool {
        Push::is_done(self)
    }
}

/// Why a conversation has failed.
#[derive(Debug)]
pub(super) enum WireError {
    /// It took too long.
    Late,
    /// Bytes can't be carried.
    Io(io::Error),
    /// What was said.
    Talk(VisitError),
}

/// Carries what is said until all has been said, or until this time. Neither end may block; both may be
/// the same.
pub(super) fn converse(
    input: impl AsFd,
    output: impl AsFd,
    talk: &mut dyn Talk,
    until: Instant,
) -> Result<(), WireError> {
    let mut departing = Vec::new();
    let mut hears = true;
    let mut chunk = vec![0; CHUNK];
    loop {
        departing.append(&mut talk.departing());
        if !hears {
            // Nobody listens any more; what was said before says why.
            departing.clear();
        }
        if talk.is_done() && departing.is_empty() {
            return Ok(());
        }
        let (can_read, can_write) = wait(&input, &output, !departing.is_empty(), until)?;
        if can_write {
            match rustix::io::write(&input, &departing) {
                Ok(written) => drop(departing.drain(..written)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                // What has been said is as good as done.
                Err(Errno::PIPE | Errno::CONNRESET) if talk.is_done() => return Ok(()),
                Err(Errno::PIPE | Errno::CONNRESET) => hears = false,
                Err(error) => return Err(WireError::Io(error.into())),
            }
        }
        if can_read {
            match rustix::io::read(&output, &mut chunk[..]) {
                Ok(0) if talk.is_done() => return Ok(()),
                Ok(0) => {
                    talk.receive_end().map_err(WireError::Talk)?;
                    return match talk.is_done() {
                        true => Ok(()),
                        false => Err(WireError::Talk(git::Error::Ended.into())),
                    };
                }
                Ok(count) => {
                    if let Err(error) = talk.receive(&chunk[..count]) {
                        // A last word, for a server that listens.
                        let _ = rustix::io::write(&input, &talk.departing());
                        return Err(WireError::Talk(error));
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(WireError::Io(error.into())),
            }
        }
    }
}

/// Waits until there is something to read, or room to write where that is wanted.
fn wait(
    input: &impl AsFd,
    output: &impl AsFd,
    writes: bool,
    until: Instant,
) -> Result<(bool, bool), WireError> {
    let left = until.saturating_duration_since(Instant::now());
    if left == Duration::ZERO {
        return Err(WireError::Late);
    }
    let left = Timespec::try_from(left).map_err(|error| WireError::Io(io::Error::other(error)))?;
    let mut ends = vec![PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN)];
    if writes {
        ends.push(PollFd::from_borrowed_fd(input.as_fd(), PollFlags::OUT));
    }
    match poll(&mut ends, Some(&left)) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok((false, false)),
        Err(error) => return Err(WireError::Io(error.into())),
    }
    let is_ready = |end: Option<&PollFd<'_>>| end.is_some_and(|end| !end.revents().is_empty());
    Ok((is_ready(ends.first()), is_ready(ends.get(1))))
}
