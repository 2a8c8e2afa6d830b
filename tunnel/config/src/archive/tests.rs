//! Vectors: archives of our own, archives that GNU tar 1.34 made, and damaged ones.

use alloc::string::ToString;
use alloc::vec;

use super::*;

/// `tar --format=ustar -b 1 -cf … stockade-manifest command-line cert.pem key.pem empty deep/er/file`
const USTAR: &[u8] = include_bytes!("fixtures/gnu-tar-ustar.tar");
/// `tar --format=gnu -b 1 -cf … ./stockade-manifest ./cert.pem ./key.pem`
const GNU: &[u8] = include_bytes!("fixtures/gnu-tar-gnu.tar");
/// `tar --format=pax --pax-option=… -b 1 -cf … stockade-manifest cert.pem`
const PAX: &[u8] = include_bytes!("fixtures/gnu-tar-pax.tar");
/// `tar --format=ustar -b 1 -cf … stockade-manifest deep`
const DIRECTORY: &[u8] = include_bytes!("fixtures/gnu-tar-directory.tar");

/// Asserts that the archive is refused with this message.
fn check(bytes: &[u8], message: &str) {
    match Archive::open(bytes) {
        Ok(_) => panic!("expected: {message}"),
        Err(error) => assert_eq!(error.to_string(), message),
    }
}

fn sample() -> Zeroizing<Vec<u8>> {
    let mut builder = Builder::new();
    builder.command_line("--log=debug").unwrap();
    builder.file("cert.pem", b"certificate").unwrap();
    builder.file("key.pem", &[b'k'; 512]).unwrap();
    builder.finish()
}

/// One entry with this header, changed by `change` before its checksum is made anew.
fn with_header(bytes: &[u8], offset: usize, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let header = &mut bytes[offset..offset + 512];
    change(header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(alloc::format!("{sum:06o}\0 ").as_bytes());
    bytes
}

fn with_manifest(text: &str) -> Zeroizing<Vec<u8>> {
    ustar::write(&[(MANIFEST, text.as_bytes())])
}

#[test]
fn what_the_builder_writes_is_read_back() {
    let bytes = sample();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.created_by(), Some(crate::VERSION));
    assert_eq!(archive.command_line(), Some(&b"--log=debug"[..]));
    assert_eq!(archive.names().collect::<Vec<_>>(), ["cert.pem", "key.pem"]);
    assert_eq!(archive.file("cert.pem"), Some(&b"certificate"[..]));
    assert_eq!(archive.file("key.pem"), Some(&[b'k'; 512][..]));
    assert_eq!(archive.file("other"), None);
    assert_eq!(archive.file(MANIFEST), None);
    assert_eq!(archive.file(COMMAND_LINE), None);
}

#[test]
fn the_builder_allocates_exactly_once() {
    let bytes = sample();
    assert_eq!(bytes.len() % 512, 0);
    assert_eq!(bytes.capacity(), bytes.len());
}

#[test]
fn headers_are_what_posix_says() {
    let bytes = sample();
    let header = &bytes[..512];
    assert_eq!(&header[..18], b"stockade-manifest\0");
    assert_eq!(&header[100..108], b"0000600\0");
    assert_eq!(header[156], b'0');
    assert_eq!(&header[257..265], b"ustar\x0000");
    let size = alloc::format!("{:011o}\0", 41 + crate::VERSION.len() - 5);
    assert_eq!(&header[124..136], size.as_bytes());
}

#[test]
fn an_archive_without_files_is_read_back() {
    let bytes = Builder::new().finish();
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.names().count(), 0);
    assert_eq!(archive.command_line(), None);
}

#[test]
fn gnu_tar_s_ustar_is_read() {
    let archive = Archive::open(USTAR).unwrap();
    assert_eq!(archive.created_by(), Some("0.1.0"));
    assert_eq!(
        archive.command_line(),
        Some(&b"--log=debug --connect 10.0.2.2:8080\n"[..])
    );
    let names: Vec<_> = archive.names().collect();
    assert_eq!(names, ["cert.pem", "key.pem", "empty", "deep/er/file"]);
    assert_eq!(archive.file("key.pem"), Some(&[b'k'; 1300][..]));
    assert_eq!(archive.file("empty"), Some(&b""[..]));
    assert_eq!(archive.file("deep/er/file"), Some(&b"hello\n"[..]));
}

