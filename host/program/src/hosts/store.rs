//! The store as a command has it: read its branch, or add a commit to it, however often somebody else
//! is faster.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use ring::rand::{SecureRandom, SystemRandom};
use stockade_store::git::{Fetch, Fetched, Limits, ObjectId, Person, Push};
use stockade_store::remote::Remote;
use stockade_store::snapshot::{Change, Draft, Snapshot};
use stockade_store::ssh::{HostKey, LoginKey, SshError};
use stockade_store::visit::{Access, Outcome, Visit, VisitError};

use super::Place;
use super::place::Kind;
use super::wire::{Talk, WireError, converse};
use crate::Result;
use crate::cli::Repository;

/// How often a change is made anew because somebody else was faster.
const ATTEMPTS: u32 = 32;

/// The first pause after that; each further one is longer by as much, up to the longest.
const PAUSE: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a program may take to end once all has been said.
const END: Duration = Duration::from_secs(5);

/// Who makes commits, unless git(1)'s variables say.
const NAME: &str = "stockade";
const EMAIL: &str = "stockade@localhost";

/// A repository, and how to get there.
pub(super) struct Store {
    place: Place,
    /// By our own SSH client, and not by a program.
    own: Option<(LoginKey, Option<HostKey>)>,
    timeout: Duration,
    limits: Limits,
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// All was so already.
    Nothing,
    /// The branch is at this commit now.
    To {
        /// Its name.
        commit: ObjectId,
        /// Whether there was no such branch before.
        is_first: bool,
    },
}

/// Why there was no conversation to its end.
enum Failure {
    /// Somebody else was faster.
    Stale,
    /// For this reason; the other machine may have heard all the same.
    Other(String),
}

impl Store {
    /// The repository that the options name.
    ///
    /// # Errors
    ///
    /// A key can't be read, or goes with another kind of repository.
    pub(super) fn new(options: &Repository) -> Result<Store> {
        let own = match &options.ssh_key {
            None => None,
            Some(key) => {
                let option = "--ssh-key";
                let text = key.read(option)?;
                let key = LoginKey::parse(&text).map_err(|error| format!("{option}: {error}"))?;
                let host_key = options.ssh_host_key.as_ref().map(|text| {
                    let option = "--ssh-host-key";
                    let text = text.read(option)?;
                    HostKey::parse(&text).map_err(|error| format!("{option}: {error}"))
                });
                Some((key, host_key.transpose()?))
            }
        };
        match &options.remote.kind {
            Kind::Local { .. } if own.is_some() => {
                return Err(
                    "--ssh-key: the repository is on this host, and no key opens it".into(),
                );
            }
            Kind::Ssh {
                names_user: false, ..
            } if own.is_some() => {
                let place = &options.remote;
                return Err(
                    format!("--remote {place}: with --ssh-key the user is to be named").into(),
                );
            }
            _ => {}
        }
        Ok(Store {
            place: options.remote.clone(),
            own,
            timeout: options.timeout,
            limits: Limits::default(),
        })
    }

    /// Reads the branch as it is.
    ///
    /// # Errors
    ///
    /// It can't be had.
    pub(super) fn fetch(&self) -> Result<Snapshot> {
        self.fetched().map_err(|failure| match failure {
            Failure::Stale => self.place.to_string().into(),
            Failure::Other(text) => text.into(),
        })
    }

    /// Adds a commit with what `change` makes of the branch as it is, and with the message that it gives. It is
    /// called anew for each attempt.
    ///
    /// # Errors
    ///
    /// Those of `change`; or it can't be added, and the branch is as it was.
    pub(super) fn change(
        &self,
        change: &mut dyn FnMut(&Snapshot) -> Result<(Change, String)>,
    ) -> Result<Changed> {
        for attempt in 1..=ATTEMPTS {
            let snapshot = self.fetch()?;
            let (wanted, message) = change(&snapshot)?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let now = now.map_or(0, |now| now.as_secs());
            let Some(draft) = snapshot.with(&[wanted], &person(), now, &message) else {
                return Ok(Changed::Nothing);
            };
            let changed = Changed::To {
                commit: draft.id,
                is_first: draft.parent.is_none(),
            };
            match self.push(&draft) {
                Ok(()) => return Ok(changed),
                Err(Failure::Stale) => {
                    crate::warn(&format!(
                        "Somebody else was faster; once more ({attempt} of {ATTEMPTS}) ..."
                    ));
                    pause(attempt);
                }
                // It may have come through all the same: the branch knows.
                Err(Failure::Other(text)) => match self.fetched() {
                    Ok(found) if found.head() == Some(draft.id) => return Ok(changed),
                    _ => return Err(text.into()),
                },
            }
        }
        let place = &self.place;
        Err(format!("{place}: somebody else was faster {ATTEMPTS} times: try again later").into())
    }

