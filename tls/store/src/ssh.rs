//! One command on another machine, over SSH (RFC 4251, RFC 4253, RFC 4254).
//!
//! The protocol is sunset's. Here is what a store makes of it: one host key that is trusted, one key
//! to log in with, one command, whose input and output are the bytes of a conversation. Keys are of
//! Ed25519 alone (RFC 8709).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use sunset::{
    ChanData, ChanHandle, CliEvent, CliSessionExit, Client, Error as SunsetError, Event, PubKey,
    Runner, SignKey,
};

mod error;
mod key;

pub use error::SshError;
pub use key::{HostKey, LoginKey};

/// Most bytes of a command's output that wait to be taken; then the connection waits.
const MOST_WAITING: usize = 64 * 1024;

/// Most bytes that a server may say before it lets us in: greetings and keys are far smaller.
const MOST_BEFORE_LOGIN: usize = 256 * 1024;

/// Most bytes that are kept of what a command says of itself.
const MOST_WORDS: usize = 1024;

/// Whom to be, and what to run.
pub struct Login {
    /// The user's name on the other machine.
    pub user: String,
    /// The key that the other machine knows this user by.
    pub key: LoginKey,
    /// The other machine's key; `None`: none is trusted, and the error tells which one there is.
    pub host_key: Option<HostKey>,
    /// The command.
    pub command: String,
}

/// A connection on which one command runs.
pub struct Ssh {
    runner: Box<Runner<'static, Client>>,
    login: Login,
    is_offered: bool,
    before_login: usize,
    channel: Option<ChanHandle>,
    is_started: bool,
    /// From the network, not yet taken by the protocol.
    arrived: Vec<u8>,
    /// For the network.
    departing: Vec<u8>,
    /// For the command.
    input: Vec<u8>,
    /// Of the command.
    output: Vec<u8>,
    words: Vec<u8>,
    status: Option<u32>,
    is_over: bool,
}

/// What is to be done beside what sunset does itself.
enum Action {
    Nothing,
    Again,
    Open,
    Started,
    Ended(u32),
    Over,
}

impl Ssh {
    /// Begins a connection. What [`departing`](Self::departing) gives is to be sent at once.
    ///
    /// # Errors
    ///
    /// None that a server could cause.
    pub fn new(login: Login) -> Result<Ssh, SshError> {
        let mut ssh = Ssh {
            runner: Box::new(Runner::new_client_owned()),
            login,
            is_offered: false,
            before_login: 0,
            channel: None,
            is_started: false,
            arrived: Vec::new(),
            departing: Vec::new(),
            input: Vec::new(),
            output: Vec::new(),
            words: Vec::new(),
            status: None,
            is_over: false,
        };
        ssh.go_on()?;
        Ok(ssh)
    }

