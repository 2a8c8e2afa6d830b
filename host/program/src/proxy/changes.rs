//! Whether files have changed, by their looks: what renews certificates replaces them without a word.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Files, and how they looked.
pub(super) struct Changes {
    files: Vec<PathBuf>,
    seen: Vec<Option<Looks>>,
}

/// A file's identity, its length and its last change.
type Looks = (u64, u64, u64, i64, i64);

impl Changes {
    /// Looks at them for the first time.
    pub(super) fn of(files: Vec<PathBuf>) -> Changes {
        let seen = look(&files);
        Changes { files, seen }
    }

    /// Whether one of them looks other than before. What is not there has not changed: it may be in the
    /// middle of being replaced.
    pub(super) fn are_there(&mut self) -> bool {
        let now = look(&self.files);
        if now == self.seen || now.contains(&None) {
            return false;
        }
        self.seen = now;
        true
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<Looks>> {
    let looks = |path: &PathBuf| {
        let found = fs::metadata(path).ok()?;
        let changed = (found.mtime(), found.mtime_nsec());
        Some((found.dev(), found.ino(), found.len(), changed.0, changed.1))
    };
    files.iter().map(looks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_has_changed_once() {
        let name = format!("stockade-changes-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("cert.pem");
        fs::write(&file, "one").unwrap();
        let mut changes = Changes::of(vec![file.clone()]);
        assert!(!changes.are_there());
        fs::write(folder.join("new"), "three").unwrap();
        fs::remove_file(&file).unwrap();
        assert!(!changes.are_there());
        fs::rename(folder.join("new"), &file).unwrap();
        assert!(changes.are_there());
        assert!(!changes.are_there());
        fs::remove_dir_all(&folder).unwrap();
    }
}
