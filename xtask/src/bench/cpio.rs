//! Writes an initial file system as Linux unpacks it: a cpio archive of format "newc"
//! (Documentation/driver-api/early-userspace/buffer-format.rst of the kernel).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Result;

/// Every header, name and body begins at a multiple of this, in bytes.
const ALIGNMENT: usize = 4;
/// File types, as in a mode (inode(7)).
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
/// The last entry's name.
const END: &[u8] = b"TRAILER!!!";

/// Everything below `folder`, in the order of its names, all of it owned by root and without
/// times: the same bytes for the same files.
pub(super) fn archive(folder: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.add_folder(folder, b"")?;
    Ok(archive.finish())
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add_folder(&mut self, folder: &Path, inside: &[u8]) -> Result<()> {
        let mut entries = fs::read_dir(folder)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        entries.sort_by_key(|entry| entry.file_name());
        for entry in entries {
            let (path, kind) = (entry.path(), entry.file_type()?);
            let mut name = inside.to_vec();
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend_from_slice(entry.file_name().as_bytes());
            if kind.is_symlink() {
                let target = fs::read_link(&path)?;
                self.add(&name, LINK | 0o777, target.as_os_str().as_bytes());
            } else if kind.is_dir() {
                self.add(&name, FOLDER | 0o755, &[]);
                self.add_folder(&path, &name)?;
            } else {
                let mode = entry.metadata()?.permissions().mode() & 0o777;
                self.add(&name, FILE | mode, &fs::read(&path)?);
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &[u8], mode: u32, body: &[u8]) {
        self.entries += 1;
        let links = 1;
        let (owner, group, time, device) = (0, 0, 0, 0);
        let fields = [
            self.entries,
            mode,
            owner,
            group,
            links,
            time,
            body.len() as u32,
            device,
            device,
            device,
            device,
            name.len() as u32 + 1,
            // The checksum, which this format leaves out.
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(body);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(length, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add(END, 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_ended() {
        let mut archive = Archive::default();
        archive.add(b"a", FILE | 0o644, b"hello");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        // Magic number, then inode, mode, owner, group, links, time and size.
        let head = "0707010000000100008" // mode 0100644 is 0x81a4
            .to_owned()
            + "1a40000000000000000000000010000000000000005";
        assert!(text.starts_with(&head), "{text}");
        let body = 110 + 2;
        assert_eq!(&bytes[110..body], b"a\0");
        assert_eq!(&bytes[body..body + 8], b"hello\0\0\0");
        assert_eq!(&bytes[body + 8..body + 14], b"070701");
        assert!(text.contains("TRAILER!!!"));
        assert_eq!(bytes.len() % ALIGNMENT, 0);
    }
}