    /// Takes in what has come over the network.
    ///
    /// # Errors
    ///
    /// The connection can't go on.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), SshError> {
        if self.channel.is_none() {
            self.before_login += bytes.len();
            if self.before_login > MOST_BEFORE_LOGIN {
                return Err(SshError::Protocol(
                    "it says too much before the login".into(),
                ));
            }
        }
        self.arrived.extend_from_slice(bytes);
        self.go_on()
    }

    /// Says that nothing more will come over the network.
    ///
    /// # Errors
    ///
    /// The command has not ended before.
    pub fn receive_end(&mut self) -> Result<(), SshError> {
        self.go_on()?;
        self.is_over = true;
        match self.status {
            Some(_) => Ok(()),
            None => Err(SshError::Ended),
        }
    }

    /// Sends this to the command, once it runs.
    ///
    /// # Errors
    ///
    /// The connection can't go on.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SshError> {
        self.input.extend_from_slice(bytes);
        self.go_on()
    }

    /// What is to be sent over the network now.
    pub fn departing(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.departing)
    }

    /// What the command has written. While nobody takes it, the connection stands still.
    ///
    /// # Errors
    ///
    /// The connection can't go on.
    pub fn output(&mut self) -> Result<Vec<u8>, SshError> {
        let output = core::mem::take(&mut self.output);
        self.go_on()?;
        Ok(output)
    }

    /// Whether the network should be read: not while the command's output waits.
    pub fn has_room(&self) -> bool {
        self.arrived.len() < MOST_WAITING
    }

    /// The status that the command has ended with; 255 for one that was killed.
    pub fn status(&self) -> Option<u32> {
        self.status
    }

    /// Whether the command has ended and nothing more of it will come. Its status alone does not say
    /// so: it is sent when the process ends, ahead of what is still on its way (RFC 4254 §6.10).
    pub fn has_ended(&self) -> bool {
        let channel = self.channel.as_ref();
        let is_eof = channel.is_some_and(|channel| self.runner.is_channel_eof(channel));
        self.status.is_some() && is_eof && self.output.is_empty()
    }

    /// What the command has said of itself (standard error), as one line for a log.
    pub fn words(&self) -> String {
        crate::git::words(&self.words)
    }

    /// Does everything that can be done without the network.
    fn go_on(&mut self) -> Result<(), SshError> {
        loop {
            let mut moved = self.progress()?;
            moved |= self.take_output()?;
            moved |= self.pass_input()?;
            moved |= self.flush();
            moved |= self.feed()?;
            if !moved {
                return Ok(());
            }
        }
    }

    fn progress(&mut self) -> Result<bool, SshError> {
        if self.is_over {
            return Ok(false);
        }
        match self.event()? {
            Action::Nothing => return Ok(false),
            Action::Again => {}
            Action::Open => self.channel = Some(self.runner.open_client_session()?),
            Action::Started => self.is_started = true,
            Action::Ended(status) => self.status = Some(status),
            Action::Over => self.is_over = true,
        }
        Ok(true)
    }

    fn event(&mut self) -> Result<Action, SshError> {
        let login = &self.login;
        let event = match self.runner.progress() {
            Ok(Event::Cli(event)) => event,
            Ok(Event::Progressed) => return Ok(Action::Again),
            Ok(_) => return Ok(Action::Nothing),
            Err(error) => return Err(error.into()),
        };
        match event {
            CliEvent::Hostkey(request) => {
                let offered = match request.hostkey()? {
                    PubKey::Ed25519(key) => Some(HostKey::from_bytes(key.key.0)),
                    _ => None,
                };
                if offered.is_none() || offered != login.host_key {
                    // Whatever it answers, nothing more is said to this server.
                    let _ = request.reject();
                    return Err(SshError::HostKey(offered));
                }
                request.accept()?;
            }
            CliEvent::Username(request) => request.username(&login.user)?,
            CliEvent::Pubkey(request) if self.is_offered => request.skip()?,
            CliEvent::Pubkey(request) => {
                self.is_offered = true;
                let key = SigningKey::from_bytes(login.key.seed());
                request.pubkey(SignKey::Ed25519(key))?;
            }
            CliEvent::Password(request) => request.skip()?,
            CliEvent::AgentSign(request) => request.skip()?,
            CliEvent::Authenticated => return Ok(Action::Open),
            CliEvent::SessionOpened(mut session) => {
                session.exec(&login.command)?;
                return Ok(Action::Started);
            }
            CliEvent::SessionExit(CliSessionExit::Status(status)) => {
                return Ok(Action::Ended(status));
            }
            CliEvent::SessionExit(_) => return Ok(Action::Ended(255)),
            CliEvent::Defunct => return Ok(Action::Over),
            CliEvent::Banner(_) | CliEvent::PollAgain => {}
        }
        Ok(Action::Again)
    }

    /// Takes what the command has written.
    fn take_output(&mut self) -> Result<bool, SshError> {
        let Some((_, kind, count)) = self.runner.read_channel_ready() else {
            return Ok(false);
        };
        let Some(channel) = &self.channel else {
            return Ok(false);
        };
        let is_normal = matches!(kind, ChanData::Normal);
        if is_normal && self.output.len() >= MOST_WAITING {
            return Ok(false);
        }
        let mut bytes = alloc::vec![0; count];
        let (read, _) = self.runner.read_channel_either(channel, &mut bytes)?;
        bytes.truncate(read);
        if is_normal {
            self.output.append(&mut bytes);
        } else {
            bytes.truncate(MOST_WORDS.saturating_sub(self.words.len()));
            self.words.append(&mut bytes);
        }
        Ok(read > 0)
    }

    /// Passes on what is for the command.
    fn pass_input(&mut self) -> Result<bool, SshError> {
        let Some(channel) = self.channel.as_ref().filter(|_| self.is_started) else {
            return Ok(false);
        };
        if self.input.is_empty() {
            return Ok(false);
        }
        let normal = ChanData::Normal;
        let written = match self.runner.write_channel(channel, normal, &self.input) {
            Ok(written) => written,
            // The keys are being changed, or what was written before has still to go.
            Err(SunsetError::BusySend { .. } | SunsetError::NoRoom { .. }) => 0,
            Err(error) => return Err(error.into()),
        };
        self.input.drain(..written);
        Ok(written > 0)
    }

    fn flush(&mut self) -> bool {
        let bytes = self.runner.output_buf();
        let count = bytes.len();
        self.departing.extend_from_slice(bytes);
        if count > 0 {
            self.runner.consume_output(count);
        }
        count > 0
    }

    /// Hands what has arrived to the protocol, as far as it takes it.
    fn feed(&mut self) -> Result<bool, SshError> {
        if self.arrived.is_empty() || self.is_over || !self.runner.is_input_ready() {
            return Ok(false);
        }
        let taken = self.runner.input(&self.arrived)?;
        self.arrived.drain(..taken);
        Ok(taken > 0)
    }
}

#[cfg(test)]
mod tests;
