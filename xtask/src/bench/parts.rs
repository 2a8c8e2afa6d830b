//! What the bytes that are booted are made of.

use std::fs;
use std::path::Path;

use crate::Result;

/// How the line with the file's own size begins in `cargo xtask image`'s table.
const FILE: &str = "image file";
/// How the line with the sums begins.
const SUM: &str = "all";
/// What of the file is no part's: ELF headers, notes, padding.
const REST: &str = "headers, padding";

/// One part of what is booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    /// Bytes in the file.
    pub(super) bytes: u64,
}

/// The image's parts, from `cargo xtask image`'s table, largest first.
pub(super) fn of_image(table: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut file = None;
    for line in table.lines() {
        if let Some(rest) = line.strip_prefix(FILE) {
            file = rest.split_ascii_whitespace().next();
        } else if let Some((name, [code, data, _])) = row(line)
            && name != SUM
            && code + data > 0
        {
            parts.push(Part {
                name: name.to_owned(),
                bytes: code + data,
            });
        }
    }
    let file: u64 = file
        .and_then(|word| word.parse().ok())
        .ok_or("`cargo xtask image` did not print the image's size")?;
    let named: u64 = parts.iter().map(|part| part.bytes).sum();
    if let Some(bytes) = file.checked_sub(named).filter(|bytes| *bytes > 0) {
        parts.push(Part {
            name: REST.to_owned(),
            bytes,
        });
    }
    parts.sort_by_key(|part| u64::MAX - part.bytes);
    Ok(parts)
}

/// A name and the three numbers behind it.
fn row(line: &str) -> Option<(&str, [u64; 3])> {
    let mut rest = line;
    let mut numbers = [0; 3];
    for number in numbers.iter_mut().rev() {
        let (front, word) = rest.trim_end().rsplit_once(' ')?;
        *number = word.parse().ok()?;
        rest = front;
    }
    Some((rest.trim(), numbers))
}

/// A Linux guest's parts, as they are in its folder.
pub(super) fn of_guest(folder: &Path) -> Result<Vec<Part>> {
    let size = |name: &str, file: &str| -> Result<Part> {
        Ok(Part {
            name: name.to_owned(),
            bytes: fs::metadata(folder.join(file))?.len(),
        })
    };
    Ok(vec![
        size("initial file system", "initrd.gz")?,
        size("kernel", "vmlinuz")?,
    ])
}

/// All parts together, in bytes.
pub(super) fn total(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_from_the_image_s_table() {
        let table = "\
part                             code       data     zeroed
boot                              100         20          0
ring (Rust, C, assembly)         1000        200          8
nothing                             0          0       4096
all                              1100        220       4104
image file                       1500 bytes
SHA-256  0123
";
        let parts = of_image(table).unwrap();
        let shown: Vec<_> = parts
            .iter()
            .map(|part| (part.name.as_str(), part.bytes))
            .collect();
        assert_eq!(
            shown,
            [
                ("ring (Rust, C, assembly)", 1200),
                ("headers, padding", 180),
                ("boot", 120),
            ]
        );
        assert_eq!(total(&parts), 1500);
        assert!(of_image("").is_err());
    }
}
