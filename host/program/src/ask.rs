//! `stockade status`, `stop`, `reload` and `diagnose`: what is asked of a running image's launcher.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};
use stockade_host::Error;
use stockade_host::control::{self, Name};
use stockade_store::notice::Outcome;

use crate::Result;
use crate::cli::{Diagnose, Reload, Status, Stop, Which};
use crate::notify::{self, Target};

mod text;

/// The status when nothing of that name runs (as LSB init scripts have it).
const NOT_RUNNING: u8 = 3;

/// The status when it runs and does not serve (yet).
const NOT_SERVING: u8 = 4;

/// Tells how a running image stands.
pub(crate) fn status(options: &Status) -> Result<ExitCode> {
    let found = which(&options.which).and_then(|name| control::status(&name).map_err(Ask::from));
    let status = match found {
        Ok(status) => status,
        Err(nobody) => {
            if options.json && matches!(nobody, Ask::NotRunning(_)) {
                print(&format!("{}\n", json!({"phase": "not running"})));
            }
            return nobody.tell();
        }
    };
    if options.json {
        print(&format!("{status:#}\n"));
    } else {
        print(&text::status(&status));
    }
    Ok(if status["phase"] == "serving" {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_SERVING)
    })
}

/// Stops a running image and waits for its end.
pub(crate) fn stop(options: &Stop) -> Result<ExitCode> {
    let name = match which(&options.which) {
        Ok(name) => name,
        Err(nobody) => return nobody.tell(),
    };
    let told = || eprintln!("Stopping {name} ...");
    match control::stop(&name, options.drain, told) {
        Ok(ended) => {
            println!("{name}: {ended}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ask::from(error).tell(),
    }
}

/// Lets a running image take its configuration as it is now.
pub(crate) fn reload(options: &Reload) -> Result<ExitCode> {
    if let (Some(target), Some(pass)) = (&options.target, &options.pass) {
        return tell_target(target, pass, options.legacy);
    }
    let name = match which(&options.which) {
        Ok(name) => name,
        Err(nobody) => return nobody.tell(),
    };
    match control::reload(&name) {
        Ok(reloaded) => {
            print(&text::reloaded(&name, &reloaded));
            Ok(ExitCode::SUCCESS)
        }
        Err(Error::Refused(lines)) => {
            for line in lines {
                eprintln!("{line}");
            }
            eprintln!("error: {name} goes on with the configuration that it has");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Ask::from(error).tell(),
    }
}

/// Tells an image over the network that its store has changed.
fn tell_target(target: &Target, pass: &str, legacy: bool) -> Result<ExitCode> {
    let pass = notify::pass(pass)?;
    if legacy {
        notify::notify_bare(target, &pass).map_err(|error| format!("{target}: {error}"))?;
        print(&format!("{target}: sent; nothing is answered\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let waits = || eprintln!("{target} reads its store ...");
    let told = notify::notify(target, &pass, waits);
    let told = told.map_err(|error| format!("{target}: {error}"))?;
    let lines = notify::described(&told);
    if let Outcome::Failed(_) = told.outcome {
        for line in lines {
            eprintln!("{target}: {line}");
        }
        return Ok(ExitCode::FAILURE);
    }
    for line in lines {
        print(&format!("{target}: {line}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what has happened to a running image.
pub(crate) fn diagnose(options: &Diagnose) -> Result<ExitCode> {
    let name = match which(&options.which) {
        Ok(name) => name,
        Err(nobody) => return nobody.tell(),
    };
    let each = |event: &Value| {
        if options.json {
            print(&format!("{event}\n"));
        } else {
            print(&text::event(event));
        }
    };
    match control::diagnose(&name, options.since, each) {
        Ok(rest) => {
            let missed = rest["missed"].as_u64().unwrap_or(0);
            if missed > 0 {
                eprintln!("{missed} earlier events are no longer kept");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ask::from(error).tell(),
    }
}

/// Why nobody could be asked.
enum Ask {
    NotRunning(String),
    Other(String),
}

impl Ask {
    /// Says so.
    fn tell(self) -> Result<ExitCode> {
        match self {
            Ask::NotRunning(text) => {
                eprintln!("{text}");
                Ok(ExitCode::from(NOT_RUNNING))
            }
            Ask::Other(text) => Err(text.into()),
        }
    }
}

impl From<Error> for Ask {
    fn from(error: Error) -> Ask {
        match error {
            Error::NotRunning { .. } => Ask::NotRunning(error.to_string()),
            other => Ask::Other(other.to_string()),
        }
    }
}

/// The run that is meant: the one that is named, else the only one.
fn which(which: &Which) -> std::result::Result<Name, Ask> {
    match &which.name {
        Some(name) => Ok(name.clone()),
        None => choose(control::running()),
    }
}

fn choose(mut running: Vec<Name>) -> std::result::Result<Name, Ask> {
    match running.len() {
        0 => Err(Ask::NotRunning(
            "nothing runs that this user may speak to".to_owned(),
        )),
        1 => Ok(running.remove(0)),
        _ => {
            let names: Vec<&str> = running.iter().map(Name::as_str).collect();
            let names = names.join(", ");
            Err(Ask::Other(format!(
                "several run, say which with --name: {names}"
            )))
        }
    }
}

/// Prints; a reader that has seen enough (`| head`) is no error.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_run_needs_no_name() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        assert!(matches!(choose(vec![name("off")]), Ok(found) if found == name("off")));
        assert!(matches!(choose(Vec::new()), Err(Ask::NotRunning(_))));
        let Err(Ask::Other(text)) = choose(vec![name("a"), name("b")]) else {
            panic!("one of two was chosen");
        };
        assert!(text.ends_with("--name: a, b"), "{text}");
    }
}
