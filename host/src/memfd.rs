//! Files that live in memory alone and end with the processes that hold them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Puts bytes into an anonymous file that nobody can change any more (memfd_create(2)).
///
/// # Errors
///
/// The system has no memory or no descriptor for it.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

/// The path under which a child that inherits the descriptor opens it.
pub fn path(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_reads_back_and_refuses_writes() {
        let file = sealed("test", b"some bytes").unwrap();
        assert_eq!(std::fs::read(path(&file)).unwrap(), b"some bytes");
        assert!(File::from(file).write_all(b"x").is_err());
    }
}
