//! A certificate authority and a `localhost` certificate for development.
//!
//! The authority's own key is thrown away once it has signed: the authority can never sign
//! anything but this one certificate, so trusting it is safe.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;

use crate::error::Error;

/// How long a certificate holds.
const LIFETIME: Duration = Duration::from_secs(365 * DAY);

/// A certificate with less than this left is made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(7 * DAY);

/// How far back a certificate begins, for clocks that disagree.
const BACKDATE: Duration = Duration::from_secs(DAY);

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

/// The names that the certificate holds for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// First line of the file that says what was made; another version's files are made anew.
const RECORD: &str = "stockade development certificate 1";

/// The development certificates' files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Development {
    /// The authority's certificate, for `curl --cacert`.
    pub authority: PathBuf,
    /// The certificate for `localhost`, PEM.
    pub certificate: PathBuf,
    /// Its private key, PKCS#8 PEM, readable by its owner alone.
    pub key: PathBuf,
    /// Whether the files were made just now, and not found.
    pub fresh: bool,
    /// When the certificate ends.
    pub expires: SystemTime,
}

/// Finds the development certificates in `folder`, or makes them when they are missing, not as
/// they were made, or end within a week.
///
/// # Errors
///
/// The folder or the files can't be written.
pub fn development(folder: &Path, now: SystemTime) -> Result<Development, Error> {
    let mut files = Development {
        authority: folder.join("ca.pem"),
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        fresh: false,
        expires: now,
    };
    let record = folder.join("record");
    if let Some(expires) = expiry(&files, &record)
        && now + RENEW_BEFORE < expires
        && now + LIFETIME + RENEW_BEFORE > expires
    {
        files.expires = expires;
        return Ok(files);
    }
    fs::create_dir_all(folder).map_err(|source| Error::File {
        path: folder.to_owned(),
        source,
    })?;
    files.expires = now + LIFETIME;
    files.fresh = true;
    let made = make(now - BACKDATE, files.expires).map_err(Error::Certificate)?;
    write(&files.authority, made.authority.as_bytes(), 0o644)?;
    write(&files.certificate, made.certificate.as_bytes(), 0o644)?;
    write(&files.key, made.key.as_bytes(), 0o600)?;
    // Last, so that files of two attempts never count as one set.
    let expires = seconds(files.expires);
    let text = format!(
        "{RECORD}\nexpires {expires}\n{}",
        digests(&files).map_err(|source| Error::File {
            path: folder.to_owned(),
            source,
        })?
    );
    write(&record, text.as_bytes(), 0o600)?;
    Ok(files)
}

struct Made {
    authority: String,
    certificate: String,
    key: String,
}

fn make(from: SystemTime, to: SystemTime) -> Result<Made, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority
        .distinguished_name
        .push(DnType::CommonName, "Stockade development authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.not_before = OffsetDateTime::from(from);
    authority.not_after = OffsetDateTime::from(to);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;

    let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
    leaf.distinguished_name
        .push(DnType::CommonName, "localhost");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    leaf.not_before = OffsetDateTime::from(from);
    leaf.not_after = OffsetDateTime::from(to);
    let leaf_key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&leaf_key, &Issuer::new(authority, authority_key))?;
    Ok(Made {
        authority: authority_certificate.pem(),
        certificate: certificate.pem(),
        key: leaf_key.serialize_pem(),
    })
}

/// When the files' certificate ends; `None` unless all of them are as they were made.
fn expiry(files: &Development, record: &Path) -> Option<SystemTime> {
    let text = fs::read_to_string(record).ok()?;
    let rest = text.strip_prefix(RECORD)?.strip_prefix("\nexpires ")?;
    let (expires, found) = rest.split_once('\n')?;
    (found == digests(files).ok()?).then_some(())?;
    UNIX_EPOCH.checked_add(Duration::from_secs(expires.parse().ok()?))
}

/// The files' SHA-256, one line each.
fn digests(files: &Development) -> io::Result<String> {
    let mut text = String::new();
    for path in [&files.authority, &files.certificate, &files.key] {
        let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(path)?);
        text.extend(digest.as_ref().iter().map(|byte| format!("{byte:02x}")));
        text.push('\n');
    }
    Ok(text)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Writes a file whole or not at all, with these permissions from its first byte on.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let attempt = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(bytes)?;
        fs::rename(&temporary, path)
    };
    // Left by a process of the same id that was killed.
    let _ = fs::remove_file(&temporary);
    attempt().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        Error::File {
            path: path.to_owned(),
            source,
        }
    })
}

#[cfg(test)]
mod tests;
