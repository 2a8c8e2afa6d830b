//! Builds the image a second time, elsewhere, and compares.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

use super::place::Place;
use super::{Image, build_at};
use crate::{Result, process};

/// Where the second build happens: below the checkout, so that no small or no-exec temporary
/// folder is in the way, and with what paths may hold.
const FOLDER: &str = "target/image again";

/// How many bytes of a difference are shown.
const EXCERPT: usize = 64;

/// Builds a copy of the checkout in another folder, with another `CARGO_HOME`, and compares it
/// with `first`, byte by byte.
///
/// # Errors
///
/// Says in what the two differ.
pub(super) fn verify(root: &Path, first: &Image, debug: bool) -> Result<()> {
    let folder = root.join(FOLDER);
    remove(&folder)?;
    let checkout = folder.join("in another folder").join("checkout");
    copy_checkout(root, &checkout)?;
    let home = folder.join("cargo");
    link_cargo_home(&cargo_home()?, &home)?;

    eprintln!("Building it again in {} ...", checkout.display());
    let target_dir = folder.join("build");
    let place = Place::new(&checkout, target_dir, Some(home))?;
    let second = build_at(&place, debug)?;

    let mut differences = Vec::new();
    for (ours, theirs) in first.files().into_iter().zip(second.files()) {
        let (before, after) = (fs::read(ours)?, fs::read(theirs)?);
        if before != after {
            differences.push(format!("{} and {}:", ours.display(), theirs.display()));
            differences.extend(compare(&before, &after));
        }
    }
    if differences.is_empty() {
        remove(&folder)?;
        println!("reproducible: the same image from another folder and another CARGO_HOME");
        return Ok(());
    }
    let mut message = "the image depends on where it is built:".to_owned();
    for line in differences {
        message += "\n  ";
        message += &line;
    }
    if changed(root, &checkout)? {
        message += "\nThe checkout has changed in the meantime: try again.";
    }
    Err(message.into())
}

/// Copies what git tracks, and new files that it does not ignore.
fn copy_checkout(root: &Path, to: &Path) -> Result<()> {
    for path in files(root)? {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().ok_or("a file has no folder")?)?;
        match fs::copy(root.join(&path), &target) {
            Err(error) if error.kind() == ErrorKind::NotFound => {} // Deleted, not committed yet.
            other => {
                other.map_err(|error| format!("{path}: {error}"))?;
            }
        }
    }
    Ok(())
}

/// Whether a file of the checkout is no longer what was copied.
fn changed(root: &Path, copy: &Path) -> Result<bool> {
    Ok(files(root)?
        .iter()
        .any(|path| fs::read(root.join(path)).ok() != fs::read(copy.join(path)).ok()))
}

/// The checkout's files, relative to it.
fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = process::output(git.current_dir(root))?;
    Ok(list.split_terminator('\0').map(str::to_owned).collect())
}

/// Makes a home for cargo that has what `from` downloaded, but unpacks it itself. The
/// configuration is linked, not copied: it may name a mirror, and hold a secret.
fn link_cargo_home(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.join("registry"))?;
    for name in ["registry/index", "registry/cache", "config.toml", "config"] {
        let source = from.join(name);
        if source.exists() {
            symlink(fs::canonicalize(source)?, to.join(name))?;
        }
    }
    Ok(())
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = env::home_dir().ok_or("neither CARGO_HOME nor HOME is set")?;
    Ok(home.join(".cargo"))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()).into())
        }
        _ => Ok(()),
    }
}

/// Where two files differ, one line each: by section if both are ELF files, else as a whole.
fn compare(before: &[u8], after: &[u8]) -> Vec<String> {
    let (Some(old), Some(new)) = (sections(before), sections(after)) else {
        return difference("the file", before, after).into_iter().collect();
    };
    let mut lines = Vec::new();
    for (name, old) in &old {
        match new.iter().find(|(other, _)| other == name) {
            None => lines.push(format!("{name} is in the first alone")),
            Some((_, new)) => lines.extend(difference(name, old, new)),
        }
    }
    for (name, _) in &new {
        if !old.iter().any(|(other, _)| other == name) {
            lines.push(format!("{name} is in the second alone"));
        }
    }
    if lines.is_empty() {
        // The headers, or what lies between sections.
        lines.extend(difference("the file", before, after));
    }
    lines
}

