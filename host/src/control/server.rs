//! The launcher's side of the control socket.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::{FlockOperation, Mode, chmod, flock};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use serde_json::{Value, json};

use super::place::{self, Name, Surroundings};
use super::protocol::{self, Request};
use super::{MAX_CLIENTS, MAX_REQUEST, PATIENCE};
use crate::Error;
use crate::launch::Launcher;

/// How long the image may take to say how it stands.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// Most events in one answer. The longest of them, escaped, are fewer bytes than a client takes.
const EVENTS_AT_ONCE: usize = 100;

/// Connections that wait to be taken.
const BACKLOG: i32 = 16;

/// How long a lock may outlive who held it: a child that is just being made has it until it
/// becomes its program.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// How long answers may still be written once the server is being closed.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers other processes of this user until it is dropped, which removes the socket.
pub struct Server {
    path: PathBuf,
    inode: (u64, u64),
    wake: Arc<OwnedFd>,
    acceptor: Option<JoinHandle<()>>,
    desk: Arc<Desk>,
    /// Held as long as the socket is ours; the kernel lets it go, whatever ends this process.
    _lock: File,
}

/// What the clients' threads share.
struct Desk {
    name: Name,
    launcher: Arc<Launcher>,
    drain: Duration,
    clients: Mutex<Clients>,
    changed: Condvar,
}

#[derive(Default)]
struct Clients {
    next: u64,
    /// Each with whether it waits for an answer.
    open: HashMap<u64, (UnixStream, bool)>,
    closing: bool,
}

impl Server {
    /// Makes the socket for a launcher of this name and begins to answer. `drain` is what a stop
    /// gives connections that names no time itself.
    ///
    /// # Errors
    ///
    /// A launcher of this name runs already ([`Error::AlreadyRunning`]), or the socket can't be
    /// made.
    pub fn start(name: &Name, launcher: Arc<Launcher>, drain: Duration) -> Result<Server, Error> {
        Server::start_in(&Surroundings::ours(), name, launcher, drain)
    }

    pub(super) fn start_in(
        surroundings: &Surroundings,
        name: &Name,
        launcher: Arc<Launcher>,
        drain: Duration,
    ) -> Result<Server, Error> {
        let directory = surroundings.make()?;
        let lock = take_lock(&directory, name)?;
        let path = directory.join(place::file_name(name));
        let failed = |source| Error::File {
            path: path.clone(),
            source,
        };
        let listener = listen_at(&path).map_err(failed)?;
        let found = fs::symlink_metadata(&path).map_err(failed)?;
        let wake =
            Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?);
        let desk = Arc::new(Desk {
            name: name.clone(),
            launcher,
            drain,
            clients: Mutex::default(),
            changed: Condvar::new(),
        });
        let acceptor = {
            let (wake, desk) = (Arc::clone(&wake), Arc::clone(&desk));
            let run = move || accept(&listener, &wake, &desk);
            thread::Builder::new()
                .name("control".to_owned())
                .spawn(run)
                .map_err(failed)?
        };
        Ok(Server {
            inode: (found.dev(), found.ino()),
            path,
            wake,
            acceptor: Some(acceptor),
            desk,
            _lock: lock,
        })
    }

    /// The socket's file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when the counter is full, and then the thread wakes all the same.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
        self.desk.close();
    }
}

/// One launcher of a name at a time, decided by a file's lock (flock(2)), which no crash leaves.
fn take_lock(directory: &Path, name: &Name) -> Result<File, Error> {
    let path = directory.join(format!(".{name}.lock"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(|source| Error::File {
        path: path.clone(),
        source,
    })?;
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                thread::sleep(LOCK_PATIENCE / 10);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(Error::AlreadyRunning {
                    name: name.to_string(),
                });
            }
            Err(error) => {
                return Err(Error::File {
                    path,
                    source: error.into(),
                });
            }
        }
    }
}

