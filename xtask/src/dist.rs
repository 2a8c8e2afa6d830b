//! `cargo xtask dist`: the program with the image inside, and what is installed beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lexopt::Arg::{Long, Short};
use stockade_program::manual::{self, Shell};

use crate::{Result, image, packages, process};

const HELP: &str = "\
Builds what is handed on, into target/dist: the program `stockade` with the image inside, its manual
page, completions for bash, zsh and fish, and the unit template for systemd.

Usage: cargo xtask dist [OPTIONS]

Options:
      --no-install  Refuse to install a missing linker, and say which command would
  -h, --help        Show this text
";

/// The unit template, in the source tree and as it is installed.
const UNIT: &str = "stockade@.service";

/// What was built: where it lies in target/dist, where it goes below a prefix, and its mode.
pub(crate) struct Piece {
    pub(crate) built: PathBuf,
    pub(crate) goes_to: PathBuf,
    pub(crate) mode: u32,
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut install = true;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("no-install") => install = false,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    packages::require(packages::BUILD, install)?;
    for piece in build(root)? {
        let size = fs::metadata(&piece.built)?.len();
        println!("{size:>9} bytes  {}", piece.built.display());
    }
    let program = folder(root).join("stockade");
    println!();
    print!(
        "{}",
        process::output(Command::new(&program).arg("--version"))?
    );
    println!("\nIt needs the C library of this system or a newer one, and QEMU where it runs.");
    println!("`cargo xtask install` puts all of it where programs look for it.");
    Ok(ExitCode::SUCCESS)
}

/// Builds everything that is handed on.
pub(crate) fn build(root: &Path) -> Result<Vec<Piece>> {
    let image = image::build(root, false)?;
    let folder = folder(root);
    fs::create_dir_all(&folder)?;
    let program = folder.join("stockade");
    program_with(root, &image.path, &program)?;

    let mut pieces = vec![Piece {
        built: program,
        goes_to: "bin/stockade".into(),
        mode: 0o755,
    }];
    let mut text = |name: &str, goes_to: &str, text: String| -> Result<()> {
        let built = folder.join(name);
        fs::create_dir_all(built.parent().ok_or("a file without a folder")?)?;
        fs::write(&built, text)?;
        pieces.push(Piece {
            built,
            goes_to: goes_to.into(),
            mode: 0o644,
        });
        Ok(())
    };
    text(
        "man/stockade.1",
        "share/man/man1/stockade.1",
        manual::page(),
    )?;
    for shell in Shell::ALL {
        let (name, goes_to) = (shell.file_name(), completions_folder(shell));
        let place = format!("completions/{}/{name}", shell.program());
        text(
            &place,
            &format!("{goes_to}/{name}"),
            manual::completions(shell),
        )?;
    }
    let unit = fs::read_to_string(root.join("host/program/systemd").join(UNIT))?;
    let place = format!("lib/systemd/system/{UNIT}");
    text(&format!("systemd/{UNIT}"), &place, unit)?;
    Ok(pieces)
}

/// Where a shell looks for completions, below a prefix.
fn completions_folder(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => "share/bash-completion/completions",
        Shell::Zsh => "share/zsh/site-functions",
        Shell::Fish => "share/fish/vendor_completions.d",
    }
}

/// Builds the program with this image inside.
fn program_with(root: &Path, image: &Path, program: &Path) -> Result<()> {
    eprintln!("Building the program (some minutes the first time) ...");
    let started = Instant::now();
    let target = root.join("target/dist-build");
    // The C library stays a shared one: getaddrinfo(3) loads what nsswitch.conf(5) names.
    process::run(
        process::cargo()
            .current_dir(root)
            .args([
                "build",
                "--locked",
                "--profile",
                "dist",
                "--package",
                "stockade-program",
            ])
            .args([
                "--bin",
                "stockade",
                "--features",
                "embedded-image",
                "--target-dir",
            ])
            .arg(&target)
            .env("STOCKADE_IMAGE", image),
    )?;
    // Beside the old one and then in its place: the old one may be running.
    let fresh = program.with_extension("new");
    fs::copy(target.join("dist/stockade"), &fresh)?;
    fs::rename(&fresh, program)?;
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("Built the program in {seconds:.1} s.");
    Ok(())
}

fn folder(root: &Path) -> PathBuf {
    root.join("target/dist")
}
