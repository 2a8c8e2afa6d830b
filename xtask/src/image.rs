//! `cargo xtask image`: builds the unikernel.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lexopt::Arg::{Long, Short};

use crate::{Result, packages, process};

mod parts;

const HELP: &str = "\
Builds the image: target/image/stockade, a stripped ELF file with a PVH note, and its symbols
beside it as target/image/stockade.debug. Prints its size by part and its SHA-256.

Usage: cargo xtask image [OPTIONS]

Options:
      --debug       Build with debug assertions and little optimisation, into target/image/debug/
      --no-install  Refuse to install a missing linker, and say which command would
  -h, --help        Show this text
";

/// The image and the host binaries share this target; naming it keeps the image's flags away
/// from build scripts and procedural macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the image's Rust code needs that host code must not have.
const RUSTFLAGS: [&str; 6] = [
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    "--cfg",
    "getrandom_backend=\"custom\"",
    "--cfg",
    "stockade_image",
];

/// ring's C code: distributions' compilers add calls into a libc that the image does not have.
const CFLAGS: [&str; 5] = [
    "-O2",
    "-fno-stack-protector",
    "-U_FORTIFY_SOURCE",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
];

/// A finished build.
pub(crate) struct Image {
    /// The stripped ELF file.
    pub(crate) path: PathBuf,
    /// The file as it was linked, with everything in it.
    linked: PathBuf,
    /// Its symbols, for a debugger.
    symbols: PathBuf,
    /// Its size in bytes.
    pub(crate) size: u64,
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut debug, mut install) = (false, true);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("debug") => debug = true,
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
    Ok(ExitCode::SUCCESS)
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
    let started = Instant::now();
    eprintln!("Building the image (one or two minutes the first time) ...");
    let target_dir = root.join(if debug {
        "target/image-build-debug"
    } else {
        "target/image-build"
    });
    process::run(&mut cargo(root, &target_dir, "build", debug)?)?;

    let linked = target_dir.join(TARGET).join("image").join("stockade");
    let path = path(root, debug);
    let symbols = path.with_extension("debug");
    fs::create_dir_all(path.parent().ok_or("the image has no folder")?)?;
    strip(&linked, &path, &symbols)?;
    let size = fs::metadata(&path)?.len();
    eprintln!(
        "Built the image in {:.1} s.",
        started.elapsed().as_secs_f64()
    );
    Ok(Image {
        path,
        linked,
        symbols,
        size,
    })
}

/// Lints the image's crates as they are built for the image.
pub(crate) fn clippy(root: &Path) -> Result<()> {
    let target_dir = root.join("target/image-build");
    let mut command = cargo(root, &target_dir, "clippy", false)?;
    process::run(command.args(["--", "-D", "warnings"]))
}

/// A cargo command on the image, with the image's own flags.
fn cargo(root: &Path, target_dir: &Path, verb: &str, debug: bool) -> Result<Command> {
    let cargo_home = cargo_home()?;
    let mut rustflags: Vec<OsString> = RUSTFLAGS.map(OsString::from).into();
    let mut cflags: Vec<String> = CFLAGS.map(String::from).into();
    // The same image whatever folders it was built in. The last match wins.
    for (from, to) in [
        (root, "/stockade"),
        (&cargo_home, "/cargo"),
        (target_dir, "/target"),
    ] {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        let from = from
            .to_str()
            .ok_or_else(|| format!("{} is not UTF-8", from.display()))?;
        cflags.push(stockade_host::shell::quote(&format!(
            "-ffile-prefix-map={from}={to}"
        )));
        rustflags.push(flag);
    }

    let mut command = process::cargo();
    command
        .current_dir(root)
        .args([
            verb,
            "--locked",
            "--package",
            "stockade-boot",
            "--profile",
            "image",
        ])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir)
        // Encoded flags take precedence over every other source of them, and may hold spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}".as_ref()))
        .env("CFLAGS", cflags.join(" "))
        .env("CC_SHELL_ESCAPED_FLAGS", "1")
        .env_remove("RUSTFLAGS");
    for other in [
        "CFLAGS_x86_64_unknown_linux_gnu",
        "CFLAGS_x86_64-unknown-linux-gnu",
        "TARGET_CFLAGS",
        "HOST_CFLAGS",
    ] {
        command.env_remove(other);
    }
    if debug {
        for setting in [
            "debug-assertions=true",
            "opt-level=1",
            "lto=false",
            "codegen-units=16",
            "debug=2",
        ] {
            command
                .arg("--config")
                .arg(format!("profile.image.{setting}"));
        }
    }
    Ok(command)
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

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = env::home_dir().ok_or("neither CARGO_HOME nor HOME is set")?;
    Ok(home.join(".cargo"))
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_abc_is_the_standard_s_example() {
        // FIPS 180-4's example, "abc".
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn flags_survive_a_checkout_in_a_folder_with_spaces() {
        let command = cargo(
            Path::new("/a b"),
            Path::new("/a b/target/x"),
            "build",
            false,
        )
        .unwrap();
        let variable = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name).unwrap();
            found.1.unwrap().to_str().unwrap().to_owned()
        };
        let rust = variable("CARGO_ENCODED_RUSTFLAGS");
        assert!(
            rust.split('\u{1f}')
                .any(|flag| flag == "--remap-path-prefix=/a b=/stockade")
        );
        assert!(variable("CFLAGS").contains(" '-ffile-prefix-map=/a b=/stockade'"));
        assert_eq!(variable("CC_SHELL_ESCAPED_FLAGS"), "1");
    }
}
