//! Private keys that the image can't open by itself, turned into plain PEM by openssl(1).
//!
//! PKCS #12 (RFC 7292) needs ciphers that nothing else here needs, and an encrypted key needs a
//! person. Both are the host's affair: the image gets PEM that is not encrypted, in its boot
//! archive. What is secret goes through pipes, never through arguments.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

use stockade_config::Zeroizing;
use stockade_config::stunnel::FileError;

/// How often the passphrase of a PKCS #12 file may be wrong; stunnel asks as often.
const PKCS12_ATTEMPTS: usize = 3;

/// As [`PKCS12_ATTEMPTS`] for a PEM key, for which openssl asks again by itself.
const PEM_ATTEMPTS: usize = 1;

/// Who can be asked for a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passphrases {
    /// The person at the terminal (`/dev/tty`); openssl asks there itself, without echo.
    Terminal,
    /// Nobody: what is encrypted is an error.
    Nobody,
}

impl Passphrases {
    /// The terminal, if this process has one.
    pub fn available() -> Passphrases {
        match std::fs::File::open("/dev/tty") {
            Ok(_) => Passphrases::Terminal,
            Err(_) => Passphrases::Nobody,
        }
    }
}

/// Whether stunnel takes a file of this name for PKCS #12, and not for PEM.
pub(super) fn is_pkcs12(path: &str) -> bool {
    let extension = path.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        extension.eq_ignore_ascii_case("p12") || extension.eq_ignore_ascii_case("pfx")
    })
}

/// The certificates and the key of a PKCS #12 file as PEM: the key, its certificate, the others.
///
/// # Errors
///
/// openssl is missing, the file is none, or its passphrase is not empty and nobody knows it.
pub(super) fn from_pkcs12(
    bytes: &[u8],
    path: &str,
    passphrases: Passphrases,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // RC2 and the like need the legacy provider, which older versions don't know by this name
    // and newer ones don't always have (openssl-pkcs12(1), "-legacy").
    let legacy: [&[&str]; 2] = [&["-legacy"], &[]];
    let mut last = String::new();
    for extra in legacy {
        let mut words = vec!["pkcs12", "-nodes"];
        words.extend(extra);
        let (output, message) = openssl(&words, Some("pass:"), bytes)?;
        if output.status.success() {
            return leaf_first(&output.stdout);
        }
        if needs_passphrase(&message) {
            return ask(&words, bytes, path, passphrases, PKCS12_ATTEMPTS)
                .and_then(|pem| leaf_first(&pem));
        }
        last = message;
    }
    Err(FileError::new(&format!(
        "openssl pkcs12 can't read it: {last}"
    )))
}

/// A PEM file with its first encrypted private key replaced by the key itself; `None` when none
/// of its keys is encrypted.
///
/// # Errors
///
/// Nobody knows the passphrase, or openssl can't decrypt the key.
pub(super) fn decrypted(
    pem: &[u8],
    path: &str,
    passphrases: Passphrases,
) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let Some((from, to)) = encrypted_key(pem) else {
        return Ok(None);
    };
    let key = ask(&["pkey"], &pem[from..to], path, passphrases, PEM_ATTEMPTS)?;
    // Room for all of it at once: growing would leave a copy of the key behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(pem.len() + key.len()));
    plain.extend_from_slice(&pem[..from]);
    plain.extend_from_slice(&key);
    plain.extend_from_slice(&pem[to..]);
    Ok(Some(plain))
}

/// Whether a private key stands in this PEM text (RFC 7468 §10 and the older forms).
pub(super) fn holds_private_key(pem: &[u8]) -> bool {
    lines(pem).any(|(_, line)| is_boundary(line, b"-----BEGIN "))
}

/// Where the first encrypted private key begins and ends, its boundaries included.
pub(super) fn encrypted_key(pem: &[u8]) -> Option<(usize, usize)> {
    let mut start = None;
    let mut encrypted = false;
    for (at, line) in lines(pem) {
        if is_boundary(line, b"-----BEGIN ") {
            start = Some(at);
            encrypted = line.starts_with(b"-----BEGIN ENCRYPTED ");
        } else if line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED") {
            // RFC 1421 §4.6.1.1, what OpenSSL wrote before PKCS #8.
            encrypted = true;
        } else if is_boundary(line, b"-----END ")
            && let Some(from) = start.take()
            && encrypted
        {
            let rest = &pem[at + line.len()..];
            let end = rest.iter().position(|byte| *byte == b'\n');
            return Some((
                from,
                at + line.len() + end.map_or(rest.len(), |end| end + 1),
            ));
        }
    }
    None
}

