//! How a remote's certificate is verified.

use std::path::{Path, PathBuf};

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
    /// The name that the remote is asked for (SNI), where [`Config`](crate::Config) says none.
    pub server_name: Option<String>,
}

impl Verification {
    /// Trusts the certificates in this bundle; no revocation list.
    pub fn new(check: Check, bundle: impl Into<PathBuf>) -> Verification {
        Verification {
            check,
            bundle: bundle.into(),
            crls: None,
            server_name: None,
        }
    }

    /// xapi's `appliance`: an authority in `/etc/stunnel/xapi-stunnel-ca-bundle.pem` has issued the
    /// certificate for the remote's host, and no list in `/etc/stunnel/crls` has it, if there is any.
    pub fn appliance() -> Verification {
        let folder = Path::new("/etc/stunnel");
        let crls = folder.join("crls");
        let mut verification =
            Verification::new(Check::Host(None), folder.join("xapi-stunnel-ca-bundle.pem"));
        verification.crls = holds_files(&crls).then_some(crls);
        verification
    }

    /// xapi's `pool`: the certificate is in `/etc/stunnel/xapi-pool-ca-bundle.pem`, and the remote is
    /// asked for by the name `pool`.
    pub fn pool() -> Verification {
        let bundle = "/etc/stunnel/xapi-pool-ca-bundle.pem";
        Verification {
            server_name: Some("pool".to_owned()),
            ..Verification::new(Check::Peer, bundle)
        }
    }

    /// xapi's `world`: an authority in `/etc/ssl/certs/ca-bundle.crt`, those that this host trusts, has
    /// issued the certificate for the remote's host. (Debian calls that file
    /// `/etc/ssl/certs/ca-certificates.crt`.)
    pub fn world() -> Verification {
        Verification::new(Check::Host(None), "/etc/ssl/certs/ca-bundle.crt")
    }

    /// xapi's `external_host`: the certificate is in this file.
    ///
    /// ```
    /// let verification = stockade::Verification::external_host("/etc/pinned.pem");
    /// assert_eq!(verification.check, stockade::Check::Peer);
    /// ```
    pub fn external_host(bundle: impl Into<PathBuf>) -> Verification {
        Verification::new(Check::Peer, bundle)
    }

    /// What `/etc/trusted-certs` holds for a purpose such as `licensing`; see
    /// [`for_purpose_in`](Self::for_purpose_in).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn for_purpose(purpose: &str) -> Result<Option<Verification>, Error> {
        Verification::for_purpose_in("/etc/trusted-certs", purpose)
    }

    /// What a directory of trusted certificates holds for a purpose. The first of these files that is
    /// there decides, and no other one is tried:
    ///
    /// 1. `pinned-bundle-PURPOSE.pem`: the certificate itself is in it.
    /// 2. `ca-bundle-PURPOSE.pem`: an authority in it has issued the certificate for the remote's host.
    /// 3. `ca-bundle-general.pem`: likewise.
    ///
    /// `None` when there is none of them. xapi trusts anybody then; whoever hands it on to
    /// [`Config`](crate::Config) does so too.
    ///
    /// # Errors
    ///
    /// The purpose can't be a part of a file's name, or a file can't be looked at.
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("stockade-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// std::fs::write(folder.join("ca-bundle-general.pem"), "")?;
    /// let found = stockade::Verification::for_purpose_in(&folder, "licensing")?;
    /// assert_eq!(found.map(|found| found.check), Some(stockade::Check::Host(None)));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn for_purpose_in(
        base: impl AsRef<Path>,
        purpose: &str,
    ) -> Result<Option<Verification>, Error> {
        if purpose.is_empty() || purpose.contains(['/', '\0']) {
            let text = format!("{purpose:?} is no purpose: expected a word such as licensing");
            return Err(Error::InvalidArgument(text));
        }
        for (name, check) in [
            (format!("pinned-bundle-{purpose}.pem"), Check::Peer),
            (format!("ca-bundle-{purpose}.pem"), Check::Host(None)),
            ("ca-bundle-general.pem".to_owned(), Check::Host(None)),
        ] {
            let bundle = base.as_ref().join(name);
            match bundle.try_exists() {
                Ok(true) => return Ok(Some(Verification::new(check, bundle))),
                Ok(false) => {}
                // To go on would be to trust somebody else.
                Err(error) => {
                    let text = format!("{}: {error}", bundle.display());
                    return Err(Error::ConfigurationFailed(vec![text]));
                }
            }
        }
        Ok(None)
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

/// Whether there is anything in this directory.
fn holds_files(directory: &Path) -> bool {
    let mut entries = directory.read_dir().into_iter().flatten();
    entries.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Which bundle is taken of those in a directory with these files.
    #[track_caller]
    fn check(files: &[&str], expected: Option<(&str, Check)>) {
        let line = std::panic::Location::caller().line();
        let name = format!("stockade-trusted-{}-{line}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        for file in files {
            fs::write(folder.join(file), "").unwrap();
        }
        let found = Verification::for_purpose_in(&folder, "licensing").unwrap();
        let expected = expected.map(|(file, check)| Verification::new(check, folder.join(file)));
        assert_eq!(found, expected);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn trusted_certificates_are_looked_up_by_purpose() {
        let pinned = "pinned-bundle-licensing.pem";
        let own = "ca-bundle-licensing.pem";
        let general = "ca-bundle-general.pem";
        check(&[], None);
        check(&["ca-bundle-other.pem", "pinned-bundle-other.pem"], None);
        check(&[general], Some((general, Check::Host(None))));
        check(&[general, own], Some((own, Check::Host(None))));
        check(&[general, own, pinned], Some((pinned, Check::Peer)));
    }

    #[test]
    fn a_purpose_is_a_word() {
        for purpose in ["", "../x", "a\0"] {
            let found = Verification::for_purpose_in("/nonexistent", purpose);
            assert!(matches!(found, Err(Error::InvalidArgument(_))), "{found:?}");
        }
    }

    #[test]
    fn those_of_xapi_are_where_xapi_has_them() {
        let appliance = Verification::appliance();
        assert_eq!(appliance.check, Check::Host(None));
        assert_eq!(
            appliance.bundle,
            Path::new("/etc/stunnel/xapi-stunnel-ca-bundle.pem")
        );
        let pool = Verification::pool();
        assert_eq!(pool.server_name.as_deref(), Some("pool"));
        assert_eq!(pool.check, Check::Peer);
        assert_eq!(Verification::world().check, Check::Host(None));
    }
}
