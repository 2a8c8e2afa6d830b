//! One connection to the store's machine: read the branch, or move it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::git::{self, Fetch, Fetched, Limits, ObjectId, Push};
use crate::remote::Remote;
use crate::snapshot::Draft;
use crate::ssh::{HostKey, Login, LoginKey, Ssh, SshError};

/// How to get into the store's machine.
#[derive(Clone)]
pub struct Access {
    /// The repository.
    pub remote: Remote,
    /// The key to log in with.
    pub key: LoginKey,
    /// The other machine's key; `None`: no key is trusted, and the error tells the one there is.
    pub host_key: Option<HostKey>,
}

/// A connection with its errand. Bytes of the network go in and out; the owner has the deadline.
pub struct Visit {
    ssh: Ssh,
    errand: Errand,
}

enum Errand {
    Fetch(Fetch),
    Push(Push),
}

/// What a visit has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The branch was read.
    Fetched(Fetched),
    /// The branch was moved.
    Pushed,
}

/// Why a visit has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VisitError {
    /// The connection.
    Ssh(SshError),
    /// The conversation.
    Git(git::Error),
    /// The command ended with this status before the conversation, with these words.
    Command {
        /// The status.
        status: u32,
        /// What it said of itself; may be empty.
        words: String,
    },
}

impl VisitError {
    /// Whether somebody else was faster: fetch again, make the change anew, push again.
    pub fn is_stale(&self) -> bool {
        matches!(self, VisitError::Git(git::Error::Stale(_)))
    }
}

impl fmt::Display for VisitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VisitError::Ssh(error) => error.fmt(f),
            VisitError::Git(error) => error.fmt(f),
            VisitError::Command { status, words } if words.is_empty() => {
                write!(f, "the store's command ended with status {status}")
            }
            VisitError::Command { status, words } => {
                write!(f, "the store's command ended with status {status}: {words}")
            }
        }
    }
}

impl core::error::Error for VisitError {}

impl From<SshError> for VisitError {
    fn from(error: SshError) -> VisitError {
        VisitError::Ssh(error)
    }
}

impl From<git::Error> for VisitError {
    fn from(error: git::Error) -> VisitError {
        VisitError::Git(error)
    }
}

impl Visit {
    /// Reads the branch, unless it is still at the commit `known`.
    ///
    /// # Errors
    ///
    /// None that a server could cause.
    pub fn fetch(
        access: &Access,
        known: Option<ObjectId>,
        limits: &Limits,
    ) -> Result<Visit, VisitError> {
        let remote = &access.remote;
        let fetch = Fetch::new(&remote.reference(), known, limits);
        Visit::new(access, remote.upload_pack(), Errand::Fetch(fetch))
    }

    /// Moves the branch to this commit.
    ///
    /// # Errors
    ///
    /// None that a server could cause.
    pub fn push(access: &Access, draft: &Draft, limits: &Limits) -> Result<Visit, VisitError> {
        let remote = &access.remote;
        let (parent, pack) = (draft.parent, draft.pack.clone());
        let push = Push::new(&remote.reference(), parent, draft.id, pack, limits);
        Visit::new(access, remote.receive_pack(), Errand::Push(push))
    }

    fn new(access: &Access, command: String, errand: Errand) -> Result<Visit, VisitError> {
        let ssh = Ssh::new(Login {
            user: access.remote.user.clone(),
            key: access.key.clone(),
            host_key: access.host_key,
            command,
        })?;
        Ok(Visit { ssh, errand })
    }

    /// Takes in what has come over the network.
    ///
    /// # Errors
    ///
    /// The visit can't go on.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), VisitError> {
        self.ssh.receive(bytes)?;
        self.converse()
    }

    /// Says that nothing more will come over the network.
    ///
    /// # Errors
    ///
    /// The conversation is not over.
    pub fn receive_end(&mut self) -> Result<(), VisitError> {
        self.converse()?;
        if self.is_done() {
            return Ok(());
        }
        self.ssh.receive_end()?;
        Err(self.ended_early())
    }

    /// What is to be sent over the network now.
    pub fn departing(&mut self) -> Vec<u8> {
        self.ssh.departing()
    }

    /// Whether all has been said; what still departs may be sent, but need not.
    pub fn is_done(&self) -> bool {
        match &self.errand {
            Errand::Fetch(fetch) => fetch.is_done(),
            Errand::Push(push) => push.is_done(),
        }
    }

    /// What the visit has brought.
    ///
    /// # Errors
    ///
    /// It is not over.
    pub fn finish(self) -> Result<Outcome, VisitError> {
        match self.errand {
            Errand::Fetch(fetch) => Ok(Outcome::Fetched(fetch.finish()?)),
            Errand::Push(push) if push.is_done() => Ok(Outcome::Pushed),
            Errand::Push(_) => Err(git::Error::Ended.into()),
        }
    }

    /// Carries what the command says to the conversation, and its answers back.
    fn converse(&mut self) -> Result<(), VisitError> {
        loop {
            let said = self.ssh.output()?;
            let answer = match &mut self.errand {
                Errand::Fetch(fetch) => {
                    fetch.receive(&said)?;
                    fetch.output()
                }
                Errand::Push(push) => {
                    push.receive(&said)?;
                    push.output()
                }
            };
            if !answer.is_empty() {
                self.ssh.send(&answer)?;
            }
            if said.is_empty() && answer.is_empty() {
                break;
            }
        }
        match self.ssh.has_ended() && !self.is_done() {
            true => Err(self.ended_early()),
            false => Ok(()),
        }
    }

    fn ended_early(&self) -> VisitError {
        VisitError::Command {
            status: self.ssh.status().unwrap_or_default(),
            words: self.ssh.words(),
        }
    }
}
