//! Images without a management channel: their console is all there is.

use super::*;
use crate::{ExitStatus, Outcome};

#[test]
fn readiness_and_events_come_from_the_console() {
    let trial = Trial::start(&format!(
        "echo '2026.01.02 03:04:05 LOG4[ui]: careful'; {SERVE}"
    ));
    let ready = trial.ready();
    assert_eq!((ready.revision, ready.services), (1, Vec::new()));
    let status = trial.launcher().status(SOON);
    assert_eq!((status.phase, status.starts), (Phase::Serving, 1));
    assert!(!status.has_channel && status.image.is_none());
    assert!(status.qemu_pid.is_some() && status.serving.is_some());
    let events = trial.events();
    let line = events.iter().find(|(_, text)| text.contains("careful"));
    assert_eq!(line.unwrap().0, "line");
    let record = trial.launcher().events_since(1, 1).records.remove(0);
    assert_eq!((record.number, record.machine, record.severity), (2, 1, 4));
    assert_eq!(trial.launcher().stop(SOON), End::Killed);
    assert_eq!(trial.launcher().wait(Duration::ZERO), Some(End::Killed));
    assert!(matches!(
        trial.launcher().wait_ready(SOON),
        Err(Error::Stopped)
    ));
}

#[test]
fn every_line_of_the_console_is_shown_once() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&shown);
    let trial = Trial::start_with(&format!("echo one; echo two; {SERVE}"), |options| {
        options.on_line = Box::new(move |line| sink.lock().unwrap().push(line.to_owned()));
    });
    trial.ready();
    drop(trial);
    assert_eq!(shown.lock().unwrap()[..2], ["one", "two"]);
    assert_eq!(shown.lock().unwrap().len(), 3);
}

#[test]
fn a_crash_is_followed_by_another_machine_and_its_last_words_are_kept() {
    let trial = Trial::start(&format!(
        "[ $n = 2 ] && {{ {SERVE}; }}
         for i in $(seq 100); do echo line $i; done
         echo '[0.1] ready: accepting on 10.0.2.15:443'
         while [ ! -e $dir/crash ]; do sleep 0.05; done
         echo 'panicked at somewhere'; echo qemu says >&2; exit 37"
    ));
    trial.ready();
    trial.touch("crash");
    let status = trial.wait_for("the second machine", |status| {
        status.starts == 2 && status.phase == Phase::Serving
    });
    let words = status.last_words.unwrap();
    assert_eq!(words.outcome, Outcome::Image(ExitStatus::Panic));
    assert_eq!(words.console.len(), 50);
    assert_eq!(words.console.last().unwrap(), "panicked at somewhere");
    assert_eq!(words.messages, ["qemu says"]);
    let events = trial.events();
    let own: Vec<&str> = events
        .iter()
        .map(|(word, _)| *word)
        .filter(|word| *word != "line")
        .collect();
    assert_eq!(
        own,
        [
            "started",
            "ready",
            "ended",
            "restarting",
            "started",
            "ready"
        ]
    );
    let (_, text) = events.iter().find(|(word, _)| *word == "ended").unwrap();
    assert!(
        text.contains("panicked at somewhere") && text.contains("qemu says"),
        "{text}"
    );
}

#[test]
fn qemu_that_is_killed_is_replaced() {
    let trial = Trial::start(SERVE);
    trial.ready();
    for starts in 2..5 {
        let pid = trial.launcher().status(SOON).qemu_pid.unwrap();
        kill(pid);
        trial.wait_for("another machine", |status| {
            status.starts == starts && status.phase == Phase::Serving
        });
    }
    assert_eq!(
        trial.launcher().status(SOON).last_words.unwrap().outcome,
        Outcome::Unknown(-9)
    );
}

#[test]
fn a_refused_configuration_is_final_and_says_why() {
    let trial =
        Trial::start("echo 'on the way'; echo 'now LOG3[ui]: line 7: no such option'; exit 35");
    let Some(End::Failed { reason, last_words }) = trial.launcher().wait(SOON) else {
        panic!("it goes on")
    };
    assert!(
        reason.starts_with("the image refused its configuration"),
        "{reason}"
    );
    assert_eq!(last_words.unwrap().console.len(), 2);
    let error = trial.launcher().wait_ready(SOON).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&reason) && text.contains("line 7: no such option"),
        "{text}"
    );
    assert!(!text.contains("on the way"), "{text}");
    assert_eq!(trial.launcher().status(SOON).starts, 1);
}

