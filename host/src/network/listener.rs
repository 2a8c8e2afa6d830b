//! What is listened on: sockets that are bound, given their owner, and removed again.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen, socket_with,
    sockopt,
};

use super::{Forward, Listen, UnixSocket};
use crate::Error;

/// Clients that may wait until they are taken; the kernel has a smaller limit of its own
/// (`net.core.somaxconn`).
const BACKLOG: i32 = 4_096;

/// A socket that listens. Dropping it closes it, and removes its file if that is still its own.
pub(super) struct Listener {
    /// As it was asked for.
    pub(super) forward: Forward,
    /// What it listens on, with the real port.
    pub(super) real: Listen,
    pub(super) socket: OwnedFd,
    file: Option<SocketFile>,
}

/// The file of a UNIX socket: its name, and what tells it from another of that name.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Listener {
    /// Listens. Nobody can connect before owner and mode are as they are to be.
    pub(super) fn bind(forward: &Forward) -> Result<Listener, Error> {
        let opened = match &forward.listen {
            Listen::Tcp(address) => open_tcp(*address)
                .and_then(|socket| {
                    listen(&socket, BACKLOG)?;
                    let real = SocketAddr::try_from(getsockname(&socket)?)?;
                    Ok((socket, Listen::Tcp(real), None))
                })
                .map_err(|source| (advice(&forward.listen, &source), source)),
            Listen::Unix(unix) => {
                open_unix(unix).map(|(socket, file)| (socket, forward.listen.clone(), Some(file)))
            }
        };
        let (socket, real, file) = opened.map_err(|(reason, source)| Error::Listen {
            listen: forward.listen.clone(),
            reason,
            kind: source.kind(),
        })?;
        Ok(Listener {
            forward: forward.clone(),
            real,
            socket,
            file,
        })
    }

    /// Whether this is what `wanted` asks for, up to the owner and mode of a file and to the port of
    /// the guest. Any free port (port 0) is the same only if it leads to the same port of the guest.
    pub(super) fn serves(&self, wanted: &Forward) -> bool {
        match (&self.forward.listen, &wanted.listen) {
            (Listen::Unix(own), Listen::Unix(wanted)) => own.path == wanted.path,
            (Listen::Tcp(own), Listen::Tcp(at)) if own == at => {
                at.port() != 0 || self.forward.guest_port == wanted.guest_port
            }
            _ => self.real == wanted.listen,
        }
    }

    /// Gives the file the owner and mode that `wanted` asks for.
    pub(super) fn restyle(&mut self, wanted: &Listen) -> Result<(), Error> {
        let (Listen::Unix(wanted), Some(file)) = (wanted, &self.file) else {
            return Ok(());
        };
        let listen = Listen::Unix(wanted.clone());
        if self.forward.listen == listen {
            return Ok(());
        }
        match file.dress(wanted) {
            Ok(()) => {
                self.forward.listen = listen.clone();
                self.real = listen;
                Ok(())
            }
            Err((reason, source)) => Err(Error::Listen {
                listen,
                reason,
                kind: source.kind(),
            }),
        }
    }
}

/// Finds out whether this can be listened on now, and leaves it closed.
///
/// # Errors
///
/// What the system says, in our words where it is about a file.
pub(crate) fn try_listen(wanted: &Listen) -> Result<(), (Option<String>, io::Error)> {
    match wanted {
        Listen::Tcp(address) => open_tcp(*address)
            .map(drop)
            .map_err(|source| (None, source)),
        Listen::Unix(unix) => {
            vacate(&unix.path, false).map_err(|(reason, source)| (Some(reason), source))
        }
    }
}

/// A TCP socket with its address, not yet listening.
fn open_tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of an earlier run that are in TIME-WAIT don't keep the port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

/// What to do about an address that can't be had; begins with what the system says.
fn advice(listen: &Listen, error: &io::Error) -> String {
    let port = listen.address().map_or(0, |address| address.port());
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "; stop what listens there (`ss -ltnp 'sport = :{port}'` shows it) or choose another port"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "; low ports take root, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={port}`"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this host has that address".to_owned()
        }
        _ => String::new(),
    };
    format!("{error}{advice}")
}

