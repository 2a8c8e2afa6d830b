//! `cargo xtask test`: the unit tests on this host, then the hosted, the stunnel, the protocol,
//! the certificate, the HTTP, the boot, the launcher and the library tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lexopt::Arg::{Long, Short, Value};

use crate::{Result, image, packages, process};

mod peers;

const HELP: &str = "\
Runs every test: the unit tests of all host crates and the simulation, then, in a network namespace
of their own, the hosted tests, which run the tunnel as a process on a TAP device, the stunnel
tests, which give stunnel.conf files to the tunnel and have real stunnels as its peers, the protocol
tests, which have real mail, directory, news, database and proxy servers and clients around it, the
certificate tests, which have real Git servers and certificate authorities behind it, the HTTP tests,
which have nginx, Apache and a WebSocket server behind it and curl, h2load and a browser before it,
the boot tests, which boot the image under QEMU, the launcher tests, which run the `stockade` program
as its users do, and the library tests, which start proxies as other programs do. Installs what they
need first, but for those servers and clients: their packages of Debian or Ubuntu are unpacked below
target (about 120 MB of downloads, and @MB@ MB for the HTTP tests, once), and never installed.

Usage: cargo xtask test [OPTIONS] [FILTER]

  FILTER         Run only the tests whose name contains this

Options:
      --no-install  Refuse to install what is missing, and say which command would
      --unit        Run the unit tests and the simulation only
      --hosted      Run the hosted tests only
      --stunnel     Run the stunnel tests only
      --protocols   Run the protocol tests only; they need Debian or Ubuntu
      --certificates
                    Run the certificate tests only; they need Debian or Ubuntu
      --http        Run the HTTP tests only; they need Debian or Ubuntu, and the browser Debian
      --boot        Run the boot tests only
      --launcher    Run the launcher tests only
      --library     Run the library tests only
  -h, --help        Show this text
";

/// Where the boot tests find the image.
const IMAGE_VARIABLE: &str = "STOCKADE_IMAGE";