/// A listening socket with mode 0600 from its first moment. What a crashed launcher left gives
/// way; a socket that is in use and anything that is no socket do not.
fn listen_at(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if is_in_use(path)? {
                let words =
                    "somebody listens there; choose another name, or another place for that";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, words));
            }
            fs::remove_file(path)?;
        }
        Ok(_) => {
            return Err(io::Error::other(
                "there is something that is no socket; move it away",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Nobody can connect before listen(2).
    chmod(path, Mode::RUSR | Mode::WUSR)?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Whether somebody listens at a socket's path. Waits for nobody.
fn is_in_use(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&socket, &SocketAddrUnix::new(path)?) {
        // With a full backlog it is in use, too (unix(7)).
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(_) => Ok(false),
    }
}

fn accept(listener: &UnixListener, wake: &OwnedFd, desk: &Arc<Desk>) {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        match listener.accept() {
            Ok((stream, _)) => desk.welcome(stream),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Too many open files, most likely: wait for some to close.
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a client in, on a thread of its own, or tells it why not.
    fn welcome(self: &Arc<Desk>, stream: UnixStream) {
        let refuse = |mut stream: UnixStream, reason: &str| {
            let answer = protocol::failed(&[reason.to_owned()]);
            // An accepted socket's buffer has room for one line; nothing is waited for.
            let _ = stream.set_nonblocking(true);
            let _ = stream.write_all(format!("{answer}\n").as_bytes());
        };
        if !is_trusted(&stream) {
            return refuse(stream, "only the launcher's own user and root are answered");
        }
        let Ok(held) = stream.try_clone() else {
            return;
        };
        let number = {
            let mut clients = self.lock();
            if clients.open.len() >= MAX_CLIENTS {
                drop(clients);
                return refuse(stream, "too many clients at once; try again");
            }
            clients.next += 1;
            let number = clients.next;
            clients.open.insert(number, (held, false));
            number
        };
        let desk = Arc::clone(self);
        let serve = move || {
            desk.serve(number, stream);
            desk.lock().open.remove(&number);
            desk.changed.notify_all();
        };
        let started = thread::Builder::new()
            .name("control client".to_owned())
            .spawn(serve);
        if started.is_err() {
            self.lock().open.remove(&number);
        }
    }

    fn serve(&self, number: u64, mut stream: UnixStream) {
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let mut pending = Vec::new();
        while let Some(line) = read_line(&mut stream, &mut pending) {
            if !self.busy(number, true) {
                return;
            }
            let write = |answer: Value| stream.write_all(format!("{answer}\n").as_bytes());
            let written = match line {
                Ok(line) => self.answer(&line, write),
                Err(reason) => {
                    let mut write = write;
                    let _ = write(protocol::failed(&[reason]));
                    return;
                }
            };
            self.busy(number, false);
            if written.is_err() {
                return;
            }
        }
    }

    /// Notes whether a client waits for an answer; false when no more are given.
    fn busy(&self, number: u64, busy: bool) -> bool {
        let mut clients = self.lock();
        if let Some(client) = clients.open.get_mut(&number) {
            client.1 = busy;
        }
        let open = !clients.closing;
        drop(clients);
        self.changed.notify_all();
        open
    }

    fn answer(
        &self,
        line: &[u8],
        mut write: impl FnMut(Value) -> io::Result<()>,
    ) -> io::Result<()> {
        let request = match Request::read(line) {
            Ok(request) => request,
            Err(reason) => return write(protocol::failed(&[reason])),
        };
        match request {
            Request::Status => {
                let status = self.launcher.status(STATUS_PATIENCE);
                let status = protocol::status(self.name.as_str(), &status);
                write(json!({"ok": true, "status": status}))
            }
            Request::Reload => write(match self.launcher.reload() {
                Ok(reloaded) => protocol::reloaded(&reloaded),
                Err(errors) => protocol::failed(&errors),
            }),
            Request::Stop(drain) => {
                write(json!({"ok": true, "stopping": true}))?;
                let end = self.launcher.stop(drain.unwrap_or(self.drain));
                write(json!({"ok": true, "ended": end.to_string()}))
            }
            Request::Diagnose(since) => write(protocol::events(
                &self.launcher.events_since(since, EVENTS_AT_ONCE),
            )),
        }
    }

    /// Lets answers that are being given go out, and ends every conversation.
    fn close(&self) {
        let until = Instant::now() + FAREWELL;
        let mut clients = self.lock();
        clients.closing = true;
        while clients.open.values().any(|(_, busy)| *busy) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(clients, left);
            clients = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        for (stream, _) in clients.open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Whether the other end is of this user or root.
fn is_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    socket_peercred(stream).is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

/// The next line without its end; `None` at the end of the conversation.
fn read_line(stream: &mut UnixStream, pending: &mut Vec<u8>) -> Option<Result<Vec<u8>, String>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
            let mut line: Vec<u8> = pending.drain(..=end).collect();
            line.pop();
            return Some(Ok(line));
        }
        if pending.len() > MAX_REQUEST {
            return Some(Err(format!(
                "the request is longer than {MAX_REQUEST} bytes"
            )));
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        stream.set_read_timeout(Some(left)).ok()?;
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes) {
            Ok(0) => return None,
            Ok(read) => pending.extend_from_slice(bytes.get(..read)?),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