type Failure = (String, io::Error);

fn failure(what: &str, source: io::Error) -> Failure {
    (format!("{what}: {source}"), source)
}

/// A UNIX socket that listens, and its file.
fn open_unix(wanted: &UnixSocket) -> Result<(OwnedFd, SocketFile), Failure> {
    let path = &wanted.path;
    let name = SocketAddrUnix::new(path).map_err(|error| {
        failure(
            "a socket's path has at most 107 bytes and no zero byte",
            error.into(),
        )
    })?;
    vacate(path, true)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| failure("no socket can be made", error.into()))?;
    bind(&socket, &name)
        .map_err(|error| failure("the socket can't be made there", error.into()))?;
    let file = SocketFile::of(path)?;
    let made = file.dress(wanted).and_then(|()| {
        // Until now connect(2) was refused.
        listen(&socket, BACKLOG).map_err(|error| failure("it does not listen", error.into()))
    });
    match made {
        Ok(()) => Ok((socket, file)),
        // Dropping the file removes it.
        Err(failure) => Err(failure),
    }
}

/// Makes room for a socket: nothing may be at `path` but the socket of a process that has ended,
/// which is removed if `removing`.
fn vacate(path: &Path, removing: bool) -> Result<(), Failure> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure("it can't be looked at", error)),
    };
    if !found.file_type().is_socket() {
        let source = io::Error::from(io::ErrorKind::AlreadyExists);
        let reason =
            "there is a file of that name that is no socket; remove it or choose another path";
        return Err((reason.to_owned(), source));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let reason = "there is a socket of that name, and whether it is in use can't be told; \
                          remove it or choose another path";
            return Err(failure(reason, error));
        }
        _ => {
            let source = io::Error::from(io::ErrorKind::AddrInUse);
            let shown = path.display();
            let reason = format!(
                "another process listens there; stop it (`ss -lxp src {shown}` shows it) or choose another path"
            );
            return Err((reason, source));
        }
    }
    if removing {
        let stale = SocketFile {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        };
        stale.remove().map_err(|error| {
            failure(
                "the socket of a process that has ended can't be removed",
                error,
            )
        })?;
    }
    Ok(())
}

impl SocketFile {
    /// The file that bind(2) has just made.
    fn of(path: &Path) -> Result<SocketFile, Failure> {
        let found = fs::symlink_metadata(path)
            .map_err(|error| failure("it can't be looked at once made", error))?;
        Ok(SocketFile {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        })
    }

    /// Gives the file its owner and mode. Whoever may write in the folder could have put another
    /// file in its place: a descriptor says which file it is.
    fn dress(&self, wanted: &UnixSocket) -> Result<(), Failure> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(CWD, &self.path, flags, Mode::empty())
            .map_err(|error| failure("it can't be opened", error.into()))?;
        let found = fstat(&file).map_err(|error| failure("it can't be looked at", error.into()))?;
        if (found.st_dev, found.st_ino) != self.identity {
            let source = io::Error::from(io::ErrorKind::AddrInUse);
            return Err(("another file has taken its place".to_owned(), source));
        }
        if wanted.user.is_some() || wanted.group.is_some() {
            let (user, group) = (
                wanted.user.map(Uid::from_raw),
                wanted.group.map(Gid::from_raw),
            );
            chownat(&file, "", user, group, AtFlags::EMPTY_PATH).map_err(|error| {
                failure(
                    "its owner can't be set (that takes root, or a group of one's own)",
                    error.into(),
                )
            })?;
        }
        if let Some(mode) = wanted.mode {
            // chmod(2) of a descriptor that was opened with O_PATH goes by this name alone.
            let name = format!("/proc/self/fd/{}", file.as_raw_fd());
            fs::set_permissions(name, Permissions::from_mode(mode))
                .map_err(|error| failure("its mode can't be set", error))?;
        }
        Ok(())
    }

    /// Removes the file, unless another one has taken its name.
    fn remove(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.identity => fs::remove_file(&self.path),
            _ => Ok(()),
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Who can't remove it any more leaves a stale socket, which the next one replaces.
        let _ = self.remove();
    }
}
