//! `cargo xtask bench`: figures of the image, beside those of Debian's stunnel and nginx.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Instant, SystemTime};

use lexopt::Arg::{Long, Short};
use lexopt::ValueExt;
use stockade_host::pki;

use crate::debian::{self, Pointer, Tree, Wanted};
use crate::{Result, packages, process, test};

mod cpio;
mod figures;
mod guest;
mod page;
mod parts;

use figures::{Results, SIZE, Samples};
use guest::{PEERS, Peer};
use page::Circumstances;
use parts::Part;

const HELP: &str = "\
Measures the image, and Debian's stunnel and nginx in Linux guests in the same run: time from QEMU's
start to the first TLS byte, size by part, smallest memory, guest instructions per handshake, per byte
each way, per round trip, per HTTP request and when idle, and, for each of them as a process of this
machine, handshakes and gigabits per processor second. Prints a table, and writes
target/bench/report.html with plots.

Everything runs under QEMU's translator, in a network namespace of its own. Installs what it needs, and
unpacks Debian's packages in target/bench without installing them. Takes a quarter of an hour or so.

Usage: cargo xtask bench [OPTIONS]

Options:
      --only NAME    Measure only this: ours, stunnel or nginx (may be repeated)
      --quick        One sample of each figure, of less work
      --no-install   Refuse to install or download what is missing
  -h, --help         Show this text
";

/// What is in the guests.
const WANTED: Wanted<'static> = Wanted {
    packages: &["busybox-static", "stunnel4", "nginx", "libnginx-mod-stream"],
    // Shortest way to one kernel for virtual machines, whatever its version is now; the second is
    // Ubuntu's.
    pointers: &[Pointer {
        names: &["linux-image-cloud-amd64", "linux-image-virtual"],
        prefix: "linux-image-",
    }],
    optional: &[],
    without: &[],
    otherwise: "`--only stockade` measures ours alone",
};

/// Our name in the figures.
const OURS: &str = "stockade";

#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// What to measure, in the order of the columns.
    subjects: Vec<&'static str>,
    quick: bool,
    install: bool,
}

impl Options {
    /// `None` when help was asked for.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>> {
        let all = || [OURS].into_iter().chain(PEERS.iter().map(|peer| peer.name));
        let mut only = Vec::new();
        let (mut quick, mut install) = (false, true);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("only") => {
                    let word = parser.value()?.string()?;
                    let name = if word == "ours" { OURS } else { &word };
                    let found = all().find(|known| *known == name);
                    only.push(found.ok_or_else(|| {
                        format!("--only takes ours, stunnel or nginx, not {word:?}")
                    })?);
                }
                Long("quick") => quick = true,
                Long("no-install") => install = false,
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected().into()),
            }
        }
        let subjects = all()
            .filter(|name| only.is_empty() || only.contains(name))
            .collect();
        Ok(Some(Options {
            subjects,
            quick,
            install,
        }))
    }
}

pub(crate) fn main(root: &Path, parser: lexopt::Parser) -> Result<ExitCode> {
    let Some(options) = Options::parse(parser)? else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let started = Instant::now();
    packages::require(packages::BENCH, options.install)?;
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let prepared = prepare(root, &folder, &options)?;

    let mut results = Results::of(options.subjects.iter().copied());
    for (subject, parts) in &prepared.parts {
        let size = Samples::new(vec![parts::total(parts) as f64]).ok_or("a size is no number")?;
        results.add(subject, SIZE, size);
    }
    let measured = measure(prepared.command, &mut results);

    println!("\n{}", results.table());
    println!(
        "± is half the range of the samples. Of times, and of what is counted against them, the best \
         sample is shown; of all else the median."
    );
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let circumstances = circumstances(prepared.versions, minutes, options.quick);
    let report = folder.join("report.html");
    fs::write(
        &report,
        page::page(&results, &prepared.parts, &circumstances),
    )?;
    println!("Plots: {}", report.display());
    measured.map(|()| ExitCode::SUCCESS)
}

/// Everything that the measuring program needs.
struct Prepared {
    command: Command,
    parts: Vec<(String, Vec<Part>)>,
    versions: Vec<(String, String)>,
}

fn prepare(root: &Path, folder: &Path, options: &Options) -> Result<Prepared> {
    let programs = build_programs(root)?;
    let mut prepared = Prepared {
        command: test::isolated(&programs.bench)?,
        parts: Vec::new(),
        versions: vec![("QEMU".to_owned(), qemu_version()?)],
    };
    let plugin = build_plugin(root, folder, &prepared.versions[0].1)?;
    prepared.command.arg("--plugin").arg(plugin);
    if options.quick {
        prepared.command.arg("--quick");
    }
    let identity = folder.join("identity");
    pki::development(&identity, SystemTime::now())?;
    let mut tree = None;
    for name in &options.subjects {
        let parts = match PEERS.iter().find(|peer| peer.name == *name) {
            None => prepare_ours(root, folder, &programs, options, &mut prepared.command)?,
            Some(peer) => {
                let tree = match &mut tree {
                    Some(tree) => tree,
                    none => none.insert(debian::tree(
                        &folder.join("debian"),
                        &WANTED,
                        options.install,
                    )?),
                };
                let version = version(tree, peer.package);
                prepared.versions.push((peer.name.into(), version));
                prepare_peer(peer, tree, folder, &identity, &mut prepared.command)?
            }
        };
        prepared.parts.push(((*name).to_owned(), parts));
    }
    if let Some(tree) = &tree {
        let kernel = version(tree, "linux-image-");
        prepared
            .versions
            .push(("Linux in the guests".into(), kernel));
    }
    Ok(prepared)
}

