//! Running other programs: one wording for what went wrong.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// Runs a program to its end, its output on our terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", name(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status}): {}", name(command), quoted(command)).into())
    }
}

/// Runs a program and returns its standard output; its standard error goes to our terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}", name(command)))?;
    if !output.status.success() {
        return Err(format!(
            "{} failed ({}): {}",
            name(command),
            output.status,
            quoted(command)
        )
        .into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The cargo that started us, without what it told us about this package: build scripts (ring's
/// among them) start over when such a variable differs from the last build's.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_about_this_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether cargo sets this variable for the one package that it runs (The Cargo Book,
/// "Environment Variables").
fn is_about_this_package(name: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
        || ["CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
}

/// Looks a program up in `PATH` and in the folders of system programs, which a user's `PATH`
/// lacks on Debian.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

/// The command as a shell would take it, without its environment.
pub(crate) fn quoted(command: &Command) -> String {
    let mut words = vec![shell_word(command.get_program())];
    words.extend(command.get_args().map(shell_word));
    words.join(" ")
}

/// One word, quoted if a shell would otherwise change it.
pub(crate) fn shell_word(word: &OsStr) -> String {
    stockade_host::shell::quote(&word.to_string_lossy())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_cargo_is_not_told_about_this_package() {
        // Cargo sets these for the test itself.
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let command = cargo();
        let removed: Vec<&OsStr> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR"] {
            assert!(removed.contains(&OsStr::new(name)), "{name}");
        }
        assert!(!is_about_this_package("CARGO_HOME"));
        assert!(!is_about_this_package("CARGO_TARGET_DIR"));
    }
}
