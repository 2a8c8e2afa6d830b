//! The inetd mode (stunnel(8), "INETD MODE"): the one client is this process's standard input and output.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::net::{SocketType, getpeername, sockopt};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// How long the last bytes may take to whoever reads standard output.
const LAST_BYTES: Duration = Duration::from_secs(60);

/// Bytes that are carried at once.
const BUFFER: usize = 16 * 1024;

/// The client of a process.
pub(super) struct Client {
    socket: OwnedFd,
    /// Is closed once everything has gone out, where that is carried by a thread.
    carried: Option<Receiver<()>>,
}

impl Client {
    /// Takes standard input and output, which are nobody's any more then. Neither is standard error
    /// where it is the same socket: nothing but TLS is for the client.
    ///
    /// # Errors
    ///
    /// They are not open.
    pub(super) fn take() -> io::Result<Client> {
        let (input, output) = (
            io::stdin().as_fd().try_clone_to_owned()?,
            io::stdout().as_fd().try_clone_to_owned()?,
        );
        let is_shared = is_same(&input, io::stderr())? || is_same(&output, io::stderr())?;
        let nothing = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        dup2_stdin(&nothing)?;
        dup2_stdout(&nothing)?;
        if is_shared && is_socket(&input) {
            dup2_stderr(&nothing)?;
        }
        if is_socket(&input) && is_same(&input, &output)? {
            return Ok(Client {
                socket: input,
                carried: None,
            });
        }
        carry(File::from(input), File::from(output))
    }

    /// The socket, and what to wait for when its connection is over.
    pub(super) fn into_parts(self) -> (OwnedFd, Rest) {
        (self.socket, Rest(self.carried))
    }
}

/// Bytes that are still on their way out.
pub(super) struct Rest(Option<Receiver<()>>);

impl Rest {
    /// Waits until they are out.
    pub(super) fn wait(&self) {
        if let Some(carried) = &self.0 {
            // It ends by being closed, or whoever should read does not.
            let _ = carried.recv_timeout(LAST_BYTES);
        }
    }
}

/// A socket that stands for two descriptors.
fn carry(mut input: File, mut output: File) -> io::Result<Client> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut writer = ours.try_clone()?;
    let mut reader = ours;
    let (done, carried) = channel::<()>();
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            pump(&mut input, &mut writer);
            let _ = writer.shutdown(Shutdown::Write);
        })?;
    thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            pump(&mut reader, &mut output);
            let _ = reader.shutdown(Shutdown::Both);
            drop((output, done));
        })?;
    Ok(Client {
        socket: theirs.into(),
        carried: Some(carried),
    })
}

/// Carries what comes, each piece at once, which io::copy's splice(2) does not promise. Where either
/// side fails, the other has an end.
fn pump(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if to.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

fn is_same(one: impl AsFd, other: impl AsFd) -> io::Result<bool> {
    let (one, other) = (fstat(one)?, fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// Whether it is a connected stream.
fn is_socket(end: &OwnedFd) -> bool {
    let is_stream = sockopt::socket_type(end) == Ok(SocketType::STREAM);
    is_stream && getpeername(end).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_descriptors_are_carried_as_one_socket() {
        let (input, mut client_writes) = io::pipe().unwrap();
        let (mut client_reads, output) = io::pipe().unwrap();
        let (input, output) = (OwnedFd::from(input), OwnedFd::from(output));
        let client = carry(File::from(input), File::from(output)).unwrap();
        let (socket, rest) = client.into_parts();
        let mut socket = UnixStream::from(socket);
        client_writes.write_all(b"there").unwrap();
        drop(client_writes);
        let mut read = String::new();
        socket.read_to_string(&mut read).unwrap();
        assert_eq!(read, "there");
        socket.write_all(b"and back").unwrap();
        drop(socket);
        rest.wait();
        let mut read = String::new();
        client_reads.read_to_string(&mut read).unwrap();
        assert_eq!(read, "and back");
    }

    #[test]
    fn a_socket_is_connected_or_it_is_none() {
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (OwnedFd::from(one), OwnedFd::from(other));
        assert!(is_socket(&one) && is_same(&one, &one).unwrap());
        assert!(!is_same(&one, &other).unwrap());
        let file = OwnedFd::from(File::open("/dev/null").unwrap());
        assert!(!is_socket(&file));
    }
}
