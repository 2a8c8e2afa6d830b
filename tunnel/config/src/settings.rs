//! Command line and boot archive, read together.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::archive::{Archive, ArchiveError};
use crate::command_line::{self, Errors};
use crate::hosting::Hosting;
use crate::stunnel::{self, Configuration, PackedFiles};
use crate::types::{Config, ServiceSource, Source};

mod hosting;

#[cfg(test)]
mod tests;

pub use hosting::{ContentError, ContentProblem};

/// All that an image needs in order to serve.
pub struct Settings {
    /// The typed command line.
    pub config: Config,
    /// What is served.
    pub services: Services,
}

/// What is served.
pub enum Services {
    /// One service, told by options.
    Single {
        /// The certificate chain, PEM.
        certificate: Zeroizing<Vec<u8>>,
        /// The private key, PEM.
        key: Zeroizing<Vec<u8>>,
    },
    /// The services of a stunnel configuration.
    Conf(Box<Configuration>),
    /// Hosts by name.
    Hosting(Box<Hosting>),
}

/// Why the settings can't be used. Each is a configuration error
/// ([`ExitStatus::Configuration`](crate::exit::ExitStatus::Configuration)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The boot archive can't be read, or was made for another version.
    Archive(ArchiveError),
    /// The command line is wrong.
    CommandLine(Errors),
    /// Options name files that the boot archive lacks.
    Sources(Vec<SourceError>),
    /// What is in the files that options name is wrong.
    Contents(Vec<ContentError>),
    /// The stunnel configuration is wrong.
    Conf(stunnel::Errors),
}

/// An option names a file that the boot archive does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The option, with its dashes.
    pub option: &'static str,
    /// The name after `file:`.
    pub file: String,
    /// Names of the files that are there; `None` when there is no archive at all.
    pub present: Option<Vec<String>>,
}

impl Settings {
    /// Reads the kernel command line `append` and the boot archive `initrd`, if there is one.
    ///
    /// The archive's `command-line` entry is the second half of the command line, so
    /// positions in errors count on through it, after one space.
    ///
    /// # Errors
    ///
    /// Every error of the first of these that has any: the archive, the command line, the
    /// files that options name, what is in them.
    pub fn read(append: &[u8], initrd: Option<&[u8]>) -> Result<Settings, ReadError> {
        let archive = initrd
            .map(Archive::open)
            .transpose()
            .map_err(ReadError::Archive)?;
        let second = archive.as_ref().and_then(Archive::command_line);
        let line = command_line::join(append, second);
        let config = command_line::parse_bytes(&line).map_err(ReadError::CommandLine)?;
        let archive = archive.as_ref();
        let services = match &config.services {
            ServiceSource::Single { certificate, key } => single(certificate, key, archive)?,
            ServiceSource::Conf(source) => conf(source, archive)?,
            ServiceSource::Hosting(source) => hosting::read(source, &config, archive)?,
        };
        Ok(Settings { config, services })
    }
}

fn single(
    certificate: &Source,
    key: &Source,
    archive: Option<&Archive<'_>>,
) -> Result<Services, ReadError> {
    match (
        certificate.load("--cert", archive),
        key.load("--key", archive),
    ) {
        (Ok(certificate), Ok(key)) => Ok(Services::Single {
            certificate: Zeroizing::new(certificate.to_vec()),
            key: Zeroizing::new(key.to_vec()),
        }),
        (certificate, key) => Err(ReadError::Sources(
            [certificate.err(), key.err()]
                .into_iter()
                .flatten()
                .collect(),
        )),
    }
}

fn conf(source: &Source, archive: Option<&Archive<'_>>) -> Result<Services, ReadError> {
    let text = source
        .load("--conf", archive)
        .map_err(|error| ReadError::Sources(vec![error]))?;
    let mut files = PackedFiles::new(archive);
    let path = match source {
        Source::Inline(_) => String::from("--conf"),
        Source::Archive(name) => files.path_of(name).unwrap_or(name).to_string(),
    };
    files.put(&path, text);
    stunnel::read(&path, &mut files)
        .map(|configuration| Services::Conf(Box::new(configuration)))
        .map_err(ReadError::Conf)
}

impl Source {
    /// The bytes of the text that `option` names.
    ///
    /// # Errors
    ///
    /// The text is to come from the boot archive, and the archive or the file is missing.
    pub fn load<'a>(
        &'a self,
        option: &'static str,
        archive: Option<&'a Archive<'_>>,
    ) -> Result<&'a [u8], SourceError> {
        let name = match self {
            Source::Inline(bytes) => return Ok(bytes),
            Source::Archive(name) => name,
        };
        archive
            .and_then(|archive| archive.file(name))
            .ok_or_else(|| SourceError {
                option,
                file: name.clone(),
                present: archive.map(|archive| archive.names().map(String::from).collect()),
            })
    }
}

impl fmt::Debug for Settings {
    /// Shows no byte of certificate and key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .field("services", &self.services)
            .finish()
    }
}

impl fmt::Debug for Services {
    /// Shows no byte of certificate and key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Services::Single { certificate, key } => f
                .debug_struct("Single")
                .field("certificate", &format_args!("{} bytes", certificate.len()))
                .field("key", &format_args!("{} bytes", key.len()))
                .finish(),
            Services::Conf(configuration) => configuration.fmt(f),
            Services::Hosting(hosting) => hosting.fmt(f),
        }
    }
}

impl fmt::Display for ReadError {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Archive(error) => write!(f, "boot archive: {error}"),
            ReadError::CommandLine(errors) => errors.fmt(f),
            ReadError::Conf(errors) => errors.fmt(f),
            ReadError::Sources(errors) => each(errors, f),
            ReadError::Contents(errors) => each(errors, f),
        }
    }
}

/// One line per error.
fn each(errors: &[impl fmt::Display], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, error) in errors.iter().enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        error.fmt(f)?;
    }
    Ok(())
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: file:{} ", self.option, self.file)?;
        match &self.present {
            None => f.write_str("needs a boot archive, and the machine was given none (-initrd)"),
            Some(names) if names.is_empty() => {
                f.write_str("is not in the boot archive, which holds no files")
            }
            Some(names) => write!(
                f,
                "is not in the boot archive, which holds {}",
                names.join(", ")
            ),
        }
    }
}

impl core::error::Error for ReadError {}
impl core::error::Error for SourceError {}
