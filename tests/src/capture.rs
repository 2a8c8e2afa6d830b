//! What passes over a link, seen by `tcpdump`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::{PATIENCE, namespace, wait_until};

/// A running capture of one interface, whole packets. Ended when dropped.
pub struct Capture {
    process: Child,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Capture {
    /// Captures on `interface` and returns once the capture has begun.
    pub fn start(interface: &str) -> Capture {
        namespace::require();
        // Every packet at once (-U, --immediate-mode), all of it (-s 0), without reverse lookups,
        // and as the user who started it (-Z): a namespace of our own knows no other.
        let mut process = Command::new("tcpdump")
            .args(["-i", interface, "-n", "-s", "0", "-U", "--immediate-mode"])
            .args(["-Z", "root", "-w", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start tcpdump: {error}"));
        let mut words = BufReader::new(process.stderr.take().expect("piped above"));
        let mut said = String::new();
        while !said.contains("listening on") {
            let length = words.read_line(&mut said).expect("tcpdump speaks UTF-8");
            assert!(length > 0, "tcpdump on {interface}: {said}");
        }
        // Keeps the pipe open and empty.
        thread::spawn(move || std::io::copy(&mut words, &mut std::io::sink()));
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let (captured, mut output) = (bytes.clone(), process.stdout.take().expect("piped above"));
        thread::spawn(move || {
            let mut chunk = vec![0; 64 << 10];
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let mut captured = captured.lock().expect("nobody panics while holding it");
                captured.extend_from_slice(&chunk[..length]);
            }
        });
        Capture { process, bytes }
    }

    /// How often `needle` has passed, whole in one packet.
    pub fn count(&self, needle: &[u8]) -> usize {
        let bytes = self.bytes.lock().expect("nobody panics while holding it");
        let windows = bytes.windows(needle.len());
        windows.filter(|window| *window == needle).count()
    }

    /// Waits until `needle` has passed; panics after [`PATIENCE`].
    pub fn wait_for(&self, needle: &[u8]) {
        let seen = wait_until(PATIENCE, || (self.count(needle) > 0).then_some(()));
        assert!(
            seen.is_some(),
            "{:?} never passed",
            String::from_utf8_lossy(needle)
        );
    }

    /// How many bytes the capture has.
    pub fn len(&self) -> usize {
        self.bytes
            .lock()
            .expect("nobody panics while holding it")
            .len()
    }

    /// Whether nothing has passed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