#[test]
fn a_machine_that_fails_twice_alike_before_any_has_served_is_final() {
    let trial = Trial::start("echo cannot set up guest memory >&2; exit 1");
    let Some(End::Failed { reason, last_words }) = trial.launcher().wait(SOON) else {
        panic!("it goes on")
    };
    assert!(reason.contains("QEMU itself failed"), "{reason}");
    assert_eq!(last_words.unwrap().messages, ["cannot set up guest memory"]);
    assert_eq!(trial.launcher().status(SOON).starts, 2);
}

#[test]
fn failures_that_differ_are_tried_again() {
    let trial = Trial::start(&format!(
        "case $n in 1) exit 37;; 2) exit 45;; 3) exit 37;; esac; {SERVE}"
    ));
    trial.ready();
    assert_eq!(trial.launcher().status(SOON).starts, 4);
}

#[test]
fn what_is_not_installed_is_said_at_once() {
    let (_trial, mut options) = Trial::new("");
    options.machinery.program = "qemu-system-of-nowhere".to_owned();
    let error = Launcher::start(options).err().unwrap();
    assert!(matches!(error, Error::Start { .. }), "{error:?}");
    assert!(
        error.to_string().contains("qemu-system-of-nowhere"),
        "{error}"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_starts_nothing() {
    let (trial, options) = Trial::new("");
    trial.set("unreadable");
    let error = Launcher::start(options).err().unwrap();
    assert_eq!(error.to_string(), "line 1: no\nline 2: no");
    assert!(!trial.directory.join("starts").exists());
}

#[test]
fn qemu_without_seccomp_or_console_does_without() {
    let trial = Trial::start(&format!(
        "case \"$*\" in
           *-sandbox*) echo '-sandbox support is not enabled in this QEMU binary' >&2; exit 1;;
           *virtconsole*) echo \"'virtio-serial-device' is not a valid device model name\" >&2; exit 1;;
         esac
         {SERVE}"
    ));
    trial.ready();
    let status = trial.launcher().status(SOON);
    assert_eq!((status.starts, status.last_words), (3, None));
}

#[test]
fn a_stop_between_two_machines_ends_at_once() {
    let trial = Trial::start_with("exit 37", |options| {
        options.pauses.first = Duration::from_secs(600);
        options.pauses.longest = Duration::from_secs(600);
    });
    trial.wait_for("the pause", |status| status.phase == Phase::Restarting);
    assert_eq!(trial.launcher().stop(SOON), End::Killed);
    assert_eq!(trial.launcher().status(SOON).starts, 1);
    assert_eq!(
        trial.words(),
        ["started", "ended", "restarting", "stopping"]
    );
}

#[test]
fn a_stop_while_a_machine_boots_ends_it() {
    let trial = Trial::start("exec sleep 600");
    let pid = trial.launcher().status(SOON).qemu_pid.unwrap();
    assert_eq!(trial.launcher().stop(SOON), End::Killed);
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
}

#[test]
fn a_reload_needs_the_channel() {
    let trial = Trial::start(SERVE);
    trial.ready();
    let errors = trial.launcher().reload().unwrap_err();
    assert!(errors[0].contains("no management channel"), "{errors:?}");
    trial.set("unreadable");
    assert_eq!(trial.launcher().reload().unwrap_err().len(), 2);
}

#[test]
fn waiting_has_an_end() {
    let trial = Trial::start("exec sleep 600");
    let error = trial
        .launcher()
        .wait_ready(Duration::from_millis(50))
        .unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(trial.launcher().wait(Duration::from_millis(50)), None);
}

#[test]
fn a_panic_of_the_caller_s_function_ends_the_launcher_and_the_machine() {
    let (mut trial, mut options) = Trial::new(SERVE);
    options.on_event = Box::new(|record| assert_ne!(record.kind, Kind::Ready, "on purpose"));
    trial.launcher = Some(Launcher::start(options).unwrap());
    let pid = trial.launcher().status(SOON).qemu_pid.unwrap();
    let end = trial.launcher().wait(SOON);
    assert!(matches!(end, Some(End::Failed { .. })), "{end:?}");
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
}

/// Kills a process of ours.
pub(super) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_caller_s_function_that_waits_for_ever_does_not_keep_a_stop_from_ending() {
    let (held, hold) = std::sync::mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let (mut trial, mut options) = Trial::new(SERVE);
    options.on_line = Box::new(move |_| assert!(hold.lock().unwrap().recv().is_err()));
    trial.launcher = Some(Launcher::start(options).unwrap());
    let pid = trial.launcher().status(SOON).qemu_pid.unwrap();
    assert_eq!(trial.launcher().stop(Duration::ZERO), End::Killed);
    assert!(!PathBuf::from(format!("/proc/{pid}")).exists());
    drop(held);
}
