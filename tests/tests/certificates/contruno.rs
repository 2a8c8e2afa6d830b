//! The rules by which contruno reads a host's file, written anew from what is known of them, and
//! nothing of the product: a second opinion on what it writes.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use serde_json::Value;
use stockade_tests::memory_file::MemoryFile;
use stockade_tests::{PATIENCE, process};

/// How a file lists its certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `[certificates, key]`
    One,
    /// `[pair, …]`
    Several,
    /// `[pair, [pair, …]]`
    Default,
}

/// A host's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub form: Form,
    /// Chains with their keys, PEM.
    pub pairs: Vec<(Vec<String>, String)>,
    pub backend: SocketAddr,
    pub alpn: Vec<String>,
}

impl Host {
    /// Reads a file; panics where it breaks a rule.
    pub fn read(text: &str) -> Host {
        let file: Value = serde_json::from_str(text).expect("JSON");
        let fields = file.as_object().expect("an object");
        let own_cert = &fields["own_cert"];
        let (form, pairs) = if let Some(pair) = pair(own_cert) {
            (Form::One, vec![pair])
        } else if let Some((first, others)) = with_default(own_cert) {
            (Form::Default, [vec![first], others].concat())
        } else {
            (Form::Several, pairs(own_cert).expect("a list of pairs"))
        };
        let ip: IpAddr = fields["ip"].as_str().expect("a text").parse().expect("one");
        let port = fields
            .get("port")
            .map_or(80, |port| port.as_i64().expect("a number"));
        let alpn = fields.get("alpn").map_or_else(
            || vec!["h2".to_owned(), "http/1.1".to_owned()],
            |alpn| {
                let names = alpn.as_array().expect("a list").iter();
                names
                    .map(|name| name.as_str().expect("a text").to_owned())
                    .collect()
            },
        );
        assert!(alpn.iter().all(|name| name == "h2" || name == "http/1.1"));
        Host {
            form,
            pairs,
            // Sixteen bits, whatever their sign.
            backend: SocketAddr::new(ip, (port & 0xffff) as u16),
            alpn,
        }
    }

    /// The keys, PEM.
    pub fn keys(&self) -> Vec<String> {
        self.pairs.iter().map(|(_, key)| key.clone()).collect()
    }
}

fn pair(value: &Value) -> Option<(Vec<String>, String)> {
    let [chain, key] = value.as_array()?.as_slice() else {
        return None;
    };
    let chain = chain.as_array()?.iter();
    let chain: Option<Vec<String>> = chain.map(|one| one.as_str().map(str::to_owned)).collect();
    let (chain, key) = (chain?, key.as_str()?);
    // One certificate each, and PKCS #8.
    let is_one = |text: &String| text.matches("-----BEGIN CERTIFICATE-----").count() == 1;
    assert!(!chain.is_empty() && chain.iter().all(is_one));
    assert!(key.contains("-----BEGIN PRIVATE KEY-----"));
    Some((chain, key.to_owned()))
}

fn pairs(value: &Value) -> Option<Vec<(Vec<String>, String)>> {
    value.as_array()?.iter().map(pair).collect()
}

type Pair = (Vec<String>, String);

fn with_default(value: &Value) -> Option<(Pair, Vec<Pair>)> {
    let [first, others] = value.as_array()?.as_slice() else {
        return None;
    };
    Some((pair(first)?, pairs(others)?))
}

/// Who has issued the first certificate of a host's file, as openssl(1) has it.
pub fn issuer(file: &str) -> String {
    let host = Host::read(file);
    let certificate = MemoryFile::new(&host.pairs[0].0[0]);
    let mut command = Command::new("openssl");
    command
        .args(["x509", "-noout", "-issuer", "-in"])
        .arg(certificate.path());
    let finished = process::start(&mut command, &[][..], Vec::new()).finish(PATIENCE);
    String::from_utf8_lossy(&finished.succeeded().stdout).into_owned()
}

/// Whether this opens the key for openssl(1).
pub fn opens(key: &str, pass: &str) -> bool {
    let file = MemoryFile::new(key);
    let mut command = Command::new("openssl");
    command
        .args(["pkey", "-noout", "-passin", "stdin", "-in"])
        .arg(file.path());
    let pass = std::io::Cursor::new(format!("{pass}\n"));
    let finished = process::start(&mut command, pass, Vec::new()).finish(PATIENCE);
    finished.status.success()
}