/// Builds the image and keeps a copy, which no other build replaces meanwhile.
fn prepare_ours(
    root: &Path,
    folder: &Path,
    programs: &Programs,
    options: &Options,
    command: &mut Command,
) -> Result<Vec<Part>> {
    let mut build = Command::new("/proc/self/exe");
    build.arg("image");
    if !options.install {
        build.arg("--no-install");
    }
    let parts = parts::of_image(&process::output(&mut build)?)?;
    let image = folder.join(OURS);
    fs::copy(crate::image::path(root, false), &image)?;
    command.arg("--image").arg(image);
    command.arg("--hosted").arg(&programs.hosted);
    command.arg("--identity").arg(folder.join("identity"));
    Ok(parts)
}

fn prepare_peer(
    peer: &Peer,
    tree: &Tree,
    folder: &Path,
    identity: &Path,
    command: &mut Command,
) -> Result<Vec<Part>> {
    eprintln!("Making the Linux guest with {} ...", peer.name);
    let guest = folder.join(peer.name);
    guest::make(peer, tree, identity, &guest)?;
    let mut argument = std::ffi::OsString::from(format!("{}=", peer.name));
    argument.push(&guest);
    command.arg("--linux").arg(argument);
    parts::of_guest(&guest)
}

/// The tests' programs, built for speed.
struct Programs {
    bench: PathBuf,
    hosted: PathBuf,
}

fn build_programs(root: &Path) -> Result<Programs> {
    eprintln!("Building the measuring programs (some minutes the first time) ...");
    let mut command = process::cargo();
    command
        .current_dir(root)
        .args(["build", "--locked", "--release"])
        .args(["--package", "stockade-tests", "--bins"])
        .args(["--message-format", "json-render-diagnostics"]);
    let messages = process::output(&mut command)?;
    let find = |name: &str| {
        executable(&messages, name).ok_or_else(|| format!("cargo built no program {name}"))
    };
    Ok(Programs {
        bench: find("stockade-bench")?,
        hosted: find("stockade-hosted")?,
    })
}

/// The path of a program of this name in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

fn build_plugin(root: &Path, folder: &Path, qemu: &str) -> Result<PathBuf> {
    let plugin = folder.join("count_instructions.so");
    let mut command = Command::new("gcc");
    command
        .args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden"])
        .arg(format!("-DPLUGIN_API={}", plugin_interface(qemu)?))
        .arg("-o")
        .arg(&plugin)
        .arg(root.join("xtask/src/bench/plugin/count_instructions.c"));
    process::run(&mut command)?;
    Ok(plugin)
}

/// QEMU's version, such as `7.2.22 (Debian 1:7.2+dfsg-7)`.
fn qemu_version() -> Result<String> {
    let output = process::output(Command::new("qemu-system-x86_64").arg("--version"))?;
    let line = output.lines().next().unwrap_or_default();
    let version = line.strip_prefix("QEMU emulator version ");
    Ok(version.ok_or("QEMU does not tell its version")?.to_owned())
}

/// Which version of QEMU's plugin interface a version of QEMU takes (its qemu-plugin.h tells
/// what changed).
fn plugin_interface(qemu: &str) -> Result<u32> {
    let mut numbers = qemu.split(['.', ' ']).map(|word| word.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(..=8), Some(_)) => Ok(1),
        (Some(9), Some(0)) => Ok(2),
        (Some(_), Some(_)) => Ok(3),
        _ => Err(format!("{qemu:?} is no version of QEMU").into()),
    }
}

/// The version in a package's file name: `stunnel4_3%3a5.68-2_amd64.deb`. Of several packages
/// whose names begin so, the first's.
fn version(tree: &Tree, package: &str) -> String {
    tree.packages
        .iter()
        .filter_map(|file| file.split_once('_'))
        .find(|(name, _)| *name == package || package.ends_with('-') && name.starts_with(package))
        .map(|(_, rest)| rest.split('_').next().unwrap_or(rest).replace("%3a", ":"))
        .unwrap_or_default()
}

/// Runs the measuring program; its progress goes to the terminal, its figures into `results`.
fn measure(mut command: Command, results: &mut Results) -> Result<()> {
    eprintln!("Measuring (minutes; [n/m] tells how far it is) ...");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", process::quoted(&command)))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output)
            .lines()
            .map_while(std::io::Result::ok)
        {
            if !results.take(&line) {
                eprintln!("{line}");
            }
        }
    }
    match child.wait()? {
        status if status.success() => Ok(()),
        status => Err(format!("not everything could be measured ({status}); see above").into()),
    }
}