    fn fetched(&self) -> std::result::Result<Snapshot, Failure> {
        let reference = self.place.reference();
        let fetched = match self.access() {
            Some(access) => {
                let visit = Visit::fetch(&access, None, &self.limits)
                    .map_err(|error| self.failed(&error))?;
                match self.visit(visit)? {
                    Outcome::Fetched(fetched) => fetched,
                    Outcome::Pushed => Fetched::Nothing,
                }
            }
            None => {
                let mut fetch = Fetch::new(&reference, None, &self.limits);
                self.converse_by_program("upload-pack", &mut fetch)?;
                fetch.finish().map_err(|error| self.failed(&error.into()))?
            }
        };
        let snapshot = Snapshot::of(fetched, &self.limits);
        let snapshot = snapshot.map_err(|error| self.failed(&error.into()))?;
        Ok(snapshot.unwrap_or_default())
    }

    fn push(&self, draft: &Draft) -> std::result::Result<(), Failure> {
        match self.access() {
            Some(access) => {
                let visit = Visit::push(&access, draft, &self.limits);
                self.visit(visit.map_err(|error| self.failed(&error))?)
                    .map(drop)
            }
            None => {
                let (reference, pack) = (self.place.reference(), draft.pack.clone());
                let mut push = Push::new(&reference, draft.parent, draft.id, pack, &self.limits);
                self.converse_by_program("receive-pack", &mut push)
            }
        }
    }

    /// How our own SSH client gets in, where that is wanted.
    fn access(&self) -> Option<Access> {
        let (key, host_key) = self.own.clone()?;
        match &self.place.kind {
            Kind::Local { .. } => None,
            Kind::Ssh { remote, .. } => Some(Access {
                remote: remote.clone(),
                key,
                host_key,
            }),
        }
    }

    /// One connection of our own.
    fn visit(&self, mut visit: Visit) -> std::result::Result<Outcome, Failure> {
        let until = Instant::now() + self.timeout;
        let Kind::Ssh { remote, .. } = &self.place.kind else {
            return Err(Failure::Other(self.place.to_string()));
        };
        let stream = connect(remote, until).map_err(|text| Failure::Other(self.of_place(&text)))?;
        let carried = converse(&stream, &stream, &mut visit, until);
        carried.map_err(|error| self.broken(error, None))?;
        visit.finish().map_err(|error| self.failed(&error))
    }

    /// One conversation with `git COMMAND`, here or by ssh(1).
    fn converse_by_program(
        &self,
        command: &str,
        talk: &mut dyn Talk,
    ) -> std::result::Result<(), Failure> {
        let until = Instant::now() + self.timeout;
        let mut program = program(&self.place.kind, command);
        let name = program.get_program().to_string_lossy().into_owned();
        let child = program
            // A server that is told of a later version would speak it.
            .env_remove("GIT_PROTOCOL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let child = child.map_err(|error| {
            let text = format!("{name} can't be started: {error}; is it installed?");
            Failure::Other(self.of_place(&text))
        })?;
        let mut running = Running(child);
        let carried = match (running.0.stdin.take(), running.0.stdout.take()) {
            (Some(input), Some(output)) => {
                let unblocked = unblock(&input).and_then(|()| unblock(&output));
                let carried = unblocked.map_err(WireError::Io);
                carried.and_then(|()| converse(&input, &output, talk, until))
            }
            _ => Err(WireError::Io(std::io::ErrorKind::BrokenPipe.into())),
        };
        let late = matches!(carried, Err(WireError::Late));
        // Its pipes are closed; what it does then it does at once.
        let status = if late { None } else { running.end(END) };
        let ended = status.filter(|status| !status.success());
        let ended =
            ended.map(|status| format!("{name} ended with {status}; what it said is above"));
        carried.map_err(|error| self.broken(error, ended))
    }

    /// Why a conversation has failed, in words.
    fn broken(&self, error: WireError, ended: Option<String>) -> Failure {
        match error {
            WireError::Talk(error) if error.is_stale() => Failure::Stale,
            WireError::Talk(VisitError::Git(stockade_store::git::Error::Ended)) => {
                let text = ended.unwrap_or_else(|| "the conversation ended too early".to_owned());
                Failure::Other(self.of_place(&text))
            }
            WireError::Talk(error) => self.failed(&error),
            WireError::Io(error) => Failure::Other(self.of_place(&error.to_string())),
            WireError::Late => {
                let seconds = self.timeout.as_secs_f64();
                let text = format!("there was no end of it within {seconds} s (--timeout)");
                Failure::Other(self.of_place(&text))
            }
        }
    }

    fn failed(&self, error: &VisitError) -> Failure {
        if error.is_stale() {
            return Failure::Stale;
        }
        let is_trusting = self.own.as_ref().is_some_and(|(_, key)| key.is_some());
        let advice = match error {
            VisitError::Ssh(SshError::HostKey(Some(key))) if !is_trusting => format!(
                "; none was given. If it is that machine's (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub \
                 there), give --ssh-host-key='{key}'"
            ),
            VisitError::Ssh(SshError::HostKey(Some(_))) => {
                "; either that machine has a new key, or it is another machine".to_owned()
            }
            VisitError::Ssh(SshError::Refused) => match &self.own {
                Some((key, _)) => {
                    format!("; its authorized_keys is to have: {}", key.public_line())
                }
                None => String::new(),
            },
            _ => String::new(),
        };
        Failure::Other(self.of_place(&format!("{error}{advice}")))
    }

    fn of_place(&self, text: &str) -> String {
        format!("{}: {text}", self.place)
    }
}

