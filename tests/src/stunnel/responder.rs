//! OCSP responders: `openssl ocsp`, and fronts that count, delay or spoil.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::PATIENCE;
use crate::stunnel::authority::{Authority, Pair};
use crate::stunnel::daemon::Daemon;
use crate::stunnel::files::Files;
use crate::stunnel::ports;

/// `openssl ocsp`, on all of this host's addresses. Ended when dropped.
pub struct Responder {
    _daemon: Daemon,
}

impl Responder {
    /// Answers for `authority` from an index of openssl-ca(1), by the key of `signer`.
    pub fn start_at(
        files: &Files,
        authority: &Authority,
        signer: &Pair,
        index: &str,
        port: u16,
    ) -> Responder {
        let add = |name: &str, text: &str| files.add(&format!("ocsp-{port}/{name}"), text);
        let ca = add("ca.pem", &authority.certificate());
        let certificate = add("signer.pem", &signer.certificate);
        let key = add("signer.key", &signer.key);
        let index = add("index.txt", index);
        let mut command = Command::new("openssl");
        command
            .args(["ocsp", "-port", &port.to_string(), "-index", &index])
            .args(["-CA", &ca, "-rsigner", &certificate, "-rkey", &key])
            .args(["-ndays", "1"]);
        Responder {
            _daemon: Daemon::start(&mut command, "waiting for OCSP client connections"),
        }
    }
}

/// What a front does with a connection.
#[derive(Clone)]
pub enum Front {
    /// Takes what comes and says nothing.
    Silent,
    /// Says these bytes, whatever comes.
    Says(Vec<u8>),
    /// Hands all on to this port of the host, after so much time.
    Relays(u16, Duration),
}

/// A listener that counts its connections.
pub struct Counted {
    port: u16,
    count: Arc<AtomicUsize>,
}

impl Counted {
    /// Begins at a port of its own; its thread ends with the process.
    pub fn start(front: Front) -> Counted {
        Self::start_at(front, ports::next())
    }

    /// The same at this port.
    pub fn start_at(front: Front, port: u16) -> Counted {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
        let listener = listener.unwrap_or_else(|error| panic!("port {port}: {error}"));
        let count = Arc::new(AtomicUsize::new(0));
        let counter = count.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let front = front.clone();
                thread::spawn(move || serve(client, &front));
            }
        });
        Counted { port, count }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Errors end a connection, and the test sees what came of it.
fn serve(mut client: TcpStream, front: &Front) {
    let _ = client.set_read_timeout(Some(PATIENCE));
    match front {
        Front::Silent => {
            let _ = client.read_to_end(&mut Vec::new());
        }
        Front::Says(bytes) => {
            let _ = client.read(&mut [0; 4096]);
            let _ = client.write_all(bytes);
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        }
        Front::Relays(port, pause) => {
            thread::sleep(*pause);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            let Ok(mut responder) = TcpStream::connect(address) else {
                return;
            };
            let mut request = [0; 4096];
            let Ok(length) = client.read(&mut request) else {
                return;
            };
            let _ = responder.write_all(&request[..length]);
            let mut response = Vec::new();
            let _ = responder.read_to_end(&mut response);
            let _ = client.write_all(&response);
        }
    }
}
