//! Images that speak the management channel.

use super::console::kill;
use super::stand_in::{become_image, wait_for};
use super::*;

fn start(role: &str) -> Trial {
    let trial = Trial::start(&format!("role={role}\n{}", become_image()));
    trial.ready();
    trial
}

#[test]
fn readiness_events_and_status_come_over_the_channel() {
    let trial = start("serve");
    let ready = trial.ready();
    assert_eq!(ready.services[0].backend, "old configuration 0");
    let status = trial.launcher().status(SOON);
    assert_eq!(status.image.unwrap().sessions, 3);
    let records = trial.launcher().events_since(1, 2).records;
    for (record, number) in records.iter().zip(1..) {
        assert_eq!(record.text, format!("image event {number}"));
        assert_eq!(
            (record.service.as_str(), record.connection.as_str()),
            ("web", "7")
        );
        assert_eq!(
            (record.severity, record.kind.word()),
            (6, "backend-refused")
        );
        assert_eq!(
            record
                .time
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_micros(),
            1_700_000_000_000_000 + number
        );
    }
    // The console's lines are those same events: they are not told twice.
    assert_eq!(
        trial.words(),
        ["started", "backend-refused", "backend-refused", "ready"]
    );
}

#[test]
fn a_stop_is_orderly_and_loses_no_event() {
    let trial = start("serve");
    assert_eq!(trial.launcher().stop(SOON), End::Stopped);
    assert_eq!(trial.events().last().unwrap().1, "image event 3");
    assert!(trial.launcher().reload().is_err());
    assert_eq!(trial.launcher().stop(Duration::ZERO), End::Stopped);
}

#[test]
fn an_image_that_does_not_stop_is_ended_by_a_second_stop_that_gives_less_time() {
    let trial = start("deaf");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| trial.launcher().stop(Duration::from_secs(600)));
        trial.wait_for("the stop", |status| status.phase == Phase::Stopping);
        assert_eq!(trial.launcher().stop(Duration::ZERO), End::Killed);
        assert_eq!(first.join().unwrap(), End::Killed);
    });
}

#[test]
fn a_new_configuration_is_taken() {
    let trial = start("serve");
    for revision in 2..5 {
        trial.set(&format!("good {revision}"));
        assert_eq!(trial.launcher().reload().unwrap().revision, revision);
        trial.wait_for("its services", |status| {
            status.services[0].backend == format!("old configuration {revision}")
        });
    }
    let status = trial.launcher().status(SOON);
    assert_eq!((status.revision, status.starts), (4, 1));
}

#[test]
fn a_refused_configuration_leaves_the_old_one() {
    let trial = start("serve");
    trial.set("bad");
    let errors = trial.launcher().reload().unwrap_err();
    assert_eq!(errors, ["cert.pem: this is bad", "and so on"]);
    assert_eq!(trial.launcher().status(SOON).revision, 1);
    assert_eq!(*trial.words().last().unwrap(), "reload-refused");
    // A machine that takes this one's place has the old one, too.
    kill(trial.launcher().status(SOON).qemu_pid.unwrap());
    trial.wait_for("another machine", |status| {
        status.starts == 2 && status.phase == Phase::Serving
    });
    trial.set("good again");
    assert_eq!(trial.launcher().reload().unwrap().revision, 2);
}

#[test]
fn a_configuration_that_cannot_be_read_is_an_event_too() {
    let trial = start("serve");
    trial.set("unreadable");
    let errors = trial.launcher().reload().unwrap_err();
    assert_eq!(errors, ["line 1: no", "line 2: no"]);
    let events = trial.launcher().events_since(0, 100);
    let refusal = events.records.last().unwrap();
    assert_eq!(refusal.kind.word(), "reload-refused");
    assert!(
        refusal.text.ends_with("line 1: no\nline 2: no"),
        "{refusal}"
    );
}

#[test]
fn a_machine_that_takes_another_one_s_place_has_the_newest_configuration() {
    let trial = start("serve");
    trial.set("new");
    trial.launcher().reload().unwrap();
    trial.set("unreadable");
    kill(trial.launcher().status(SOON).qemu_pid.unwrap());
    let status = trial.wait_for("another machine", |status| {
        status.starts == 2 && status.phase == Phase::Serving
    });
    assert_eq!(status.revision, 2);
    assert_eq!(status.services[0].backend, "new configuration 0");
}

#[test]
fn a_configuration_that_is_too_large_is_not_sent() {
    let trial = start("serve");
    trial.set(&"x".repeat(8192));
    let errors = trial.launcher().reload().unwrap_err();
    assert!(errors[0].contains("room for 4096"), "{errors:?}");
}

