//! A configuration's files on their way from the host to the image.
//!
//! The host reads a configuration through a [`Recorder`]. What it recorded goes into the boot
//! archive under names of its own, since paths may be longer than names there, and an index
//! ([`INDEX`]) leads from paths to names. It is text, of these lines:
//!
//! ```text
//! file conf/0 /etc/stunnel/off.conf
//! list 2 /etc/stunnel/ca
//! name 0a1b2c3d.0
//! name 4e5f6071.0
//! ```

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::files::{FileError, Files};
use crate::archive::{Archive, ArchiveError, Builder};

/// Name of the archive's entry that leads from paths to entries.
pub const INDEX: &str = "conf/index";

/// Passes files on and remembers them.
pub struct Recorder<F> {
    files: F,
    read: BTreeMap<String, Zeroizing<Vec<u8>>>,
    listed: BTreeMap<String, Vec<String>>,
    /// The file that was read before all others: the configuration itself.
    first: Option<String>,
}

/// The files and directories that a configuration was read from.
pub struct Recording {
    /// Each with its path and the name of its entry.
    files: Vec<(String, String, Zeroizing<Vec<u8>>)>,
    index: String,
}

impl<F: Files> Recorder<F> {
    /// Remembers what is read from `files`.
    pub fn new(files: F) -> Recorder<F> {
        Recorder {
            files,
            read: BTreeMap::new(),
            listed: BTreeMap::new(),
            first: None,
        }
    }

    /// What was read. The file that was read first has the first name, whatever the others are called:
    /// the image's command line names it, and must stay as it is when a reload reads other files.
    pub fn into_files(mut self) -> Recording {
        let mut index = String::new();
        let mut files = Vec::new();
        let first = self.first.and_then(|path| self.read.remove_entry(&path));
        for (number, (path, bytes)) in first.into_iter().chain(self.read).enumerate() {
            let name = format!("conf/{number}");
            index.push_str(&format!("file {name} {path}\n"));
            files.push((path, name, bytes));
        }
        for (directory, names) in &self.listed {
            index.push_str(&format!("list {} {directory}\n", names.len()));
            for name in names {
                index.push_str(&format!("name {name}\n"));
            }
        }
        Recording { files, index }
    }
}

impl<F: Files> Files for Recorder<F> {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        if let Some(bytes) = self.read.get(path) {
            return Ok(bytes.clone());
        }
        if path.contains('\n') {
            return Err(FileError::new("Invalid argument"));
        }
        let bytes = self.files.read(path)?;
        self.first.get_or_insert_with(|| path.to_owned());
        self.read.insert(path.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// Names that no configuration could spell, with a line break in them, are left out.
    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        if let Some(names) = self.listed.get(directory) {
            return Ok(names.clone());
        }
        if directory.contains('\n') {
            return Err(FileError::new("Invalid argument"));
        }
        let mut names = self.files.list(directory)?;
        names.retain(|name| !name.contains(['\n', '\r']));
        names.sort_unstable();
        self.listed.insert(directory.to_owned(), names.clone());
        Ok(names)
    }
}

impl Recording {
    /// Puts everything into a boot archive. Gives the name of `main_path`'s entry, for
    /// `--conf=file:NAME`; `None` when that file was not read.
    ///
    /// # Errors
    ///
    /// There are too many files, or one is too large, for an archive.
    pub fn pack<'a>(
        &'a self,
        builder: &mut Builder<'a>,
        main_path: &str,
    ) -> Result<Option<&'a str>, ArchiveError> {
        builder.file(INDEX, self.index.as_bytes())?;
        let mut main = None;
        for (path, name, bytes) in &self.files {
            builder.file(name, bytes)?;
            if path == main_path {
                main = Some(name.as_str());
            }
        }
        Ok(main)
    }

    /// The paths of the files: the one that was read first, then the others, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(path, _, _)| path.as_str())
    }
}

/// The files in a boot archive: by the index's paths; without an index, by the entries' names,
/// which are paths without the slash in front.
#[derive(Default)]
pub struct PackedFiles<'a> {
    files: BTreeMap<String, &'a [u8]>,
    /// Whether the archive has an index.
    indexed: bool,
    /// Paths by entry name.
    paths: BTreeMap<&'a str, &'a str>,
    listed: BTreeMap<&'a str, Vec<String>>,
}

impl<'a> PackedFiles<'a> {
    /// The files of an archive; none without one.
    pub fn new(archive: Option<&'a Archive<'a>>) -> PackedFiles<'a> {
        let mut packed = PackedFiles::default();
        let Some(archive) = archive else {
            return packed;
        };
        let index = archive
            .file(INDEX)
            .and_then(|bytes| core::str::from_utf8(bytes).ok());
        let Some(index) = index else {
            for name in archive.names() {
                if let Some(bytes) = archive.file(name) {
                    packed.files.insert(name.to_owned(), bytes);
                }
            }
            return packed;
        };
        packed.indexed = true;
        let mut directory = None;
        for line in index.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "file" => {
                    let (name, path) = rest.split_once(' ').unwrap_or((rest, ""));
                    if let Some(bytes) = archive.file(name) {
                        packed.files.insert(path.to_owned(), bytes);
                        packed.paths.insert(name, path);
                    }
                }
                "list" => {
                    let path = rest.split_once(' ').map_or("", |(_, path)| path);
                    packed.listed.entry(path).or_default();
                    directory = Some(path);
                }
                "name" => {
                    let names = directory.and_then(|path| packed.listed.get_mut(path));
                    if let Some(names) = names {
                        names.push(rest.to_owned());
                    }
                }
                _ => {}
            }
        }
        packed
    }

    /// The path of the file in the entry of this name.
    pub fn path_of(&self, name: &str) -> Option<&'a str> {
        self.paths.get(name).copied()
    }

    /// Makes these bytes the file of this path.
    pub fn put(&mut self, path: &str, bytes: &'a [u8]) {
        self.files.insert(path.to_owned(), bytes);
    }
}

impl Files for PackedFiles<'_> {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let bytes = self.files.get(path).or_else(|| match self.indexed {
            true => None,
            false => self.files.get(path.trim_start_matches('/')),
        });
        match bytes {
            Some(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
            None => Err(FileError::new("No such file or directory")),
        }
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        if let Some(names) = self.listed.get(directory) {
            return Ok(names.clone());
        }
        let prefix = format!("{}/", directory.trim_matches('/'));
        let names: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.contains('/'))
            .map(ToOwned::to_owned)
            .collect();
        if self.indexed || names.is_empty() {
            return Err(FileError::new("No such file or directory"));
        }
        Ok(names)
    }
}
