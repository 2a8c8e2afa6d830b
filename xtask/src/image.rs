//! `cargo xtask image`: builds the unikernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lexopt::Arg::{Long, Short};

use crate::{Result, packages, process};

mod parts;
mod place;
mod reproduce;
mod sbom;

use place::Place;

const HELP: &str = "\
Builds the image: target/image/stockade, a stripped ELF file with a PVH note. Beside it are its
symbols, stockade.debug, and its software bill of materials, stockade.cdx.json: every package that
is linked into it, in CycloneDX's format. Prints its size by part and its SHA-256.

Usage: cargo xtask image [OPTIONS]

Options:
      --debug                Build with debug assertions and little optimisation, into
                             target/image/debug/
      --verify-reproducible  Build it a second time, from a copy of the checkout in another folder
                             and with another CARGO_HOME, and fail if a byte differs; says where
      --no-install           Refuse to install a missing linker, and say which command would
  -h, --help                 Show this text
";

/// How large the image may be, in bytes: who downloads it, boots it a thousand times or reads what is in it
/// pays for each of them. There is room in it for a fix, not for a feature.
const LIMIT: u64 = 3_280_000;

/// A finished build.
pub(crate) struct Image {
    /// The stripped ELF file.
    pub(crate) path: PathBuf,
    /// The file as it was linked, with everything in it.
    linked: PathBuf,
    /// Its symbols, for a debugger.
    symbols: PathBuf,
    /// Its software bill of materials.
    sbom: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Image {
    /// What is handed on, and must be the same whoever builds it.
    fn files(&self) -> [&Path; 3] {
        [&self.path, &self.symbols, &self.sbom]
    }
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut debug, mut install, mut verify) = (false, true, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("debug") => debug = true,
            Long("verify-reproducible") => verify = true,
            Long("no-install") => install = false,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    packages::require(packages::BUILD, install)?;
    let image = build(root, debug)?;
    let stripped = fs::read(&image.path)?;
    print!("{}", parts::table(&fs::read(&image.linked)?, image.size)?);
    println!("SHA-256  {}", sha256(&stripped));
    println!("image    {}", image.path.display());
    println!("symbols  {}", image.symbols.display());
    println!("SBOM     {}", image.sbom.display());
    if !debug {
        check_size(image.size)?;
    }
    if verify {
        reproduce::verify(root, &image, debug)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether an image of `size` bytes may be handed on.
fn check_size(size: u64) -> Result<()> {
    match size.checked_sub(LIMIT) {
        None | Some(0) => Ok(()),
        Some(over) => Err(format!(
            "the image has {size} bytes, which is {over} more than it may have: the table above says which \
             part has them. Make it smaller ([profile.image.package] in Cargo.toml says how each crate is \
             built), or, if what is new is worth it, raise LIMIT in xtask/src/image.rs and say why"
        )
        .into()),
    }
}

/// Where [`build`] leaves the image.
pub(crate) fn path(root: &Path, debug: bool) -> PathBuf {
    let folder = if debug {
        "target/image/debug"
    } else {
        "target/image"
    };
    root.join(folder).join("stockade")
}

/// Builds the image, or finds it up to date.
pub(crate) fn build(root: &Path, debug: bool) -> Result<Image> {
    eprintln!("Building the image (one or two minutes the first time) ...");
    let target_dir = root.join(if debug {
        "target/image-build-debug"
    } else {
        "target/image-build"
    });
    build_at(&Place::new(root, target_dir, None)?, debug)
}

fn build_at(place: &Place, debug: bool) -> Result<Image> {
    let started = Instant::now();
    process::run(&mut place.compile("build", debug)?)?;

    let linked = place.linked();
    let path = path(&place.root, debug);
    let symbols = path.with_extension("debug");
    let sbom = path.with_extension("cdx.json");
    fs::create_dir_all(path.parent().ok_or("the image has no folder")?)?;
    strip(&linked, &path, &symbols)?;
    sbom::write(&place.root, &place.tree(&sbom::TREE)?, &path, &sbom)?;
    let size = fs::metadata(&path)?.len();
    eprintln!(
        "Built the image in {:.1} s.",
        started.elapsed().as_secs_f64()
    );
    Ok(Image {
        path,
        linked,
        symbols,
        sbom,
        size,
    })
}

/// Lints the image's crates as they are built for the image.
pub(crate) fn clippy(root: &Path) -> Result<()> {
    let place = Place::new(root, root.join("target/image-build"), None)?;
    let mut command = place.compile("clippy", false)?;
    process::run(command.args(["--", "-D", "warnings"]))
}

/// Splits a linked image into what boots and what a debugger reads.
fn strip(linked: &Path, image: &Path, symbols: &Path) -> Result<()> {
    let objcopy = |arguments: &[&str], output: &Path| {
        process::run(
            Command::new("objcopy")
                .arg("--enable-deterministic-archives")
                .args(arguments)
                .arg(linked)
                .arg(output),
        )
    };
    objcopy(&["--only-keep-debug"], symbols)?;
    objcopy(&["--strip-all", "--remove-section=.comment"], image)
}

fn sha256_bytes(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    std::array::from_fn(|i| digest.as_ref()[i])
}

fn sha256(bytes: &[u8]) -> String {
    let digest = sha256_bytes(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_above_its_limit_is_refused_with_both_figures() {
        assert!(check_size(LIMIT).is_ok());
        let text = check_size(LIMIT + 7).unwrap_err().to_string();
        let begin = format!("the image has {} bytes, which is 7 more than", LIMIT + 7);
        assert!(text.starts_with(&begin), "{text}");
    }

    #[test]
    fn sha256_of_abc_is_the_standard_s_example() {
        // FIPS 180-4's example, "abc".
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
