//! `cargo xtask install`: puts what `cargo xtask dist` builds where programs look for it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::Arg::{Long, Short};

use crate::dist::{self, Piece};
use crate::{Result, packages, process};

const HELP: &str = "\
Builds what `cargo xtask dist` builds and installs it: the program `stockade`, its manual page,
completions for bash, zsh and fish, and the unit template stockade@.service. Says what went where;
what is there already and the same is left alone. The list of what was installed is kept as
PREFIX/share/stockade/installed.

Usage: cargo xtask install [OPTIONS]

Options:
      --prefix DIR   Where it belongs; /usr/local takes root, ~/.local does not [/usr/local]
      --destdir DIR  Put all of it below this folder instead of /, for packages
      --no-install   Refuse to install a missing linker, and say which command would
  -h, --help         Show this text
";

/// Where things are installed, unless told otherwise.
const PREFIX: &str = "/usr/local";

/// The list of what was installed, below the prefix.
const LIST: &str = "share/stockade/installed";

/// What the unit template calls the program.
const UNIT_PROGRAM: &str = "/usr/local/bin/stockade";

/// Folders whose units systemd reads (systemd.unit(5)), as prefixes.
const SYSTEMD_PREFIXES: [&str; 3] = ["/usr/local", "/usr", "/"];

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut prefix, mut destdir, mut install) = (PathBuf::from(PREFIX), None, true);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("prefix") => prefix = PathBuf::from(parser.value()?),
            Long("destdir") => destdir = Some(PathBuf::from(parser.value()?)),
            Long("no-install") => install = false,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    // cargo sets the working directory to where the user stands, so that relative paths are theirs.
    let prefix = std::path::absolute(prefix)?;
    let place = match destdir {
        Some(destdir) => std::path::absolute(destdir)?.join(prefix.strip_prefix("/")?),
        None => prefix.clone(),
    };
    // What can be refused at once is refused before minutes of building.
    check_writable(&place, &prefix)?;
    packages::require(packages::BUILD, install)?;
    let pieces = dist::build(root)?;
    println!();
    let mut list = String::new();
    for piece in &pieces {
        let change = put(piece, &place, &prefix)?;
        let path = place.join(&piece.goes_to);
        println!("{:<10} {}", change.word(), path.display());
        list += &format!("{}\n", prefix.join(&piece.goes_to).display());
    }
    list += &format!("{}\n", prefix.join(LIST).display());
    let change = write(&place.join(LIST), list.as_bytes(), 0o644)?;
    println!("{:<10} {}", change.word(), place.join(LIST).display());
    print!("{}", advice(&place, &prefix));
    Ok(ExitCode::SUCCESS)
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Replaced,
    Unchanged,
}

impl Change {
    const fn word(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Replaced => "replaced",
            Change::Unchanged => "unchanged",
        }
    }
}

/// Puts one piece into its place; the unit names the program where it is.
fn put(piece: &Piece, place: &Path, prefix: &Path) -> Result<Change> {
    let mut bytes = fs::read(&piece.built)?;
    if piece
        .goes_to
        .extension()
        .is_some_and(|kind| kind == "service")
    {
        let program = prefix.join("bin/stockade");
        let program = program.to_str().ok_or("--prefix: the path is not UTF-8")?;
        bytes = unit(&String::from_utf8(bytes)?, program).into_bytes();
    }
    write(&place.join(&piece.goes_to), &bytes, piece.mode)
}

fn unit(text: &str, program: &str) -> String {
    text.replace(UNIT_PROGRAM, program)
}

/// Writes a file whole or not at all, unless it is as it should be already.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<Change> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let change = match fs::read(path) {
        Ok(found) if found == bytes && mode_of(path).is_some_and(|found| found == mode) => {
            return Ok(Change::Unchanged);
        }
        Ok(_) => Change::Replaced,
        Err(_) => Change::New,
    };
    let folder = path.parent().ok_or("a file without a folder")?;
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let attempt = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(&fresh)?;
        file.write_all(bytes)?;
        // The umask is not asked: everybody is to have the program.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        // In one step: the old program may be running.
        fs::rename(&fresh, path)
    };
    attempt().map_err(failed)?;
    Ok(change)
}

fn mode_of(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

/// Finds out whether we may write there: in the folder, or where it will be made.
fn check_writable(place: &Path, prefix: &Path) -> Result<()> {
    let there = place.ancestors().find(|path| path.is_dir());
    let there = there.ok_or("--prefix leads nowhere")?;
    let trial = there.join(format!(".stockade-install-{}", std::process::id()));
    match OpenOptions::new().write(true).create_new(true).open(&trial) {
        Ok(_) => Ok(fs::remove_file(&trial)?),
        Err(error) => Err(format!(
            "{} can't be written to: {error}. Install for this user alone with --prefix ~/.local, or \
             for everybody with\n  cargo xtask install --prefix {} --destdir target/stage\n  \
             sudo cp --recursive --no-preserve=ownership target/stage/. /",
            there.display(),
            process::shell_word(prefix.as_os_str())
        )
        .into()),
    }
}

/// What to do next, and how to take it back.
fn advice(place: &Path, prefix: &Path) -> String {
    let quoted = |path: &Path| process::shell_word(path.as_os_str());
    let list = quoted(&place.join(LIST));
    let mut text =
        format!("\nTo remove all of it again:\n  xargs --delimiter='\\n' rm --force < {list}\n");
    if place != prefix {
        return text;
    }
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&in_path).any(|folder| folder == prefix.join("bin")) {
        text += &format!("\n{} is not in PATH.\n", prefix.join("bin").display());
    }
    if SYSTEMD_PREFIXES
        .iter()
        .any(|known| Path::new(known) == prefix)
    {
        text += "\nTo serve /etc/stockade/NAME.conf:\n  systemctl daemon-reload\n  \
                 systemctl enable --now stockade@NAME\n";
    } else {
        let unit = prefix.join("lib/systemd/system/stockade@.service");
        text += &format!(
            "\nsystemd does not look for units there; `sudo systemctl link {}` tells it of this one.\n",
            quoted(&unit)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_time_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("stockade-install-{}", std::process::id()));
        let path = folder.join("share/text");
        assert_eq!(write(&path, b"one", 0o644).unwrap(), Change::New);
        assert_eq!(write(&path, b"one", 0o644).unwrap(), Change::Unchanged);
        assert_eq!(write(&path, b"two", 0o644).unwrap(), Change::Replaced);
        assert_eq!(write(&path, b"two", 0o755).unwrap(), Change::Replaced);
        assert_eq!(
            (fs::read(&path).unwrap(), mode_of(&path)),
            (b"two".to_vec(), Some(0o755))
        );
        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_unit_names_the_program_where_it_is() {
        let template = include_str!("../../host/program/systemd/stockade@.service");
        let text = unit(template, "/opt/s/bin/stockade");
        assert!(text.contains("\nExecStart=/opt/s/bin/stockade run --name %i --conf"));
        assert!(!text.contains(UNIT_PROGRAM));
    }

    #[test]
    fn a_prefix_that_only_root_may_write_to_is_refused_with_advice() {
        // Nobody may make files there, root neither.
        let error = check_writable(Path::new("/proc/x"), Path::new("/usr/local")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("--prefix ~/.local") && text.contains("--destdir"),
            "{text}"
        );
    }
}
