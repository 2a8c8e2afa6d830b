//! `cargo xtask tidy`: the conventions that no compiler checks.
//!
//! Each check is a function of text, so that it is tested on samples; this file only finds
//! what to check. What may depend on what is said in [`crates`].

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

mod crates;
mod manifests;
mod sources;
mod text;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// The file, relative to the checkout.
    path: String,
    /// From 1; 0 when the file as a whole is meant.
    line: usize,
    message: String,
}

/// Checks the checkout at `root` and returns every violation as `PATH:LINE: MESSAGE`, sorted.
///
/// Looks at the files that git tracks, and at new ones that it does not ignore.
///
/// # Errors
///
/// The checkout can't be read, or `cargo metadata` or `git` can't be run.
pub fn run(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut violations = Vec::new();
    for path in files(root)? {
        let Ok(text) = fs::read_to_string(root.join(&path)) else {
            continue; // Deleted, or no text.
        };
        violations.extend(check_file(&path, &text));
    }
    let metadata = metadata(root)?;
    violations.extend(crates::check_boundaries(&metadata)?);
    violations.extend(crates::check_features(&metadata)?);
    for (path, expected) in crates::roots(&metadata, root)? {
        let text = fs::read_to_string(root.join(&path))?;
        violations.extend(sources::check_unsafe_level(&path, &text, expected));
    }
    violations.sort();
    violations.dedup();
    Ok(violations.iter().map(Violation::to_string).collect())
}

/// Everything that one file's text tells.
fn check_file(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = text::check_paths(path, text);
    if path.ends_with(".rs") {
        violations.extend(sources::check(path, text));
    } else if path == "Cargo.toml" {
        violations.extend(manifests::check_workspace(path, text));
    } else if path.ends_with("/Cargo.toml") {
        violations.extend(manifests::check_member(path, text));
    } else if path == "Cargo.lock" || path.ends_with("/Cargo.lock") {
        violations.extend(manifests::check_lock(path, text));
    }
    violations
}

/// The checkout's files, relative to it.
fn files(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let list = output(git.current_dir(root))?;
    Ok(list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}

fn metadata(root: &Path) -> Result<serde_json::Value, Box<dyn Error>> {
    // Cargo tells the one that runs `cargo xtask`, so that toolchains don't mix.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    Ok(serde_json::from_str(&output(cargo.current_dir(root))?)?)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("can't run {program}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} failed:\n{}", errors.trim_end()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Violation {
        Violation {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// The violations of a sample as `LINE: MESSAGE`, for the checks' tests.
#[cfg(test)]
fn shown(violations: Vec<Violation>) -> Vec<String> {
    violations
        .iter()
        .map(|violation| format!("{}: {}", violation.line, violation.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_name_file_and_line() {
        let violation = Violation::new("net/src/lib.rs", 7, "too wild");
        assert_eq!(violation.to_string(), "net/src/lib.rs:7: too wild");
        let violation = Violation::new("net/src/lib.rs", 0, "too long");
        assert_eq!(violation.to_string(), "net/src/lib.rs: too long");
    }

    #[test]
    fn each_file_gets_the_checks_of_its_kind() {
        let messages = |path, text| check_file(path, text).len();
        assert_eq!(messages("net/src/lib.rs", "fn f() {}\n"), 1);
        assert_eq!(messages("README.md", "fn f() {}\n"), 0);
        let dependency = "[dependencies]\nlog = \"0.4\"\n";
        assert_eq!(messages("net/Cargo.toml", dependency), 2);
        let workspace = "[workspace.dependencies]\nlog = \"0.4\"\n";
        assert_eq!(messages("Cargo.toml", workspace), 2);
        let lock =
            "[[package]]\nname = \"getrandom\"\nversion = \"0.2.1\"\nsource = \"registry\"\n";
        assert_eq!(messages("Cargo.lock", lock), 1);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let error = output(Command::new("cargo").arg("no-such-subcommand")).unwrap_err();
        assert!(error.to_string().starts_with("cargo failed:\n"), "{error}");
        let error = output(&mut Command::new("no-such-program-of-ours")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("can't run no-such-program-of-ours: ")
        );
    }
}
