//! Files that live in memory and have a path: nothing is left on disk, however a test ends.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

/// An anonymous file (memfd_create(2)) that child processes open by its path under `/proc`.
pub struct MemoryFile {
    file: File,
}

impl MemoryFile {
    /// A file with these contents.
    pub fn new(contents: impl AsRef<[u8]>) -> MemoryFile {
        let memory = memfd_create("stockade-test", MemfdFlags::CLOEXEC).expect("memory to spare");
        let mut file = File::from(memory);
        file.write_all(contents.as_ref()).expect("memory to spare");
        MemoryFile { file }
    }

    /// Where any process of the same user finds it while this value lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()).into()
    }

    /// What it holds now.
    pub fn contents(&self) -> Vec<u8> {
        fs::read(self.path()).expect("our own file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_through_the_path_is_read_back() {
        let file = MemoryFile::new("first");
        assert_eq!(file.contents(), b"first");
        fs::write(file.path(), "2nd").unwrap();
        assert_eq!(file.contents(), b"2nd");
    }
}
