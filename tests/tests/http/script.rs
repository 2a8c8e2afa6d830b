//! A backend that says what the test has it say.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use stockade_tests::{PATIENCE, namespace};

/// A backend of one answer: to each of its connections it says it once it has heard enough, then
/// ends the connection.
pub struct Scripted {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Scripted {
    /// Answers `said` to `connections` clients, as soon as what one has said ends with `end`.
    pub fn start(host: IpAddr, connections: usize, end: &'static str, said: &str) -> Scripted {
        namespace::require();
        let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("{error}"));
        let address = listener.local_addr().expect("it is bound");
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (said, all) = (said.to_owned(), heard.clone());
        // Ends with the test's process at the latest.
        thread::spawn(move || {
            for stream in listener.incoming().take(connections) {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let mut own = Vec::new();
                let mut bytes = [0; 4096];
                while !own.ends_with(end.as_bytes()) {
                    match stream.read(&mut bytes) {
                        Ok(0) | Err(_) => return,
                        Ok(length) => own.extend_from_slice(&bytes[..length]),
                    }
                }
                all.lock().expect("nobody panics with it").extend(own);
                let _ = stream.write_all(said.as_bytes());
            }
        });
        Scripted { address, heard }
    }

    /// All that its clients have said.
    pub fn heard(&self) -> String {
        let heard = self.heard.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&heard).into_owned()
    }
}
