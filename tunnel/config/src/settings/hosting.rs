//! Hosts that are served by name: what the command line names in the boot archive.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::{ReadError, Services, SourceError};
use crate::archive::Archive;
use crate::command_line;
use crate::hosting::{
    Authority, AuthoritySource, HostFile, Hosting, HostingSource, SEED, Store, StoreSource, binding,
};
use crate::types::{Config, Ipv4, Source};

/// Most bytes that a file with one secret or key may have: a line, and comments.
const MAX_SECRET: usize = 16 * 1024;

/// What is wrong with a file that an option names. It never says what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentError {
    /// The option, with its dashes.
    pub option: &'static str,
    /// The file's name; `None` when the text stands on the command line.
    pub file: Option<String>,
    /// What is wrong.
    pub problem: ContentProblem,
}

/// What is wrong with a file's name or content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentProblem {
    /// There is nothing in it.
    Empty,
    /// It is longer than any text of its kind.
    TooLong,
    /// It is not UTF-8.
    NotText,
    /// It has no key of Ed25519 in it.
    NoSeed,
    /// It is no `ID:KEY`.
    NoBinding,
    /// It has no PEM certificate in it.
    NoCertificate,
    /// It lies in a folder below that of the hosts.
    Nested,
    /// Its name is no host's.
    NoHost,
    /// Another file is of the same host.
    SameHost {
        /// That file.
        other: String,
    },
    /// Its backend would be the gateway, and there is none.
    NoGateway,
}

/// All that `source` names.
pub(super) fn read(
    source: &HostingSource,
    config: &Config,
    archive: Option<&Archive<'_>>,
) -> Result<Services, ReadError> {
    let mut reader = Reader {
        archive,
        missing: Vec::new(),
        wrong: Vec::new(),
    };
    let files = match &source.folder {
        Some(folder) => reader.files(folder, config),
        None => Vec::new(),
    };
    let store = source.store.as_ref().map(|store| reader.store(store));
    if !reader.missing.is_empty() {
        return Err(ReadError::Sources(reader.missing));
    }
    if !reader.wrong.is_empty() {
        return Err(ReadError::Contents(reader.wrong));
    }
    Ok(Services::Hosting(Box::new(Hosting {
        files,
        default_host: source.default_host.clone(),
        http: source.http,
        store: store.flatten(),
    })))
}

struct Reader<'a> {
    archive: Option<&'a Archive<'a>>,
    missing: Vec<SourceError>,
    wrong: Vec<ContentError>,
}

impl<'a> Reader<'a> {
    /// Every host of the archive that lies below `folder`.
    fn files(&mut self, folder: &str, config: &Config) -> Vec<HostFile> {
        let option = "--hosts";
        let names: Vec<&str> = match self.archive {
            Some(archive) => archive.names().collect(),
            None => Vec::new(),
        };
        let mut files: Vec<(HostFile, &str)> = Vec::new();
        let mut is_found = false;
        for name in &names {
            let below = name.strip_prefix(folder);
            let Some(file) = below.and_then(|rest| rest.strip_prefix('/')) else {
                continue;
            };
            is_found = true;
            let mut wrong = |problem| {
                self.wrong.push(ContentError {
                    option,
                    file: Some((*name).to_owned()),
                    problem,
                });
            };
            if file.contains('/') {
                wrong(ContentProblem::Nested);
                continue;
            }
            let Some(host) = host_of(file) else {
                wrong(ContentProblem::NoHost);
                continue;
            };
            let text = self.archive.and_then(|archive| archive.file(name));
            let text = text.unwrap_or_default();
            if let Some((_, other)) = files.iter().find(|(known, _)| known.name == host) {
                let other = (*other).to_owned();
                wrong(ContentProblem::SameHost { other });
            } else if text.trim_ascii().is_empty() {
                wrong(ContentProblem::Empty);
            } else if is_pem(text) && config.connect.host.is_none() && !has_gateway(config) {
                wrong(ContentProblem::NoGateway);
            } else {
                let text = Zeroizing::new(text.to_vec());
                files.push((HostFile { name: host, text }, name));
            }
        }
        if !is_found {
            let present = self
                .archive
                .map(|_| names.iter().map(|name| (*name).to_owned()));
            self.missing.push(SourceError {
                option,
                file: folder.to_owned(),
                present: present.map(Iterator::collect),
            });
        }
        files.into_iter().map(|(file, _)| file).collect()
    }

    /// The store; `None` when something is wrong, which is kept.
    fn store(&mut self, source: &StoreSource) -> Option<Store> {
        let ssh_key = self.text("--ssh-key", &source.ssh_key, |text| {
            // What keygen prints may have notes, and the line for authorized_keys, beside the seed.
            let lines = text
                .lines()
                .filter(|line| !line.trim_start().starts_with('#'));
            let mut words = lines.flat_map(str::split_ascii_whitespace);
            let seed = words.find(|word| word.starts_with(SEED));
            seed.map(secret).ok_or(ContentProblem::NoSeed)
        });
        let ssh_host_key = self.maybe("--ssh-host-key", source.ssh_host_key.as_ref(), |text| {
            Ok(host_key(text))
        });
        let pass = self.bytes("--pass", source.pass.as_ref());
        let encryption = self.bytes("--store-key", source.encryption.as_ref());
        let authority = match &source.authority {
            Some(authority) => self.authority(authority).map(Some),
            None => Some(None),
        };
        Some(Store {
            remote: source.remote.clone(),
            ssh_key: ssh_key?,
            ssh_host_key: ssh_host_key?,
            pass: pass?,
            notices: source.notices,
            legacy_reload: source.legacy_reload,
            poll: source.poll,
            encryption: encryption?,
            authority: authority?,
        })
    }

