//! A folder of its own for one test's configuration, certificates and keys.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process;

/// A new folder below the system's temporary one, removed when dropped.
///
/// Files on disk, because a stunnel configuration names files by their paths, and its `CApath` and
/// `include` name folders.
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// An empty folder that only this user may enter.
    pub fn create() -> Files {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("stockade-stunnel-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Files { folder }
    }

    /// Writes a file, and the folders above it; gives its path.
    pub fn add(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        let folder = path.parent().expect("it is below a folder");
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        fs::write(&path, contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text(&path)
    }

    /// Gives the certificates and lists of a folder the names that OpenSSL looks for
    /// (openssl-rehash(1)).
    pub fn rehash(&self, folder: &str) {
        let mut command = Command::new("openssl");
        process::must(command.args(["rehash", &self.path(folder)]));
    }

    /// The path of the file `name`, there or not.
    pub fn path(&self, name: &str) -> String {
        text(&self.folder.join(name))
    }

    /// The folder itself.
    pub fn folder(&self) -> String {
        text(&self.folder)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("our own names are UTF-8").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_value() {
        let files = Files::create();
        let path = files.add("below/it.pem", "text");
        assert_eq!(fs::read(&path).unwrap(), b"text");
        drop(files);
        assert!(!Path::new(&path).exists());
    }
}
