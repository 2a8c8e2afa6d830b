//! What certificates, keys and lists contain is judged by the tunnel itself, which this program does
//! not know: it is built and asked when it is needed.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use stockade_host::Boot;

use crate::{Result, process};

/// Every error that an image would end with if it were started so.
pub(super) fn judge(root: &Path, boot: &Boot) -> Result<Vec<String>> {
    eprintln!("Judging certificates and keys (the first time, this takes a minute to build) ...");
    let mut child = process::cargo()
        .current_dir(root)
        .args(["run", "--quiet", "--locked"])
        .args(["--package", "stockade-tunnel", "--bin", "stockade-check"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo: {error}"))?;
    let mut input = child.stdin.take().ok_or("cargo has no standard input")?;
    // Whoever does not read it to its end says why with its status.
    let _ = input
        .write_all(boot.append.as_bytes())
        .and_then(|()| input.write_all(b"\n"))
        .and_then(|()| match &boot.archive {
            Some(archive) => input.write_all(archive),
            None => Ok(()),
        });
    drop(input);
    let output = child.wait_with_output()?;
    let errors: Vec<String> = String::from_utf8(output.stdout)?
        .lines()
        .map(str::to_owned)
        .collect();
    match (output.status.success(), errors.is_empty()) {
        (true, _) => Ok(Vec::new()),
        (false, false) => Ok(errors),
        (false, true) => Err("the check of certificates and keys could not be run".into()),
    }
}
