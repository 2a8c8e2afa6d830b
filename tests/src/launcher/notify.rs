//! A service manager's ear: the socket that `NOTIFY_SOCKET` names (sd_notify(3)).

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use crate::PATIENCE;

/// Longest notification, bytes.
const MAX_NOTE: usize = 4096;

/// Receives what a service tells its manager.
pub struct Ear {
    socket: UnixDatagram,
    path: String,
}

impl Ear {
    /// Listens at `path`, where nothing may be.
    pub fn at(path: String) -> Ear {
        let socket = UnixDatagram::bind(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Ear { socket, path }
    }

    /// The variable's value for the service.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Every notification that has come and was not asked for before; waits for none.
    pub fn heard(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("an open socket");
        std::iter::from_fn(|| self.receive()).collect()
    }

    /// Waits for a notification with this line in it; gives it whole. Those before it are passed
    /// over. Panics after [`PATIENCE`].
    pub fn wait_for(&self, line: &str) -> String {
        self.wait(&format!("a notification with {line:?}"), |note| {
            note.lines().any(|found| found == line)
        })
    }

    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        self.socket.set_nonblocking(false).expect("an open socket");
        let mut others = Vec::new();
        while let Some(left) = end
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let limited = self.socket.set_read_timeout(Some(left));
            limited.expect("a time that is not zero");
            match self.receive() {
                Some(note) if wanted(&note) => return note,
                Some(note) => others.push(note),
                None => {}
            }
        }
        panic!("{what} did not come; these did: {others:#?}");
    }

    /// The next one; none when the socket's time is over.
    fn receive(&self) -> Option<String> {
        let mut note = [0; MAX_NOTE];
        match self.socket.recv(&mut note) {
            Ok(length) => Some(String::from_utf8_lossy(&note[..length]).into_owned()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                None
            }
            Err(error) => panic!("{}: {error}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stunnel::files::Files;

    #[test]
    fn notes_come_in_order() {
        let files = Files::create();
        let ear = Ear::at(files.path("notify"));
        assert!(ear.heard().is_empty());
        let service = UnixDatagram::unbound().unwrap();
        for note in ["STATUS=a\n", "READY=1\nSTATUS=b\n", "STOPPING=1\n"] {
            service.send_to(note.as_bytes(), ear.path()).unwrap();
        }
        assert_eq!(ear.wait_for("READY=1"), "READY=1\nSTATUS=b\n");
        assert_eq!(ear.heard(), ["STOPPING=1\n"]);
    }
}
