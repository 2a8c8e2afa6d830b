//! Logs, sockets and what else a service has.

use std::thread;
use std::time::Duration;

use stockade_tests::wait_until;

use super::super::probes::{GRACE, idle, served, shake, yes};
use super::super::stage::Stage;
use super::super::{REFUSED, Row};
use super::{row, server};

/// Several times the interval at which probes come, if any do.
const LIMIT: Duration = Duration::from_secs(8);

/// More frames than neighbours asking for each other's addresses send in that time.
const FRAMES: u64 = 4;

/// Whether a connection leaves lines of the most talkative level.
fn talks(stage: &Stage) -> String {
    assert!(shake(stage, &[]).is_served());
    stage.wait_for("closed");
    yes(stage.count("LOG7[") > 0, "talks", "is brief")
}

/// Whether frames come from the tunnel while nothing moves.
fn probes(stage: &Stage) -> String {
    let _idle = idle(stage.port);
    // What ends the exchange, acknowledgements included.
    thread::sleep(GRACE);
    let before = stage.scene.tap.frames_from_guest();
    let come = || (stage.scene.tap.frames_from_guest() >= before + FRAMES).then_some(());
    yes(wait_until(LIMIT, come).is_some(), "probes", "silent")
}

pub fn the_rest() -> Vec<Row> {
    vec![
        row(
            "debug",
            "of the process",
            concat!(
                "foreground = yes\nsyslog = no\npid =\ndebug = 7\n",
                server!("")
            ),
            talks,
            "talks",
            "is brief",
        ),
        row(
            "debug",
            "of a service",
            concat!(
                "foreground = yes\nsyslog = no\npid =\n",
                server!("debug = debug")
            ),
            talks,
            "talks",
            "is brief",
        ),
        row(
            "fips",
            "yes",
            concat!("fips = yes\n", server!("")),
            served,
            REFUSED,
            "served",
        ),
        row(
            "logId",
            "unique",
            server!("logId = unique"),
            |stage| {
                assert!(shake(stage, &[]).is_served());
                let line = stage.wait_for("accepted connection from");
                let id = line.split(['[', ']']).nth(1).unwrap_or_default();
                yes(id.parse::<u32>().is_ok(), "a number", "a word")
            },
            "a word",
            "a number",
        ),
        row(
            "socket",
            "SO_KEEPALIVE",
            server!(
                "socket = l:SO_KEEPALIVE=1\nsocket = l:TCP_KEEPIDLE=1\nsocket = l:TCP_KEEPINTVL=1"
            ),
            probes,
            "probes",
            "silent",
        )
        // Others keep their connections on the loopback interface, whose frames nobody counts.
        .on_a_tap(),
    ]
}
