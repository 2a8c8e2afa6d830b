//! The log file and the pid file.

use std::fs;
use std::process;

use stockade_config::stunnel::{Facility, Global};

use super::super::{LogFile, PidFile};
use super::Folder;

fn global(output: &str, append: bool) -> Global {
    Global {
        debug: 5,
        facility: Facility::Daemon,
        foreground: false,
        output: Some(output.to_owned()),
        append,
        syslog: true,
        pid: None,
        service: "stunnel".to_owned(),
    }
}

#[test]
fn a_log_is_continued_or_begun_anew_as_the_option_says() {
    let folder = Folder::new("log");
    let path = folder.write("stunnel.log", b"old\n");
    let log = LogFile::open(&global(&path, true)).unwrap().unwrap();
    log.write_line("one");
    log.write_line("two");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\none\ntwo\n");

    let log = LogFile::open(&global(&path, false)).unwrap().unwrap();
    log.write_line("three");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_log_that_was_moved_is_made_anew() {
    let folder = Folder::new("rotate");
    let (path, moved) = (folder.path("stunnel.log"), folder.path("stunnel.log.1"));
    let log = LogFile::open(&global(&path, false)).unwrap().unwrap();
    log.write_line("one");
    fs::rename(&path, &moved).unwrap();
    log.write_line("two");
    log.reopen().unwrap();
    log.write_line("three");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn standard_output_is_no_log_file_and_a_missing_folder_is_told() {
    assert!(
        LogFile::open(&global("/dev/stdout", true))
            .unwrap()
            .is_none()
    );
    let error = LogFile::open(&global("/no/such/folder/log", true)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cannot open log file: /no/such/folder/log: No such file or directory (2)"
    );
}

#[test]
fn the_pid_file_holds_our_number_and_goes_with_us() {
    let folder = Folder::new("pid");
    let path = folder.write("stunnel.pid", b"of one that was killed\n");
    let file = PidFile::write(&path).unwrap();
    let ours = format!("{}\n", process::id());
    assert_eq!(fs::read_to_string(&path).unwrap(), ours);
    drop(file);
    assert!(!fs::exists(&path).unwrap());

    let file = PidFile::write(&path).unwrap();
    fs::write(&path, "1\n").unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");

    let error = PidFile::write("/no/such/folder/pid").unwrap_err();
    assert_eq!(
        error.to_string(),
        "Cannot create pid file /no/such/folder/pid: No such file or directory (2)"
    );
}