/// A program that does not outlive its conversation.
struct Running(Child);

impl Running {
    /// Waits for its end, but not for ever.
    fn end(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let until = Instant::now() + patience;
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is not killed but only forgotten.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What runs `git COMMAND` at the place.
fn program(place: &Kind, command: &str) -> Command {
    match place {
        Kind::Local { path, .. } => {
            let mut git = Command::new("git");
            git.arg(command).arg(path);
            git
        }
        Kind::Ssh {
            remote,
            names_user,
            names_port,
        } => {
            let mut ssh = ssh();
            if *names_port {
                ssh.args(["-p", &remote.port.to_string()]);
            }
            ssh.arg(match names_user {
                true => format!("{}@{}", remote.user, remote.host),
                false => remote.host.clone(),
            });
            ssh.arg(format!("git-{command} '{}'", remote.path));
            ssh
        }
    }
}

/// ssh(1), or what takes its place (git(1), "GIT_SSH, GIT_SSH_COMMAND").
fn ssh() -> Command {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(words) = named("GIT_SSH_COMMAND") {
        let mut shell = Command::new("sh");
        let mut script = words.clone();
        script.push(" \"$@\"");
        shell.arg("-c").arg(script).arg(words);
        return shell;
    }
    Command::new(named("GIT_SSH").unwrap_or_else(|| "ssh".into()))
}

/// A connection to the machine, by the first of its addresses that answers.
fn connect(remote: &Remote, until: Instant) -> std::result::Result<TcpStream, String> {
    let Remote { host, port, .. } = remote;
    let addresses = (host.as_str(), *port).to_socket_addrs();
    let addresses: Vec<SocketAddr> = addresses.map_err(|error| error.to_string())?.collect();
    let mut text = "the name has no address".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        let left = until.saturating_duration_since(Instant::now());
        // Each that is left has its part of the time.
        let count = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let part = (left / count).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, part) {
            Ok(stream) => {
                let settled = stream
                    .set_nodelay(true)
                    .and_then(|()| stream.set_nonblocking(true));
                return settled.map(|()| stream).map_err(|error| error.to_string());
            }
            Err(error) => text = format!("{address}: {error}"),
        }
    }
    Err(text)
}

fn unblock(end: impl AsFd) -> std::io::Result<()> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let flags = fcntl_getfl(&end)?;
    Ok(fcntl_setfl(&end, flags | OFlags::NONBLOCK)?)
}

/// Who is to stand in the commit.
fn person() -> Person {
    let named = |name: &str, otherwise: &str| {
        let value = env::var(name).ok().filter(|value| !value.trim().is_empty());
        value.unwrap_or_else(|| otherwise.to_owned())
    };
    Person {
        name: named("GIT_AUTHOR_NAME", NAME),
        email: named("GIT_AUTHOR_EMAIL", EMAIL),
    }
}

/// Waits a while after so many attempts, not as long as others who wait, too.
fn pause(attempt: u32) {
    let longest = (PAUSE * attempt).min(LONGEST_PAUSE);
    let mut chance = [0];
    // Without chance all wait for equally long.
    let _ = SystemRandom::new().fill(&mut chance);
    thread::sleep(longest / 4 + longest * u32::from(chance[0]) / 256);
}
