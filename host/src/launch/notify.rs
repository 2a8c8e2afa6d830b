//! Telling the service manager how things stand: sd_notify(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io};

/// Where the service manager says that it listens.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The service manager, or nobody.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    address: Option<SocketAddr>,
}

impl Notify {
    /// The service manager that `NOTIFY_SOCKET` names; nobody when it names none.
    pub fn from_environment() -> Notify {
        let name = env::var(VARIABLE).unwrap_or_default();
        Notify {
            address: address(&name).ok(),
        }
    }

    /// Whoever listens at this address: a path, or `@NAME` for an abstract one (unix(7)).
    ///
    /// # Errors
    ///
    /// It is no such address.
    pub fn at(name: &str) -> io::Result<Notify> {
        Ok(Notify {
            address: Some(address(name)?),
        })
    }

    /// The service is ready, or ready again after a reload.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\n{}", words(status)));
    }

    /// The configuration is being read again; `monotonic` is that moment by CLOCK_MONOTONIC, in
    /// microseconds, which the service manager compares with the moment of its own request.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n"));
    }

    /// The service is being stopped.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\n{}", words(status)));
    }

    /// How things stand, in words.
    pub fn status(&self, status: &str) {
        self.send(&words(status));
    }

    fn send(&self, text: &str) {
        let Some(address) = &self.address else {
            return;
        };
        // A service manager that does not listen is no reason to stop serving.
        if let Ok(socket) = UnixDatagram::unbound() {
            let _ = socket.set_nonblocking(true);
            let _ = socket.send_to_addr(text.as_bytes(), address);
        }
    }
}

/// `STATUS=`, whose text is one line.
fn words(status: &str) -> String {
    format!("STATUS={}\n", status.replace('\n', " "))
}

fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is neither an absolute path nor @NAME"),
        )),
    }
}
