//! `cargo xtask fuzz`: coverage-guided fuzzing with AddressSanitizer.

use std::collections::VecDeque;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt;

use crate::{Result, packages, process};

const HELP: &str = "\
Fuzzes the parsers and state machines that strangers' bytes reach, with AddressSanitizer. Installs
cargo-fuzz into target/tools first (once, some minutes).

Usage: cargo xtask fuzz [OPTIONS] [TARGET]...

  TARGET         Fuzz only these; without one, all of them in turn

Options:
      --seconds N   Fuzz each target for so long (default: 60)
      --list        List the targets
      --no-install  Refuse to install what is missing
  -h, --help        Show this text

Starts from the inputs in fuzz/corpus; what it finds beyond them is kept in target/fuzz/corpus for
the next run. An input that breaks something is put into fuzz/artifacts.
";

/// The version that the flags below are for.
const CARGO_FUZZ: &str = "0.13.2";
/// Seconds for each target when `--seconds` is not given.
const SECONDS: u64 = 60;
/// Memory that a target may take, in MiB: an input that makes one take more is a finding.
const MEMORY_MOST: u32 = 2048;
/// Seconds that one input may take before it is a finding.
const INPUT_SECONDS_MOST: u32 = 20;
/// How often progress is shown.
const PROGRESS: Duration = Duration::from_secs(10);
/// Lines of the fuzzer that are shown when it fails.
const LINES_KEPT: usize = 200;

struct Options {
    targets: Vec<String>,
    seconds: u64,
    install: bool,
}

/// What one target's run came to.
struct Outcome {
    target: String,
    executions: u64,
    coverage: u64,
    failed: bool,
}

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let known = targets(root)?;
    let mut options = Options {
        targets: Vec::new(),
        seconds: SECONDS,
        install: true,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            Long("no-install") => options.install = false,
            Long("list") => {
                println!("{}", known.join("\n"));
                return Ok(ExitCode::SUCCESS);
            }
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            Value(target) => {
                let target = target.string()?;
                if !known.contains(&target) {
                    let all = known.join(", ");
                    return Err(format!("no target {target:?}; there are {all}").into());
                }
                options.targets.push(target);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if options.seconds == 0 {
        return Err("--seconds 0 would never end".into());
    }
    if options.targets.is_empty() {
        options.targets = known;
    }
    run(root, &options)
}

/// The names of the targets, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().map(|s| s.to_string_lossy().into_owned()));
        }
    }
    targets.sort();
    Ok(targets)
}

fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    packages::require(packages::BUILD, options.install)?;
    let tools = root.join("target/tools");
    require_cargo_fuzz(&tools, options.install)?;

    eprintln!("Building the targets with AddressSanitizer (some minutes the first time) ...");
    process::run(cargo_fuzz(root, &tools, "build")?.args(["--fuzz-dir", "fuzz"]))?;

    let mut outcomes = Vec::new();
    for (index, target) in options.targets.iter().enumerate() {
        let (seconds, number, count) = (options.seconds, index + 1, options.targets.len());
        eprintln!("\nFuzzing {target} for {seconds} s ({number} of {count}) ...");
        outcomes.push(fuzz(root, &tools, target, seconds)?);
    }

    println!("\n{:<16} {:>12} {:>9}", "target", "executions", "coverage");
    for outcome in &outcomes {
        let verdict = if outcome.failed { "  FAILED" } else { "" };
        println!(
            "{:<16} {:>12} {:>9}{verdict}",
            outcome.target, outcome.executions, outcome.coverage
        );
    }
    if outcomes.iter().any(|outcome| outcome.failed) {
        eprintln!(
            "\nThe inputs that broke something are in fuzz/artifacts. Once it is mended, keep them \
             in fuzz/corpus: `cargo xtask test` replays those."
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs cargo-fuzz of our version unless it is there.
fn require_cargo_fuzz(tools: &Path, install: bool) -> Result<()> {
    let there = Command::new(tools.join("bin/cargo-fuzz"))
        .arg("--version")
        .output()
        .is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-fuzz {CARGO_FUZZ}")
        });
    if there {
        return Ok(());
    }
    let mut command = process::cargo();
    command
        .args(["install", "--locked", "--version", CARGO_FUZZ, "--root"])
        .arg(tools)
        .arg("cargo-fuzz");
    if !install {
        let shown = process::quoted(&command);
        return Err(
            format!("missing: cargo-fuzz {CARGO_FUZZ}. This installs it:\n  {shown}").into(),
        );
    }
    eprintln!("Installing cargo-fuzz {CARGO_FUZZ} into target/tools (some minutes, once) ...");
    process::run(&mut command)
}