    fn authority(&mut self, source: &AuthoritySource) -> Option<Authority> {
        let roots = self.maybe("--authority-ca", source.roots.as_ref(), |text| {
            match text.contains("-----BEGIN CERTIFICATE-----") {
                true => Ok(text.as_bytes().to_vec()),
                false => Err(ContentProblem::NoCertificate),
            }
        });
        let account = self.maybe("--eab", source.binding.as_ref(), |text| {
            binding(text.as_bytes()).ok_or(ContentProblem::NoBinding)
        });
        let account_seed = self.bytes("--account-seed", source.account_seed.as_ref());
        Some(Authority {
            directory: source.directory.clone(),
            roots: roots?,
            email: source.email.clone(),
            profile: source.profile.clone(),
            binding: account?,
            account_seed: account_seed?,
            key: source.key,
        })
    }

    /// A secret as it is, without the end of its line.
    fn bytes(
        &mut self,
        option: &'static str,
        source: Option<&Source>,
    ) -> Option<Option<Zeroizing<Vec<u8>>>> {
        let Some(source) = source else {
            return Some(None);
        };
        let bytes = self.load(option, source)?;
        let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let problem = match line.len() {
            0 => ContentProblem::Empty,
            1..=MAX_SECRET => return Some(Some(Zeroizing::new(line.to_vec()))),
            _ => ContentProblem::TooLong,
        };
        self.report(option, source, problem);
        None
    }

    fn maybe<T>(
        &mut self,
        option: &'static str,
        source: Option<&Source>,
        read: impl FnOnce(&str) -> Result<T, ContentProblem>,
    ) -> Option<Option<T>> {
        match source {
            None => Some(None),
            Some(source) => self.text(option, source, read).map(Some),
        }
    }

    fn text<T>(
        &mut self,
        option: &'static str,
        source: &Source,
        read: impl FnOnce(&str) -> Result<T, ContentProblem>,
    ) -> Option<T> {
        let bytes = self.load(option, source)?;
        let read = match core::str::from_utf8(bytes) {
            Err(_) => Err(ContentProblem::NotText),
            Ok(text) if text.trim().is_empty() => Err(ContentProblem::Empty),
            Ok(text) => read(text),
        };
        read.map_err(|problem| self.report(option, source, problem))
            .ok()
    }

    fn load<'s>(&mut self, option: &'static str, source: &'s Source) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        source
            .load(option, self.archive)
            .map_err(|error| self.missing.push(error))
            .ok()
    }

    fn report(&mut self, option: &'static str, source: &Source, problem: ContentProblem) {
        let file = match source {
            Source::Inline(_) => None,
            Source::Archive(name) => Some(name.clone()),
        };
        self.wrong.push(ContentError {
            option,
            file,
            problem,
        });
    }
}

/// The host whose file has this name: a name, an address, or all names of a domain.
fn host_of(file: &str) -> Option<String> {
    let name = file
        .strip_suffix(".pem")
        .or_else(|| file.strip_suffix(".json"))
        .unwrap_or(file);
    let bare = name.strip_prefix("*.").unwrap_or(name);
    command_line::host(bare)?;
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

/// Whether a host's file is PEM: in the store's form it would begin with a brace.
fn is_pem(text: &[u8]) -> bool {
    text.trim_ascii_start().first() != Some(&b'{')
}

fn has_gateway(config: &Config) -> bool {
    let ipv4 = match config.ipv4 {
        Ipv4::Disabled => false,
        Ipv4::Dhcp => true,
        Ipv4::Static { gateway, .. } => gateway.is_some(),
    };
    ipv4 || config.ipv6.is_some_and(|ipv6| ipv6.gateway.is_some())
}

/// The key in what ssh-keyscan or known_hosts have: a line may begin with the machine's name.
fn host_key(text: &str) -> String {
    let key = text.lines().find_map(|line| {
        let at = line.find("ssh-ed25519")?;
        let is_comment = line.trim_start().starts_with('#');
        line.get(at..).filter(|_| !is_comment)
    });
    key.unwrap_or(text).trim().to_string()
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.option)?;
        match &self.file {
            Some(file) => write!(f, "file:{file} ")?,
            None => f.write_str("its text ")?,
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for ContentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::TooLong => write!(f, "has more than {MAX_SECRET} bytes"),
            Self::NotText => f.write_str("is not UTF-8 text"),
            Self::NoSeed => f.write_str(
                "has no key of Ed25519 in it, which begins with ed25519: and which stockade keygen \
                 makes (not shown)",
            ),
            Self::NoBinding => f.write_str(
                "is no ID:KEY as the authority gives them out, with the key in base64url (not shown)",
            ),
            Self::NoCertificate => f.write_str("has no PEM certificate in it"),
            Self::Nested => f.write_str(
                "lies in a folder of its own; expected one file for each host, and no folders",
            ),
            Self::NoHost => f.write_str(
                "is called after no host; expected a name such as www.example.org.pem",
            ),
            Self::SameHost { other } => write!(f, "is of the same host as file:{other}"),
            Self::NoGateway => f.write_str(
                "has no backend: give --connect=HOST:PORT, --ipv4-gateway or --ipv6-gateway",
            ),
        }
    }
}

impl core::error::Error for ContentError {}
