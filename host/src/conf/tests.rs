//! Configurations on this host: what is published, packed, converted and told.

use std::fs;
use std::path::PathBuf;

mod keys;
mod output;
mod packed;
mod publish;
mod report;

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Folder {
        let name = format!("stockade-conf-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.0.join(name), bytes).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