struct Options {
    filter: Option<String>,
    install: bool,
    /// The stages to run.
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Unit,
    Hosted,
    Stunnel,
    Protocols,
    Certificates,
    Http,
    Boot,
    Launcher,
    Library,
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut options = Options {
        filter: None,
        install: true,
        stages: Vec::new(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("no-install") => options.install = false,
            Long("unit") => options.stages.push(Stage::Unit),
            Long("hosted") => options.stages.push(Stage::Hosted),
            Long("stunnel") => options.stages.push(Stage::Stunnel),
            Long("protocols") => options.stages.push(Stage::Protocols),
            Long("certificates") => options.stages.push(Stage::Certificates),
            Long("http") => options.stages.push(Stage::Http),
            Long("boot") => options.stages.push(Stage::Boot),
            Long("launcher") => options.stages.push(Stage::Launcher),
            Long("library") => options.stages.push(Stage::Library),
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            Value(filter) if options.filter.is_none() => {
                options.filter = Some(
                    filter
                        .into_string()
                        .map_err(|_| "the filter is not UTF-8")?,
                );
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.stages.is_empty() {
        options.stages = vec![
            Stage::Unit,
            Stage::Hosted,
            Stage::Stunnel,
            Stage::Protocols,
            Stage::Certificates,
            Stage::Http,
            Stage::Boot,
            Stage::Launcher,
            Stage::Library,
        ];
    }
    packages::require(packages::TEST, options.install)?;
    run(root, &options)
}

fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let image = image::build(root, false)?;
    let mut results: Vec<(&str, Result<()>, f64)> = Vec::new();
    let mut stage = |name, work: &dyn Fn() -> Result<()>| {
        eprintln!("\nRunning the {name} ...");
        let started = Instant::now();
        let result = work();
        if let Err(error) = &result {
            eprintln!("error: {error}");
        }
        results.push((name, result, started.elapsed().as_secs_f64()));
    };
    let filter = options.filter.as_deref();
    if options.stages.contains(&Stage::Unit) {
        stage("unit tests", &|| unit_tests(root, filter));
    }
    if options.stages.contains(&Stage::Hosted) {
        stage("hosted tests", &|| {
            isolated_tests(root, "hosted", &image.path, &[], filter)
        });
    }
    if options.stages.contains(&Stage::Stunnel) {
        stage("stunnel tests", &|| {
            isolated_tests(root, "stunnel", &image.path, &[], filter)
        });
    }
    if options.stages.contains(&Stage::Protocols) {
        stage("protocol tests", &|| {
            let peers = peers::unpacked(&peers::PROTOCOLS, root, options.install)?;
            let peers = [(peers::VARIABLE, peers.as_path())];
            isolated_tests(root, "protocols", &image.path, &peers, filter)
        });
    }
    if options.stages.contains(&Stage::Certificates) {
        stage("certificate tests", &|| {
            let peers = peers::unpacked(&peers::CERTIFICATES, root, options.install)?;
            let peers = [(peers::VARIABLE, peers.as_path())];
            isolated_tests(root, "certificates", &image.path, &peers, filter)
        });
    }
    if options.stages.contains(&Stage::Http) {
        stage("HTTP tests", &|| {
            let peers = peers::unpacked(&peers::HTTP, root, options.install)?;
            let peers = [(peers::VARIABLE, peers.as_path())];
            isolated_tests(root, "http", &image.path, &peers, filter)
        });
    }
    if options.stages.contains(&Stage::Boot) {
        stage("boot tests", &|| {
            isolated_tests(root, "boot", &image.path, &[], filter)
        });
    }
    if options.stages.contains(&Stage::Launcher) {
        stage("launcher tests", &|| {
            isolated_tests(root, "launcher", &image.path, &[], filter)
        });
    }

    if options.stages.contains(&Stage::Library) {
        stage("library tests", &|| {
            isolated_tests(root, "library", &image.path, &[], filter)
        });
    }

    eprintln!();
    let mut code = ExitCode::SUCCESS;
    for (name, result, seconds) in &results {
        let word = if result.is_ok() { "passed" } else { "FAILED" };
        eprintln!("{name}: {word} ({seconds:.0} s)");
        if result.is_err() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn unit_tests(root: &Path, filter: Option<&str>) -> Result<()> {
    let cargo_test = |arguments: &[&str]| {
        let mut command = process::cargo();
        command
            .current_dir(root)
            .args(["test", "--locked", "--no-fail-fast"]);
        process::run(command.args(arguments).args(filter))
    };
    // The image links with its own flags only; the boot tests need a namespace of their own.
    let hosts = cargo_test(&[
        "--workspace",
        "--exclude",
        "stockade-boot",
        "--exclude",
        "stockade-tests",
    ]);
    let ours = [
        "--package",
        "stockade-tests",
        "--lib",
        "--test",
        "simulation",
    ];
    hosts.and(cargo_test(&ours))
}

/// Builds one of the test programs here and runs it where there is no network but its own, with
/// these variables in its environment.
fn isolated_tests(
    root: &Path,
    name: &str,
    image: &Path,
    variables: &[(&str, &Path)],
    filter: Option<&str>,
) -> Result<()> {
    let mut build = process::cargo();
    build
        .current_dir(root)
        .args([
            "test",
            "--locked",
            "--package",
            "stockade-tests",
            "--test",
            name,
            "--no-run",
        ])
        .args(["--message-format", "json-render-diagnostics"]);
    let messages = process::output(&mut build)?;
    let program = test_program(&messages).ok_or_else(|| format!("cargo built no {name} test"))?;

    let mut command = isolated(&program)?;
    command
        .args(filter)
        .current_dir(root.join("tests"))
        .env(IMAGE_VARIABLE, image)
        .envs(variables.iter().copied());
    process::run(&mut command).map_err(|error| {
        if packages::is_root() {
            return error;
        }
        format!(
            "{error}\nIf unshare was not permitted: this system restricts user namespaces. Run the \
             tests as root, or allow them (Ubuntu: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        )
        .into()
    })
}

/// A command that runs this program in a network namespace of its own; arguments may be added.
pub(crate) fn isolated(program: &Path) -> Result<Command> {
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !packages::is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    // `$0` is the program; its arguments follow.
    command
        .args([
            "--",
            "sh",
            "-c",
            "ip link set dev lo up && exec \"$0\" \"$@\"",
        ])
        .arg(program)
        .env("PATH", path_with_system_programs()?);
    Ok(command)
}

/// The test executable that cargo's messages name, among other programs of the package.
fn test_program(messages: &str) -> Option<PathBuf> {
    const KEY: &str = "\"executable\":\"";
    const KIND: &str = "\"kind\":[\"test\"]";
    let is_test = |line: &&str| line.contains(KEY) && line.contains(KIND);
    let line = messages.lines().rfind(is_test)?;
    let (_, rest) = line.split_once(KEY)?;
    let mut path = String::new();
    let mut characters = rest.chars();
    // JSON escapes a backslash and a quote; a path that needs more than that is unheard of.
    loop {
        match characters.next()? {
            '"' => return Some(PathBuf::from(path)),
            '\\' => path.push(characters.next()?),
            character => path.push(character),
        }
    }
}

/// `PATH` with the folders of `ip` and the like, which a user's lacks on Debian.
fn path_with_system_programs() -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    Ok(env::join_paths(folders)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_program_is_found_in_cargo_s_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","executable":null}"#,
            "\n",
            r#"{"target":{"kind":["test"]},"executable":"/a b/target/boot-1","fresh":false}"#,
            "\n",
            r#"{"target":{"kind":["bin"]},"executable":"/a b/target/hosted"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\n",
        );
        assert_eq!(
            test_program(messages),
            Some(PathBuf::from("/a b/target/boot-1"))
        );
        assert_eq!(
            test_program(r#"{"kind":["test"],"executable":"/odd\"name"}"#),
            Some(PathBuf::from("/odd\"name"))
        );
        assert_eq!(test_program(""), None);
    }
}