/// The sections of an ELF file; `None` for another file.
fn sections(file: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let elf = ElfFile64::<object::Endianness>::parse(file).ok()?;
    elf.sections()
        .map(|section| {
            Some((
                section.name().ok()?.to_owned(),
                section.data().ok()?.to_vec(),
            ))
        })
        .collect()
}

fn difference(name: &str, before: &[u8], after: &[u8]) -> Option<String> {
    let at = before.iter().zip(after).position(|(a, b)| a != b);
    let at = at.or((before.len() != after.len()).then_some(before.len().min(after.len())))?;
    // From a little before, for what it is about.
    let from = at.saturating_sub(EXCERPT / 2);
    let excerpt = |bytes: &[u8]| {
        let end = bytes.len().min(from + EXCERPT);
        bytes[from.min(end)..end].escape_ascii().to_string()
    };
    let lengths = match (before.len(), after.len()) {
        (old, new) if old == new => String::new(),
        (old, new) => format!(" ({old} and {new} bytes long)"),
    };
    Some(format!(
        "{name} differs from byte {at:#x} on{lengths}: \"{}\" and \"{}\"",
        excerpt(before),
        excerpt(after)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_its_place_and_shows_both_sides() {
        let (old, new) = (b"from /folder/a/x.rs".as_slice(), b"from /folder/b/x.rs");
        assert_eq!(
            difference(".rodata", old, new).unwrap(),
            ".rodata differs from byte 0xd on: \"from /folder/a/x.rs\" and \"from /folder/b/x.rs\""
        );
        assert_eq!(difference(".rodata", old, old), None);
    }

    #[test]
    fn a_longer_file_differs_where_the_shorter_one_ends() {
        let text = difference("the file", b"abc", b"ab").unwrap();
        assert!(text.starts_with("the file differs from byte 0x2 on (3 and 2 bytes long)"));
        assert!(difference("the file", b"", b"").is_none());
        assert!(difference("the file", b"", b"a").is_some());
    }

    #[test]
    fn an_elf_file_is_compared_by_section() {
        // This test's own program, and a copy with a byte of its code changed.
        let before = fs::read(env::current_exe().unwrap()).unwrap();
        let elf = ElfFile64::<object::Endianness>::parse(&*before).unwrap();
        let text = elf.section_by_name(".text").unwrap();
        let at = text.file_range().unwrap().0 as usize + 0x123;
        let mut after = before.clone();
        after[at] ^= 1;
        let lines = compare(&before, &after);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(".text differs from byte 0x123 on: "));
        assert!(compare(&before, &before).is_empty());
    }

    #[test]
    fn another_cargo_home_has_the_downloads_and_nothing_unpacked() {
        let folder = env::temp_dir().join(format!("xtask-cargo-home-{}", std::process::id()));
        let (from, to) = (folder.join("from"), folder.join("to"));
        for name in ["registry/index", "registry/cache", "registry/src", "bin"] {
            fs::create_dir_all(from.join(name)).unwrap();
        }
        fs::write(from.join("registry/cache/a.crate"), "a").unwrap();
        fs::write(from.join("credentials.toml"), "secret").unwrap();
        link_cargo_home(&from, &to).unwrap();
        let cached = fs::read(to.join("registry/cache/a.crate"));
        let there = ["registry/src", "bin", "credentials.toml", "config.toml"]
            .map(|name| to.join(name).exists());
        remove(&folder).unwrap();
        assert_eq!(cached.unwrap(), b"a");
        assert_eq!(there, [false; 4]);
    }
}
