//! `openssl s_client` as a client whose every choice a test can make, and what it says.

use std::io::Cursor;
use std::net::SocketAddr;
use std::process::Command;

use crate::PATIENCE;
use crate::pattern::Pattern;
use crate::process;

/// How many bytes a handshake's conversation asks of the backend.
const LENGTH: usize = 5;

/// One handshake with a small conversation, and its report.
pub struct Shake {
    output: Vec<u8>,
    words: String,
}

impl Shake {
    /// Connects with these arguments of s_client(1), asks the backend for a few bytes and reads to
    /// the server's end.
    pub fn with(server: SocketAddr, arguments: &[&str]) -> Shake {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-ign_eof", "-connect", &server.to_string()]);
        if !arguments.contains(&"-servername") {
            command.arg("-noservername");
        }
        command.args(arguments);
        let request = Cursor::new(format!("DOWN {LENGTH}\n"));
        let finished = process::start(&mut command, request, Vec::new()).finish(PATIENCE);
        let words = String::from_utf8_lossy(&finished.stdout) + &*finished.stderr;
        Shake {
            words: words.into_owned(),
            output: finished.stdout,
        }
    }

    /// Whether the backend's bytes have come.
    pub fn is_served(&self) -> bool {
        let expected = Pattern::bytes(LENGTH as u64, LENGTH);
        self.output.windows(LENGTH).any(|window| window == expected)
    }

    /// Whether an earlier session was resumed.
    pub fn is_reused(&self) -> bool {
        self.words.contains("\nReused, ")
    }

    /// The protocol's version, such as `TLSv1.3`; `(NONE)` when there was no handshake.
    pub fn version(&self) -> &str {
        let line = self.behind("\nNew, ").or_else(|| self.behind("\nReused, "));
        line.and_then(|line| line.split(',').next())
            .unwrap_or_default()
    }

    /// OpenSSL's name of the cipher suite; `(NONE)` when there was no handshake.
    pub fn cipher(&self) -> &str {
        self.behind(", Cipher is ").unwrap_or_default()
    }

    /// The key exchange's group, in OpenSSL's words.
    pub fn group(&self) -> &str {
        let key = self.behind("Server Temp Key: ").unwrap_or_default();
        key.strip_prefix("ECDH, ").unwrap_or(key)
    }

    /// The common name of the server's certificate.
    pub fn common_name(&self) -> &str {
        let subject = self.behind("\nsubject=").unwrap_or_default();
        subject
            .trim_start_matches("CN")
            .trim_start_matches([' ', '='])
    }

    /// Whether a session ticket came with a TLS 1.2 session.
    pub fn has_ticket(&self) -> bool {
        self.words.contains("TLS session ticket:")
    }

    /// All that s_client said.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The rest of the line behind the first `word`.
    fn behind(&self, word: &str) -> Option<&str> {
        let (_, rest) = self.words.split_once(word)?;
        rest.lines().next()
    }
}