fn circumstances(versions: Vec<(String, String)>, minutes: f64, quick: bool) -> Circumstances {
    let mut facts = versions;
    facts.push(("processor".into(), processor()));
    facts.push(("measured".into(), today()));
    facts.push(("took".into(), format!("{minutes:.0} minutes")));
    if quick {
        facts.push(("--quick".into(), "one sample of each figure".into()));
    }
    let method = [
        "Guests run under QEMU's translator (TCG) with one processor and 256 MiB; ours on microvm as \
         `cargo xtask run` starts it, Linux on q35.",
        "Instructions are counted by a plugin in QEMU. What one handshake, byte or round trip takes \
         is the difference between twice the work and once the work, divided by the work.",
        "A handshake is a whole connection: TCP, a full TLS 1.3 handshake (X25519, ECDSA P-256, \
         AES-128-GCM) without resumption, one byte to the backend and back, and the orderly end.",
        "HTTP: GET requests as a browser writes them, over connections that are kept on both sides; a \
         hundred at once are one on each of a hundred connections. ours has --mode=http, nginx is a \
         reverse proxy with the same X-Forwarded-* and Forwarded fields, a hundred connections kept, and \
         neither log nor files for large answers. As mere bytes: the same requests through ours and nginx's \
         stream, which don't read them.",
        "The client and the plain backend run on the same machine, on the other end of a TAP device in \
         a network namespace of their own.",
        "Smallest memory is QEMU's -m with which forty handshakes in a row are served.",
        "As a process: ours is stockade-hosted on a TAP device, its TCP in its own process; the others \
         are Debian's programs on the loopback interface, their TCP in the kernel. Processor time is \
         the process's own, user and system.",
        "stunnel and nginx have Debian's defaults, but keep no sessions and send no tickets, which \
         ours does.",
    ];
    Circumstances {
        facts,
        method: method.map(str::to_owned).into(),
    }
}

/// The time of day in UTC, from date(1); nothing where there is none.
fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F %R UTC"]).output();
    let words = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&words).trim().to_owned()
}

/// The processor's name and number of cores (proc(5), `/proc/cpuinfo`).
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let names = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| key.trim() == "model name")
        .map(|(_, name)| name.trim());
    let count = names.clone().count();
    format!("{}, {count} cores", names.take(1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Options>> {
        Options::parse(lexopt::Parser::from_args(words.iter().copied()))
    }

    #[test]
    fn options_choose_what_is_measured() {
        let all = parse(&[]).unwrap().unwrap();
        assert_eq!(all.subjects, ["stockade", "stunnel", "nginx"]);
        assert!(all.install && !all.quick);
        let some = ["--only", "nginx", "--only=ours", "--quick", "--no-install"];
        let some = parse(&some).unwrap().unwrap();
        assert_eq!(some.subjects, ["stockade", "nginx"]);
        assert!(!some.install && some.quick);
        assert_eq!(parse(&["--help"]).unwrap(), None);
        for wrong in [&["--only=apache"][..], &["--only"], &["--slow"], &["nginx"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn programs_are_found_in_cargo_s_messages() {
        let messages = concat!(
            r#"{"target":{"name":"stockade_tests"},"executable":null}"#,
            "\n",
            r#"{"target":{"name":"stockade-bench"},"executable":"/a \"b\"/stockade-bench"}"#,
            "\nnot JSON\n",
        );
        assert_eq!(
            executable(messages, "stockade-bench"),
            Some(PathBuf::from("/a \"b\"/stockade-bench"))
        );
        assert_eq!(executable(messages, "stockade_tests"), None);
    }

    #[test]
    fn the_plugin_is_built_for_qemu_s_version() {
        for (version, expected) in [
            ("7.2.22 (Debian 1:7.2+dfsg-7)", 1),
            ("8.2.2 (Debian)", 1),
            ("9.0.1", 2),
            ("9.1.0", 3),
            ("10.0.2 (Debian)", 3),
        ] {
            assert_eq!(plugin_interface(version).unwrap(), expected, "{version}");
        }
        assert!(plugin_interface("unknown").is_err());
    }

    #[test]
    fn versions_are_read_from_packages_files() {
        let packages = [
            "linux-image-6.1.0-56-cloud-amd64_6.1.192-2_amd64.deb",
            "stunnel4_3%3a5.68-2+deb12u1_amd64.deb",
        ];
        let tree = Tree {
            root: PathBuf::new(),
            packages: packages.map(str::to_owned).into(),
        };
        assert_eq!(version(&tree, "stunnel4"), "3:5.68-2+deb12u1");
        assert_eq!(version(&tree, "linux-image-"), "6.1.192-2");
        assert_eq!(version(&tree, "nginx"), "");
    }
}