fn is_boundary(line: &[u8], word: &[u8]) -> bool {
    line.starts_with(word) && line.ends_with(b"PRIVATE KEY-----")
}

/// Each line without blanks at its end, and where it begins.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    text.split_inclusive(|byte| *byte == b'\n')
        .scan(0, |at, line| {
            let here = *at;
            *at += line.len();
            Some((here, line.trim_ascii_end()))
        })
}

/// Lets openssl ask for the passphrase.
fn ask(
    words: &[&str],
    bytes: &[u8],
    path: &str,
    passphrases: Passphrases,
    attempts: usize,
) -> Result<Zeroizing<Vec<u8>>, FileError> {
    if passphrases == Passphrases::Nobody {
        return Err(FileError::new(
            "it is encrypted, and there is no terminal on which to ask for the passphrase; \
             `openssl pkey` writes the key without one",
        ));
    }
    eprintln!("The private key in {path} is encrypted.");
    let mut last = String::new();
    for attempt in 1..=attempts {
        let (output, message) = openssl(words, None, bytes)?;
        if output.status.success() {
            return Ok(Zeroizing::new(output.stdout));
        }
        last = message;
        if attempt < attempts {
            eprintln!("Wrong passphrase: retrying");
        }
    }
    Err(FileError::new(&format!("it can't be decrypted: {last}")))
}

/// Runs openssl on these bytes; gives what it wrote, and its complaint in one line.
fn openssl(
    words: &[&str],
    passphrase: Option<&str>,
    bytes: &[u8],
) -> Result<(Output, String), FileError> {
    let mut command = Command::new("openssl");
    command.args(words);
    if let Some(passphrase) = passphrase {
        command.args(["-passin", passphrase]);
    }
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => FileError::new(
            "openssl is needed to read it and is not installed; it comes with the package openssl",
        ),
        _ => FileError::new(&format!("openssl can't be run: {error}")),
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let input = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // openssl may give up before it has read everything; it then says why.
            input.map(|mut pipe| pipe.write_all(bytes))
        });
        child.wait_with_output()
    });
    let output = output.map_err(failed)?;
    let message = complaint(&String::from_utf8_lossy(&output.stderr));
    Ok((output, message))
}

/// What openssl says in words; the lines about its own source code are left out.
fn complaint(messages: &str) -> String {
    let lower = messages.to_ascii_lowercase();
    if lower.contains("bad decrypt") || lower.contains("wrong password") {
        return "wrong passphrase".to_owned();
    }
    let lines: Vec<&str> = messages
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains(":error:"))
        .collect();
    match lines.as_slice() {
        [] => "it does not say why".to_owned(),
        lines => lines.join("; "),
    }
}

fn needs_passphrase(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("invalid password") || message.contains("mac verify")
}

/// Puts the certificate that the key belongs to before the others: it has a local key ID
/// (RFC 7292 §4.2, PKCS #9 localKeyId), which openssl writes above it.
fn leaf_first(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (mut keys, mut leaves, mut others) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_leaf = false;
    let mut open = None;
    for (at, line) in lines(text) {
        if line.starts_with(b"Bag Attributes") {
            is_leaf = false;
        } else if open.is_none() && line.trim_ascii_start().starts_with(b"localKeyID:") {
            is_leaf = true;
        } else if line.starts_with(b"-----BEGIN ") {
            open = Some(at);
        } else if line.starts_with(b"-----END ")
            && let Some(from) = open.take()
        {
            let block = &text[from..at + line.len()];
            if is_boundary(line, b"-----END ") {
                keys.push(block);
            } else if is_leaf {
                leaves.push(block);
            } else {
                others.push(block);
            }
        }
    }
    if keys.is_empty() || leaves.len() + others.len() == 0 {
        return Err(FileError::new(
            "it must hold a private key and its certificate, and one of them is missing",
        ));
    }
    let mut pem = Zeroizing::new(Vec::with_capacity(text.len() + 64));
    for block in keys.into_iter().chain(leaves).chain(others) {
        pem.extend_from_slice(block);
        pem.push(b'\n');
    }
    Ok(pem)
}
