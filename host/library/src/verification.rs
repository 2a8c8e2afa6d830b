//! How a remote's certificate is verified.

use std::path::PathBuf;

use crate::Error;
use crate::config::Section;

/// What has to be right about a remote's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The certificate itself is in the bundle; names and issuers do not count.
    Peer,
    /// An authority in the bundle has issued it, for this host: the remote's own when `None`. The
    /// subject's CN counts where the certificate names no other (RFC 6125 §6.4.4).
    Host(Option<String>),
    /// An authority in the bundle has issued it, for whomever.
    Chain,
}

/// How a remote's certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What has to be right.
    pub check: Check,
    /// The certificates that are trusted: a file of PEM, or a directory of such files, named by
    /// their hashes (openssl-rehash(1)).
    pub bundle: PathBuf,
    /// Revocation lists: a file or a directory likewise.
    pub crls: Option<PathBuf>,
}

impl Verification {
    /// Trusts the certificates in this bundle; no revocation list.
    pub fn new(check: Check, bundle: impl Into<PathBuf>) -> Verification {
        Verification {
            check,
            bundle: bundle.into(),
            crls: None,
        }
    }

    /// Adds its options to a service whose remote is this host.
    pub(crate) fn write(&self, host: &str, section: &mut Section) -> Result<(), Error> {
        let option = |path: &PathBuf, file, directory| match path.is_dir() {
            true => directory,
            false => file,
        };
        section.path(option(&self.bundle, "CAfile", "CApath"), &self.bundle)?;
        match &self.check {
            Check::Peer => section.line("verifyPeer", "yes")?,
            Check::Chain => section.line("verifyChain", "yes")?,
            Check::Host(name) => {
                let name = name.as_deref().unwrap_or(host);
                section.line("verifyChain", "yes")?;
                let is_address = name.parse::<std::net::IpAddr>().is_ok();
                section.line(if is_address { "checkIP" } else { "checkHost" }, name)?;
            }
        }
        match &self.crls {
            Some(path) => section.path(option(path, "CRLfile", "CRLpath"), path),
            None => Ok(()),
        }
    }
}