#[test]
fn gnu_tar_s_own_format_is_read_and_dot_slash_dropped() {
    let archive = Archive::open(GNU).unwrap();
    let names: Vec<_> = archive.names().collect();
    assert_eq!(names, ["cert.pem", "key.pem"]);
}

#[test]
fn a_prefix_belongs_to_the_name() {
    let bytes = with_header(&sample(), 2048, |header| {
        assert_eq!(&header[..9], b"cert.pem\0");
        header[345..348].copy_from_slice(b"a/b");
    });
    let archive = Archive::open(&bytes).unwrap();
    assert_eq!(archive.file("a/b/cert.pem"), Some(&b"certificate"[..]));
}

#[test]
fn leading_dots_are_dropped_however_many() {
    for name in ["./cert.pem", "././cert.pem", "./././cert.pem"] {
        let bytes = with_header(&sample(), 2048, |header| {
            header[..name.len()].copy_from_slice(name.as_bytes());
        });
        let archive = Archive::open(&bytes).unwrap();
        assert!(archive.file("cert.pem").is_some(), "{name}");
    }
}

#[test]
fn other_entries_than_files_are_refused() {
    check(
        PAX,
        "\"PaxHeaders/stockade-manifest\" is a pax extension (use tar --format=ustar); \
         only regular files can be in it",
    );
    check(
        DIRECTORY,
        "\"deep/\" is a directory; only regular files can be in it",
    );
    for (kind, words) in [
        (b'1', "a hard link"),
        (b'2', "a symbolic link"),
        (b'3', "a device"),
        (b'4', "a device"),
        (b'6', "a FIFO"),
        (b'L', "a GNU extension (use tar --format=ustar)"),
        (b'Z', "of an unknown type"),
    ] {
        let bytes = with_header(&sample(), 2048, |header| header[156] = kind);
        check(
            &bytes,
            &alloc::format!("\"cert.pem\" is {words}; only regular files can be in it"),
        );
    }
}

#[test]
fn another_version_is_named_with_ours() {
    let ours = crate::VERSION;
    check(
        &with_manifest("stockade-boot-archive 2\ncreated-by 9.8.7\nnew-key x\n"),
        &alloc::format!(
            "the host made format 2 (Stockade 9.8.7), this image reads format 1 (Stockade {ours}); \
             use an image and a host of the same version"
        ),
    );
    check(
        &with_manifest("stockade-boot-archive 0"),
        &alloc::format!(
            "the host made format 0, this image reads format 1 (Stockade {ours}); \
             use an image and a host of the same version"
        ),
    );
}

#[test]
fn a_missing_manifest_is_named_with_our_version() {
    let ours = crate::VERSION;
    let bytes = ustar::write(&[("cert.pem", b"x"), (MANIFEST, b"stockade-boot-archive 1\n")]);
    check(
        &bytes,
        &alloc::format!(
            "it begins with \"cert.pem\", not with stockade-manifest: the host made an unknown \
             format, this image reads format 1 (Stockade {ours})"
        ),
    );
    check(
        &ustar::write(&[]),
        &alloc::format!(
            "it is empty, without stockade-manifest: the host made an unknown format, \
             this image reads format 1 (Stockade {ours})"
        ),
    );
}

#[test]
fn a_newer_manifest_is_told_before_what_follows_it() {
    let mut bytes = with_manifest("stockade-boot-archive 7\n").to_vec();
    bytes.truncate(1024);
    let error = Archive::open(&bytes).map(|_| ()).unwrap_err();
    assert!(matches!(error, ArchiveError::Version { archive: 7, .. }));
}

