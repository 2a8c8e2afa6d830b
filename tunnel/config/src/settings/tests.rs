//! Command line and boot archive together.

use alloc::format;
use alloc::string::ToString;

use super::*;
use crate::archive::Builder;

mod hosting;

/// An archive with these files and, unless it is empty, this second half of a command line.
fn archive(line: &'static str, files: &[(&str, &'static [u8])]) -> Zeroizing<Vec<u8>> {
    let mut builder = Builder::new();
    if !line.is_empty() {
        builder.command_line(line).unwrap();
    }
    for (name, bytes) in files {
        builder.file(name, bytes).unwrap();
    }
    builder.finish()
}

/// Asserts the message of what can't be read.
fn check(append: &str, initrd: Option<&[u8]>, message: &str) {
    match Settings::read(append.as_bytes(), initrd) {
        Ok(settings) => panic!("{settings:?}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

#[test]
fn files_come_from_the_archive() {
    let bytes = archive("", &[("c.pem", b"chain"), ("k.pem", b"secret")]);
    let settings = Settings::read(
        b"--cert=file:c.pem --key=file:k.pem --log=warn",
        Some(&bytes),
    )
    .unwrap();
    let Services::Single { certificate, key } = settings.services else {
        panic!("no --conf was given");
    };
    assert_eq!(&certificate[..], b"chain");
    assert_eq!(&key[..], b"secret");
    assert_eq!(settings.config.log, log::LevelFilter::Warn);
}

#[test]
fn the_archive_completes_the_command_line() {
    let bytes = archive(
        "--cert=file:c.pem --key=file:k.pem --accept 8443\n",
        &[("c.pem", b"chain"), ("k.pem", b"secret")],
    );
    let settings = Settings::read(b"--log=warn", Some(&bytes)).unwrap();
    assert_eq!(settings.config.accept.port, 8443);
    assert_eq!(settings.config.log, log::LevelFilter::Warn);
}

#[test]
fn positions_count_on_through_the_second_half() {
    let bytes = archive("--log=info --crypto=x", &[("c", b""), ("k", b"")]);
    check(
        "--cert=file:c --key=file:k --log=warn",
        Some(&bytes),
        "--log (word 4, column 39): given before (word 3, column 28); expected once\n\
         --crypto (word 5, column 50): expected ring|rustcrypto, found \"x\"",
    );
}

#[test]
fn missing_files_are_named_with_those_that_are_there() {
    let line = "--cert=file:cert.pem --key=file:key.pem";
    check(
        line,
        None,
        "--cert: file:cert.pem needs a boot archive, and the machine was given none (-initrd)\n\
         --key: file:key.pem needs a boot archive, and the machine was given none (-initrd)",
    );
    check(
        line,
        Some(&archive("", &[])),
        "--cert: file:cert.pem is not in the boot archive, which holds no files\n\
         --key: file:key.pem is not in the boot archive, which holds no files",
    );
    check(
        line,
        Some(&archive("", &[("cert.pem", b""), ("other.pem", b"")])),
        "--key: file:key.pem is not in the boot archive, which holds cert.pem, other.pem",
    );
}

#[test]
fn a_bad_archive_is_told_before_anything_else() {
    check(
        "--nope",
        Some(b"garbage"),
        "boot archive: it ends at byte 7, before its closing blocks",
    );
}

#[test]
fn debug_shows_no_byte_of_a_file() {
    let bytes = archive("", &[("c", b"chain"), ("k", b"secret")]);
    let settings = Settings::read(b"--cert=file:c --key=file:k", Some(&bytes)).unwrap();
    let shown = format!("{settings:?}");
    assert!(shown.contains("key: 6 bytes"), "{shown}");
    assert!(
        !shown.contains("secret") && !shown.contains("115, 101"),
        "{shown}"
    );
}
