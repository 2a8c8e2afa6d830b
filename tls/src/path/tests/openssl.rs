//! OpenSSL's command line, which these tests are compared with.

use std::collections::BTreeMap;
use std::format;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::string::String;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use super::chain::Case;
use crate::{PeerName, Purpose};

/// Runs `openssl`; its standard output, or its complaint.
pub(super) fn run(arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    let child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!(
            "the openssl command is needed to compare verdicts with, and does not start: {error}; \
             `cargo xtask test` installs it"
        )
    });
    // A child that ends early says why below.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn fixture_path(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The public half of a fixture's key, as SubjectPublicKeyInfo.
pub(super) fn public_key(name: &str) -> Vec<u8> {
    static KNOWN: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap();
    if let Some(key) = known.get(name) {
        return key.clone();
    }
    let path = fixture_path(name);
    let key = run(&["pkey", "-in", &path, "-pubout", "-outform", "DER"], &[]).unwrap();
    known.insert(name.into(), key.clone());
    key
}

/// Signs with a fixture's key.
pub(super) fn sign(name: &str, digest: &str, message: &[u8]) -> Vec<u8> {
    let path = fixture_path(name);
    run(&["dgst", &format!("-{digest}"), "-sign", &path], message).unwrap()
}

/// A directory of its own, removed at the end.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new() -> Directory {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "stockade-tls-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    pub(super) fn path(&self, name: &str) -> String {
        text(&self.0.join(name))
    }

    fn write(&self, name: &str, label: &str, all: &[Vec<u8>]) -> String {
        let path = self.0.join(name);
        let pem: String = all.iter().map(|der| pem(label, der)).collect();
        std::fs::write(&path, pem).unwrap();
        text(&path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().into()
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bytes = [0, 1, 2].map(|at| u32::from(group.get(at).copied().unwrap_or(0)));
            let number = bytes[0] << 16 | bytes[1] << 8 | bytes[2];
            for at in 0..4 {
                if at <= group.len() {
                    let index = number >> (18 - 6 * at) & 63;
                    pem.push(char::from(LETTERS[index as usize]));
                } else {
                    pem.push('=');
                }
            }
        }
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

/// What `openssl verify` says of the same files at security level 2.
pub(super) fn verify(case: &Case) -> Result<(), String> {
    verify_with(case, &[])
}

pub(super) fn verify_with(case: &Case, more: &[&str]) -> Result<(), String> {
    let directory = Directory::new();
    let leaf = directory.write("leaf.pem", "CERTIFICATE", core::slice::from_ref(&case.leaf));
    let trusted = directory.write("trusted.pem", "CERTIFICATE", &case.trusted);
    let sent = directory.write("sent.pem", "CERTIFICATE", &case.sent);
    let lists = directory.write("lists.pem", "X509 CRL", &case.lists);
    let now = format!("{}", case.now);
    let mut arguments = Vec::from([
        "verify",
        "-no-CApath",
        "-no-CAstore",
        "-auth_level",
        "2",
        "-attime",
        &now,
        "-CAfile",
        &trusted,
        "-purpose",
        match case.purpose {
            Purpose::Server => "sslserver",
            Purpose::Client => "sslclient",
        },
    ]);
    arguments.extend(more);
    if !case.sent.is_empty() {
        arguments.extend(["-untrusted", &sent]);
    }
    if !case.lists.is_empty() {
        arguments.extend(["-crl_check", "-CRLfile", &lists]);
    }
    let name;
    if let Some(peer) = &case.name {
        name = format!("{peer}");
        arguments.push(match peer {
            PeerName::Host(_) => "-verify_hostname",
            PeerName::Email(_) => "-verify_email",
            PeerName::Address(_) => "-verify_ip",
        });
        arguments.push(&name);
    }
    arguments.push(&leaf);
    run(&arguments, &[]).map(drop)
}