/// `cargo fuzz SUBCOMMAND`, with a build folder of its own.
fn cargo_fuzz(root: &Path, tools: &Path, subcommand: &str) -> Result<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [tools.join("bin")]
        .into_iter()
        .chain(env::split_paths(&path));
    let mut command = process::cargo();
    command
        .current_dir(root)
        .env("PATH", env::join_paths(path)?)
        // Sanitizers are unstable options of a stable compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", subcommand, "--target-dir"])
        .arg(root.join("target/fuzz/build"));
    Ok(command)
}

/// Runs one target, and shows how it comes along.
fn fuzz(root: &Path, tools: &Path, target: &str, seconds: u64) -> Result<Outcome> {
    let found = root.join("target/fuzz/corpus").join(target);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut command = cargo_fuzz(root, tools, "run")?;
    command
        .args(["--fuzz-dir", "fuzz", target])
        .arg(&found)
        .arg(seeds(root, target))
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY_MOST}"))
        .arg(format!("-timeout={INPUT_SECONDS_MOST}"))
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| format!("cargo fuzz: {error}"))?;
    let mut outcome = Outcome {
        target: target.into(),
        executions: 0,
        coverage: 0,
        failed: false,
    };
    let mut kept = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        follow(stderr, &mut outcome, &mut kept);
    }
    outcome.failed = !child.wait()?.success();
    if outcome.failed {
        for line in &kept {
            eprintln!("{line}");
        }
    }
    Ok(outcome)
}

/// The committed inputs of a target.
fn seeds(root: &Path, target: &str) -> PathBuf {
    root.join("fuzz/corpus").join(target)
}

/// Reads what the fuzzer says to its end, counts, and shows progress now and then.
fn follow(stderr: impl Read, outcome: &mut Outcome, kept: &mut VecDeque<String>) {
    let started = Instant::now();
    let mut shown = started;
    for line in BufReader::new(stderr)
        .split(b'\n')
        .map_while(|line| line.ok())
    {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some((executions, coverage)) = progress(&line) {
            outcome.executions = executions;
            outcome.coverage = coverage.unwrap_or(outcome.coverage);
            if shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                eprintln!(
                    "  {:>4} s: {executions} executions, coverage {}",
                    started.elapsed().as_secs(),
                    outcome.coverage
                );
            }
            continue;
        }
        if kept.len() >= LINES_KEPT {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// Executions so far and coverage, from a line such as `#128 NEW cov: 12 ft: 13 ...` or
/// `Done 128 runs in 3 second(s)` (libFuzzer's documentation, "Output").
fn progress(line: &str) -> Option<(u64, Option<u64>)> {
    if let Some(rest) = line.strip_prefix("Done ") {
        let executions = rest.split(' ').next()?.parse().ok()?;
        return Some((executions, None));
    }
    let mut words = line.strip_prefix('#')?.split_ascii_whitespace();
    let executions = words.next()?.parse().ok()?;
    let coverage = words
        .skip_while(|word| *word != "cov:")
        .nth(1)
        .and_then(|number| number.parse().ok());
    Some((executions, coverage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read() {
        for (line, expected) in [
            (
                "#2048\tpulse  cov: 310 ft: 500 corp: 20/1Kb",
                Some((2048, Some(310))),
            ),
            ("#2\tINITED exec/s: 0 rss: 30Mb", Some((2, None))),
            ("Done 4096 runs in 3 second(s)", Some((4096, None))),
            ("==1==ERROR: AddressSanitizer", None),
            ("    #0 0x55d3 in main", None),
            ("#x", None),
        ] {
            assert_eq!(progress(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_progress_is_kept() {
        let text = b"#1 NEW cov: 5\nhello\n#7 REDUCE cov: 6 ft: 1\nDone 9 runs in 1 second(s)\n";
        let mut outcome = Outcome {
            target: "x".into(),
            executions: 0,
            coverage: 0,
            failed: false,
        };
        let mut kept = VecDeque::new();
        follow(&text[..], &mut outcome, &mut kept);
        assert_eq!((outcome.executions, outcome.coverage), (9, 6));
        assert_eq!(kept, ["hello"]);
    }

    #[test]
    fn every_target_has_inputs_to_start_from() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let targets = targets(root).unwrap();
        assert!(targets.len() >= 7, "{targets:?}");
        for target in targets {
            let seeds = fs::read_dir(seeds(root, &target)).unwrap();
            assert!(seeds.count() >= 5, "{target}");
        }
    }
}
