//! Where the image comes from, and what else depends on who runs it.

use std::env;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use stockade_host::memfd;

use crate::cli::{Machinery, Net};
use crate::{Result, embedded};

/// What differs between the installed program and a run out of a checkout.
pub trait Caller {
    /// How its user calls it, for advice: `stockade`.
    fn program(&self) -> &'static str;

    /// Where the development certificate is kept.
    ///
    /// # Errors
    ///
    /// There is no such place.
    fn development_folder(&self) -> Result<PathBuf>;

    /// Where the image is or will be, in words, for a dry run.
    fn image_place(&self, machinery: &Machinery) -> String;

    /// Makes the image and the programs for a run ready. Comes when everything that can be refused at
    /// once has been refused.
    ///
    /// # Errors
    ///
    /// Something is missing, and what to do.
    fn prepare(&mut self, machinery: &Machinery, net: &Net) -> Result<Image>;
}

/// This program's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this program is called.
pub(crate) const NAME: &str = "stockade";

/// What the image of this program is called.
const INSIDE: &str = "in this program";

/// What to do when there is no image.
const NO_IMAGE: &str = "there is no image in this program: name one with --image FILE (`cargo xtask \
                        image` builds it, and `cargo xtask dist` a program that has it inside)";

/// What to do when there is no place for the development certificate.
const NO_STATE_FOLDER: &str = "there is no place for a development certificate: HOME is not set; \
                               set it or XDG_STATE_HOME, or name a certificate with --cert and --key";

/// An image that is ready to boot.
#[derive(Debug)]
pub struct Image {
    /// The file, which this process can open.
    pub(crate) path: PathBuf,
    /// What to call it.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// What `path` leads to, when that is memory.
    _memory: Option<OwnedFd>,
}

/// The installed program.
#[derive(Debug, Default)]
pub struct Installed {}

impl Image {
    /// The image in this file.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub fn file(path: &Path) -> Result<Image> {
        let metadata = std::fs::metadata(path)
            .map_err(|error| format!("the image {} can't be read: {error}", path.display()))?;
        Ok(Image {
            path: path.to_owned(),
            name: crate::shown(path),
            size: metadata.len(),
            _memory: None,
        })
    }

    /// The image that is part of this program, in memory alone.
    fn inside(bytes: &[u8]) -> Result<Image> {
        let memory = memfd::sealed("stockade", bytes)
            .map_err(|error| format!("the image can't be put into memory: {error}"))?;
        Ok(Image {
            path: memfd::path(&memory).into(),
            name: INSIDE.to_owned(),
            size: bytes.len() as u64,
            _memory: Some(memory),
        })
    }
}

impl Caller for Installed {
    fn program(&self) -> &'static str {
        NAME
    }

    fn development_folder(&self) -> Result<PathBuf> {
        state_folder(|name| env::var_os(name), stockade_host::is_root())
            .map(|folder| folder.join("development"))
            .ok_or_else(|| NO_STATE_FOLDER.into())
    }

    fn image_place(&self, machinery: &Machinery) -> String {
        let named = machinery.image.as_deref().map(crate::shown);
        named.unwrap_or_else(|| embedded::IMAGE.map_or("IMAGE", |_| INSIDE).to_owned())
    }

    fn prepare(&mut self, machinery: &Machinery, _net: &Net) -> Result<Image> {
        match (&machinery.image, embedded::IMAGE) {
            (Some(path), _) => Image::file(path),
            (None, Some(bytes)) => Image::inside(bytes),
            (None, None) => Err(NO_IMAGE.into()),
        }
    }
}

/// What `--version` prints: the program's version, and which image is in it.
pub(crate) fn version() -> String {
    let Some(image) = embedded::IMAGE else {
        return format!("{VERSION}\nwithout an image: name one with --image FILE");
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, image);
    let digest: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{VERSION}\nimage    {} bytes\nSHA-256  {digest}",
        image.len()
    )
}

/// Where this user's programs keep their state: what systemd says (systemd.exec(5),
/// `StateDirectory=`), the system's place for root, else what the XDG Base Directory Specification
/// says.
fn state_folder(variable: impl Fn(&str) -> Option<OsString>, is_root: bool) -> Option<PathBuf> {
    // A relative path is to be ignored, the specification says.
    let path = |name| {
        let path = PathBuf::from(variable(name)?);
        path.is_absolute().then_some(path)
    };
    if let Some(folders) = variable("STATE_DIRECTORY") {
        return env::split_paths(&folders).next();
    }
    if is_root {
        return Some(PathBuf::from("/var/lib/stockade"));
    }
    let state = path("XDG_STATE_HOME").or_else(|| Some(path("HOME")?.join(".local/state")));
    Some(state?.join("stockade"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], is_root: bool, expect: Option<&str>) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(found.1))
        };
        assert_eq!(state_folder(variable, is_root), expect.map(PathBuf::from));
    }

    #[test]
    fn state_lies_where_the_system_says() {
        let home = ("HOME", "/u");
        check(&[home], false, Some("/u/.local/state/stockade"));
        check(
            &[home, ("XDG_STATE_HOME", "/s")],
            false,
            Some("/s/stockade"),
        );
        let relative = [home, ("XDG_STATE_HOME", "s")];
        check(&relative, false, Some("/u/.local/state/stockade"));
        check(&[home], true, Some("/var/lib/stockade"));
        let service = [home, ("STATE_DIRECTORY", "/var/lib/private/a:/b")];
        check(&service, false, Some("/var/lib/private/a"));
        check(&[], false, None);
    }
}
