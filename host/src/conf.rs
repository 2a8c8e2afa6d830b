//! stunnel's configuration files on this host: read, checked, packed for the image, published.
//!
//! The image reads the same files with the same code; what is done here is what only the host
//! can do: find the files, ask for passphrases, know which addresses and ports are free, and
//! keep the log and pid files that stunnel would keep.

use std::fs;
use std::sync::Arc;

use stockade_config::archive::Builder;
use stockade_config::stunnel::{
    Diagnostic, Examination, Files, Notice, Recorder, Recording, examine,
};

use crate::Error;

mod files;
mod keys;
mod output;
mod publish;
mod report;
mod routes;

#[cfg(test)]
mod tests;

pub use files::HostFiles;
pub use keys::Passphrases;
pub use output::{LogFile, PidFile};
pub use publish::{
    PortProblem, Publication, Published, check_own_addresses, check_ports, own_addresses,
    publication, resolve, stunnel_words,
};
pub use report::report;
pub use routes::{Gateway, check_routes, routes};

/// syslog's severity of a warning (RFC 5424 §6.2.1).
pub const WARNING: u8 = 4;

/// How the warning begins that a secret is open to every user of this host; the path follows.
pub const INSECURE: &str = "Insecure file permissions on ";

/// A configuration as it was found on this host.
pub struct Found {
    /// The path of its first file, as the user named it.
    pub path: String,
    /// What it says, or what is wrong with it.
    pub examination: Examination,
    /// Its files, for the boot archive.
    pub recording: Recording,
}

/// Reads a configuration and every file that it names. `-` is standard input.
///
/// Warnings about files that every user of the host may read are among the examination's
/// notices.
pub fn find(path: &str, passphrases: Passphrases) -> Found {
    let mut files = HostFiles::new(passphrases);
    let mut found = find_in(path, &mut files);
    let warnings = exposed(&files, &found.examination);
    let Examination {
        notices,
        configuration,
        ..
    } = &mut found.examination;
    notices.extend(warnings);
    in_order(notices);
    if let Some(configuration) = configuration {
        configuration.notices.clone_from(notices);
    }
    found
}

/// Reads a configuration and every file that it names out of these files, which need not all be on
/// this host.
pub fn find_in(path: &str, files: impl Files) -> Found {
    let mut recorder = Recorder::new(files);
    let mut examination = examine(path, &mut recorder);
    let recording = recorder.into_files();
    in_order(&mut examination.notices);
    if let Some(configuration) = &mut examination.configuration {
        configuration.notices.clone_from(&examination.notices);
    }
    Found {
        path: path.to_owned(),
        examination,
        recording,
    }
}

/// Sorts notices by their lines; files stay in the order in which they come up.
pub fn in_order(notices: &mut [Notice]) {
    let mut files: Vec<Arc<str>> = Vec::new();
    for notice in notices.iter() {
        if !files.contains(&notice.origin.file) {
            files.push(Arc::clone(&notice.origin.file));
        }
    }
    notices.sort_by_key(|notice| {
        let file = files.iter().position(|file| *file == notice.origin.file);
        (file, notice.origin.line)
    });
}

/// One warning for each file with a secret in it that others may read, at the option that names
/// it.
fn exposed(files: &HostFiles, examination: &Examination) -> Vec<Notice> {
    let named = |option: &str| matches!(option, "cert" | "key" | "PSKsecrets");
    let mut warned: Vec<&str> = Vec::new();
    let mut warnings = Vec::new();
    for reported in &examination.report {
        let path = reported.value.as_str();
        if !named(reported.option) || warned.contains(&path) {
            continue;
        }
        let secrets_file = reported.option == "PSKsecrets"
            && fs::metadata(path).is_ok_and(|found| files::is_exposed(&found));
        if secrets_file || files.exposed().any(|file| file == path) {
            warned.push(path);
            warnings.push(Notice {
                origin: reported.origin.clone(),
                level: WARNING,
                text: format!("{INSECURE}{path}: every user of this host may use it"),
            });
        }
    }
    warnings
}

/// The word of the image's command line that leads to a packed configuration:
/// `--conf=file:NAME`.
///
/// # Errors
///
/// There are more files than a boot archive takes.
pub fn word(found: &Found) -> Result<String, Error> {
    let mut archive = Builder::new();
    let entry = found
        .recording
        .pack(&mut archive, &found.path)
        .map_err(Error::Archive)?;
    // Without an entry the file could not be read, which the examination's errors tell.
    Ok(format!("--conf=file:{}", entry.unwrap_or_default()))
}

/// A line for the terminal: place and text, a warning marked as one.
pub fn notice_line(notice: &Notice) -> String {
    let word = if notice.level <= WARNING {
        "warning: "
    } else {
        ""
    };
    format!("{}: {word}{}", notice.origin, notice.text)
}

/// Errors as lines for the terminal, followed by the verdict that stunnel gives.
pub fn error_lines<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    let mut text = String::new();
    for error in errors {
        text += &format!("{error}\n");
    }
    text + "Configuration failed\n"
}