#[test]
fn manifests_are_checked() {
    let first_line = "stockade-manifest does not begin with \"stockade-boot-archive VERSION\"; \
                      this image reads format 1";
    for text in [
        "",
        "\n",
        "stockade-boot-archive",
        "stockade-boot-archive ",
        "stockade-boot-archive  1",
        "stockade-boot-archive +1",
        "stockade-boot-archive -1",
        "stockade-boot-archive 1 ",
        "stockade-boot-archive 99999999999",
        "stockade-boot-archive1",
        "created-by 0.1.0\nstockade-boot-archive 1",
    ] {
        check(&with_manifest(text), first_line);
    }
    check(
        &ustar::write(&[(MANIFEST, b"stockade-boot-archive 1\n\xff")]),
        "stockade-manifest is not UTF-8 text",
    );
    check(
        &with_manifest(&"x".repeat(4097)),
        "stockade-manifest is longer than 4096 bytes",
    );
}

#[test]
fn a_strange_maker_is_not_repeated() {
    for maker in ["", "two words", "\u{1b}[31m", &"9".repeat(33)] {
        let bytes = with_manifest(&alloc::format!(
            "stockade-boot-archive 1\ncreated-by {maker}\n"
        ));
        assert_eq!(Archive::open(&bytes).unwrap().created_by(), None);
    }
}

#[test]
fn duplicates_are_refused() {
    let manifest: (&str, &[u8]) = (MANIFEST, b"stockade-boot-archive 1\n");
    for name in ["cert.pem", COMMAND_LINE] {
        check(
            &ustar::write(&[manifest, (name, b"x"), ("key.pem", b""), (name, b"x")]),
            &alloc::format!("there are two entries named {name:?}"),
        );
    }
    check(
        &ustar::write(&[manifest, manifest]),
        "there are two entries named \"stockade-manifest\"",
    );
}

#[test]
fn damaged_headers_are_refused() {
    let bytes = sample();
    check(
        b"070701this is cpio",
        "it ends at byte 18, before its closing blocks",
    );
    check(
        &[0x1f; 2048],
        "no ustar header at byte 0; make it with tar --format=ustar and leave it uncompressed",
    );
    let mut flipped = bytes.to_vec();
    flipped[2048] ^= 1;
    check(
        &flipped,
        "the header at byte 2048 does not match its checksum: it is damaged",
    );
    for size in [
        *b"99999999999\0",
        *b"-0000000001\0",
        *b"\0\0\0\0\0\0\0\0\0\0\0\0",
        *b"0000 000001\0",
        *b"\x80\0\0\0\0\0\0\0\0\0\0\x01",
    ] {
        check(
            &with_header(&bytes, 2048, |header| {
                header[124..136].copy_from_slice(&size)
            }),
            "the header at byte 2048 has no octal number as its size",
        );
    }
    let mut no_sum = bytes.to_vec();
    no_sum[2048 + 148..2048 + 156].fill(b'x');
    check(
        &no_sum,
        "the header at byte 2048 has no octal number as its checksum",
    );
}

#[test]
fn a_size_beyond_the_end_is_refused() {
    let bytes = sample();
    for size in [*b"77777777777\0", *b"777777777777", *b"00000004001\0"] {
        check(
            &with_header(&bytes, 2048, |header| {
                header[124..136].copy_from_slice(&size)
            }),
            &alloc::format!("it ends at byte {}, before its closing blocks", bytes.len()),
        );
    }
}