#[test]
fn a_machine_that_dies_of_a_configuration_is_replaced_by_one_with_the_old() {
    let trial = start("serve");
    trial.set("die");
    let errors = trial.launcher().reload().unwrap_err();
    assert!(errors[0].contains("the next one has the old"), "{errors:?}");
    let status = trial.wait_for("another machine", |status| {
        status.starts == 2 && status.phase == Phase::Serving
    });
    assert_eq!(status.revision, 1);
}

#[test]
fn a_reload_while_a_machine_boots_waits_for_it() {
    let trial = Trial::start(&format!("role=late\n{}", become_image()));
    std::thread::scope(|scope| {
        trial.set("good and new");
        let reload = scope.spawn(|| trial.launcher().reload());
        std::thread::sleep(Duration::from_millis(100));
        assert!(!reload.is_finished());
        trial.touch("go");
        assert_eq!(reload.join().unwrap().unwrap().revision, 2);
    });
    assert_eq!(trial.launcher().status(SOON).starts, 1);
}

/// A launcher whose machine has crashed and that would pause for long.
fn pausing() -> Trial {
    let script = format!("role=serve\n[ $n = 1 ] && exit 37\n{}", become_image());
    let trial = Trial::start_with(&script, |options| {
        options.pauses.first = Duration::from_secs(600);
        options.pauses.longest = Duration::from_secs(600);
    });
    trial.wait_for("the pause", |status| status.phase == Phase::Restarting);
    trial
}

#[test]
fn a_reload_between_two_machines_starts_one_at_once() {
    let trial = pausing();
    trial.set("good and new");
    assert_eq!(trial.launcher().reload().unwrap().revision, 2);
    let status = trial.wait_for("service", |status| status.phase == Phase::Serving);
    assert_eq!((status.revision, status.starts), (2, 2));
}

#[test]
fn a_bad_reload_between_two_machines_goes_back_to_the_old_configuration() {
    let trial = pausing();
    trial.set("bad");
    let errors = trial.launcher().reload().unwrap_err();
    assert_eq!(
        errors,
        ["2026.01.02 03:04:05 LOG3[ui]: cert.pem: this is bad"]
    );
    let status = trial.wait_for("service", |status| status.phase == Phase::Serving);
    assert_eq!((status.revision, status.starts), (1, 3));
}

#[test]
fn a_stop_ends_a_reload_that_is_on_its_way() {
    let trial = start("serve");
    trial.set("wait");
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| trial.launcher().reload());
        wait_for(&trial.directory.join("asked"));
        assert_eq!(trial.launcher().stop(SOON), End::Stopped);
        assert_eq!(
            reload.join().unwrap().unwrap_err(),
            ["the launcher is being stopped"]
        );
    });
}

#[test]
fn events_that_are_missing_are_told() {
    let trial = start("gap");
    let told: Vec<String> = trial
        .events()
        .into_iter()
        .map(|(word, text)| match word {
            "backend-refused" => text,
            other => other.to_owned(),
        })
        .collect();
    let expect = [
        "started",
        "image event 1",
        "lost",
        "image event 5",
        "lost",
        "image event 8",
        "ready",
    ];
    assert_eq!(told, expect);
    let lost = trial.launcher().events_since(0, 100).records.into_iter();
    let lost: Vec<Kind> = lost
        .map(|record| record.kind)
        .filter(|kind| kind.word() == "lost")
        .collect();
    assert_eq!(lost, [Kind::Lost(3), Kind::Lost(2)]);
}

#[test]
fn the_service_manager_is_told() {
    let directory = std::env::temp_dir().join(format!("stockade-notify-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let hear = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let script = format!("role=serve\n{}", become_image());
    let trial = Trial::start_with(&script, |options| {
        options.notify = Notify::at(path.to_str().unwrap()).unwrap();
    });
    assert!(hear().starts_with("READY=1\nSTATUS=Serving, "));
    trial.set("bad");
    trial.launcher().reload().unwrap_err();
    let reloading = hear();
    let micros = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(micros.trim_end().parse::<u64>().unwrap() > 0);
    assert_eq!(
        hear(),
        "READY=1\nSTATUS=Serving by the old configuration; the new one was refused\n"
    );
    trial.launcher().stop(SOON);
    assert_eq!(hear(), "STOPPING=1\nSTATUS=Stopping\n");
    let _ = fs::remove_dir_all(&directory);
}
