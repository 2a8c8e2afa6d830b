//! The handle, over a shell in QEMU's place.

use stockade_config::exit::ExitStatus as Status;

use super::*;

const SOON: Duration = Duration::from_secs(20);

fn start(script: &str) -> Vm {
    let mut command = process::bound_to_us("sh").unwrap();
    command
        .args(["-c", script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    Vm::start(command, Vec::new(), Watch::lines(|_| {})).unwrap()
}

#[test]
fn ready_is_found_among_the_lines() {
    let vm = start(
        "printf 'one\\r\\n[0.1] INFO ready: accepting on 10.0.2.15:443\\r\\n'; exec sleep 60",
    );
    assert_eq!(
        vm.wait_ready(SOON).unwrap().text,
        "[0.1] INFO ready: accepting on 10.0.2.15:443"
    );
    assert_eq!(vm.console()[0].text, "one");
    assert_eq!(vm.try_wait(), None);
}

#[test]
fn an_early_end_shows_its_reason_and_the_console() {
    let vm = start("echo cannot; echo trouble >&2; exit 35");
    let error = vm.wait_ready(SOON).unwrap_err();
    let Error::Ended { outcome, messages } = &error else {
        panic!("{error}")
    };
    assert_eq!(*outcome, Outcome::Image(Status::Configuration));
    assert!(messages.contains("console: cannot"), "{messages}");
}

#[test]
fn waiting_ends_although_the_machine_runs_on() {
    let vm = start("echo here; exec sleep 60");
    let error = vm.wait_ready(Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(vm.wait(Duration::from_millis(10)), None);
}

#[test]
fn a_dropped_handle_leaves_no_process() {
    let vm = start("echo here; exec sleep 60");
    vm.wait_line(0, SOON, |line| line == "here").unwrap();
    let process = format!("/proc/{}", vm.pid());
    assert!(std::path::Path::new(&process).exists());
    drop(vm);
    assert!(!std::path::Path::new(&process).exists());
}

#[test]
fn a_process_outlives_the_thread_that_asked_for_it() {
    let vm = thread::spawn(|| start("echo here; sleep 1; echo there"))
        .join()
        .unwrap();
    assert_eq!(
        vm.wait_line(0, SOON, |line| line == "there").unwrap().text,
        "there"
    );
}

#[test]
fn statuses_are_mapped() {
    for (code, expect) in [
        (0, Outcome::PoweredOff),
        (1, Outcome::Qemu),
        (33, Outcome::Image(Status::CleanShutdown)),
        (37, Outcome::Image(Status::Panic)),
        (43, Outcome::Image(Status::NoEntropy)),
        (3, Outcome::Unknown(3)),
    ] {
        assert_eq!(start(&format!("exit {code}")).wait(SOON), Some(expect));
    }
    assert_eq!(start("kill -9 $$").wait(SOON), Some(Outcome::Unknown(-9)));
}

#[test]
fn overlong_lines_are_cut_and_none_is_lost() {
    let vm = start("head -c 200000 /dev/zero | tr '\\0' x; echo; echo end");
    vm.wait_line(0, SOON, |line| line == "end").unwrap();
    let lines = vm.console();
    let all: usize = lines[..lines.len() - 1]
        .iter()
        .map(|line| line.text.len())
        .sum();
    assert_eq!(all, 200_000);
}

#[test]
fn the_newest_lines_are_kept_under_their_numbers() {
    let mut kept = Kept::new(3);
    (0..5).for_each(|line| kept.push(line));
    assert_eq!(kept.count(), 5);
    assert_eq!(kept.since(0).copied().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(kept.since(4).copied().collect::<Vec<_>>(), [4]);
    assert_eq!(kept.since(5).count(), 0);
}