#[test]
fn bad_names_are_refused_by_reader_and_builder() {
    let long = "n".repeat(101);
    for (name, words) in [
        ("", "is empty"),
        (
            "a b",
            "has a character that is not printable ASCII, or a blank",
        ),
        (
            "schl\u{fc}ssel",
            "has a character that is not printable ASCII, or a blank",
        ),
        ("/etc/key", "begins or ends with a slash"),
        ("folder/", "begins or ends with a slash"),
        (&long, "is longer than 100 bytes"),
        (
            "command-line",
            "is reserved, as are stockade-manifest and command-line",
        ),
        (
            "stockade-manifest",
            "is reserved, as are stockade-manifest and command-line",
        ),
    ] {
        let mut builder = Builder::new();
        let error = builder.file(name, b"").map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            alloc::format!("the name {name:?} {words}")
        );
    }
    let bytes = with_header(&sample(), 2048, |header| {
        header[..3].copy_from_slice(b"a b")
    });
    check(
        &bytes,
        "the name \"a bt.pem\" has a character that is not printable ASCII, or a blank",
    );
    let bytes = with_header(&sample(), 2048, |header| header[0] = 0xff);
    check(
        &bytes,
        "the name \"\" has a character that is not printable ASCII, or a blank",
    );
    let bytes = with_header(&sample(), 2048, |header| {
        header[345..500].fill(b'p');
    });
    assert!(matches!(
        Archive::open(&bytes).map(|_| ()),
        Err(ArchiveError::Name {
            error: NameError::TooLong,
            ..
        })
    ));
}

#[test]
fn the_builder_refuses_what_the_reader_would() {
    let mut builder = Builder::new();
    builder.file("key.pem", b"1").unwrap();
    assert_eq!(
        builder.file("key.pem", b"2").map(|_| ()),
        Err(ArchiveError::Duplicate {
            name: "key.pem".into()
        })
    );
    builder.command_line("--log=info").unwrap();
    assert!(builder.command_line("--log=info").is_err());
}

#[test]
fn the_number_of_files_is_bounded_on_both_sides() {
    let mut builder = Builder::new();
    for number in 0..MAX_ENTRIES {
        builder.file(&number.to_string(), b"").unwrap();
    }
    assert_eq!(
        builder.file("more", b"").map(|_| ()),
        Err(ArchiveError::TooManyEntries)
    );
    assert!(Archive::open(&builder.finish()).is_ok());

    let names: Vec<_> = (0..=MAX_ENTRIES).map(|number| number.to_string()).collect();
    let mut entries: Vec<(&str, &[u8])> = vec![(MANIFEST, b"stockade-boot-archive 1\n")];
    entries.extend(names.iter().map(|name| (name.as_str(), &b""[..])));
    check(&ustar::write(&entries), "there are more than 1024 files");
}

#[test]
fn data_behind_the_end_is_refused_and_zeros_are_not() {
    let mut bytes = sample().to_vec();
    bytes.extend([0; 700]);
    assert!(Archive::open(&bytes).is_ok());
    let length = bytes.len();
    bytes[length - 1] = 1;
    check(
        &bytes,
        &alloc::format!("data follows its closing blocks at byte {}", length - 1),
    );
}

#[test]
fn an_archive_cut_at_any_byte_is_refused() {
    for bytes in [&sample()[..], USTAR] {
        let whole = bytes.len() - bytes.iter().rev().take_while(|&&byte| byte == 0).count();
        // GNU tar fills up its last record; two closing blocks are what must be there.
        let end = whole.div_ceil(512) * 512 + 1024;
        assert!(Archive::open(&bytes[..end]).is_ok());
        for cut in 0..end {
            assert_eq!(
                Archive::open(&bytes[..cut]).map(|_| ()),
                Err(ArchiveError::Truncated { length: cut }),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn mutations_never_panic() {
    // A multiplicative generator (Knuth, MMIX) is random enough to spread the changes.
    let mut state = 0x5eed_u64;
    let mut next = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let seeds = [
        sample().to_vec(),
        USTAR.to_vec(),
        GNU.to_vec(),
        PAX.to_vec(),
    ];
    let mut refused = 0;
    for round in 0..4000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            bytes[at] = next(256) as u8;
        }
        // Half of them with sums made good, so that what follows the sum is reached.
        if next(2) == 0 {
            let at = next(bytes.len() / 512 - 1) * 512;
            let place = at + next(512);
            let value = next(256) as u8;
            bytes = with_header(&bytes, at, |header| header[place - at] = value);
        }
        if let Ok(archive) = Archive::open(&bytes) {
            assert!(archive.names().all(|name| archive.file(name).is_some()));
        } else {
            refused += 1;
        }
    }
    assert!(refused > 1000, "mutations hit something: {refused}");
}
