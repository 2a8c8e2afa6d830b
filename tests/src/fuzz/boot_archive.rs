//! The boot archive.

use stockade_config::Settings;
use stockade_config::archive::{Archive, Builder, check_name};

/// Bytes of a ustar block; the header is one.
const BLOCK: usize = 512;
/// Most headers whose checksums are made right: the format allows 256 entries.
const HEADERS_MOST: usize = 300;

/// Opens `bytes` as they are, and again with right checksums in its headers, so that the rest of a
/// header is reached.
///
/// Checked: a refusal says something; what was read can be written and reads the same.
pub fn boot_archive(bytes: &[u8]) {
    open(bytes);
    open(&with_checksums(bytes));
}

fn open(bytes: &[u8]) {
    if let Err(error) = Settings::read(b"--cert=file:cert.pem --key=file:key.pem", Some(bytes)) {
        assert!(!error.to_string().is_empty());
    }
    let Ok(archive) = Archive::open(bytes) else {
        return;
    };
    let line = archive.command_line();
    let mut builder = Builder::new();
    if let Some(Ok(line)) = line.map(std::str::from_utf8) {
        builder.command_line(line).expect("the only one");
    }
    for name in archive.names() {
        check_name(name).expect("an option can name every file");
        let file = archive.file(name).expect("a name leads to its file");
        builder
            .file(name, file)
            .expect("what is read can be written");
    }
    let written = builder.finish();
    let again = Archive::open(&written).expect("what was written can be read");
    assert!(archive.names().eq(again.names()));
    for name in archive.names() {
        assert_eq!(archive.file(name), again.file(name));
    }
    if line.is_some_and(|line| std::str::from_utf8(line).is_ok()) {
        assert_eq!(line, again.command_line());
    }
}

/// Walks from header to header, as far as their sizes lead, and puts each one's checksum right
/// (POSIX.1-2017, *pax*, "ustar Interchange Format": the sum of the header's bytes, its own field
/// taken as blanks).
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    for _ in 0..HEADERS_MOST {
        let Some(header) = bytes.get_mut(at..at + BLOCK) else {
            break;
        };
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = header[124..136].iter().take_while(|d| d.is_ascii_digit());
        let size = digits.fold(0usize, |size, digit| {
            size.saturating_mul(8) + usize::from(digit & 7)
        });
        let blocks = size.min(bytes.len()).div_ceil(BLOCK);
        at += (1 + blocks) * BLOCK;
    }
    bytes
}
