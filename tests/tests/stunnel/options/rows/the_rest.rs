//! Logs, sockets and what else a service has.

use super::super::probes::{served, shake, yes};
use super::super::stage::Stage;
use super::super::{REFUSED, Row};
use super::{row, server};

/// Whether a connection leaves lines of the most talkative level.
fn talks(stage: &Stage) -> String {
    assert!(shake(stage, &[]).is_served());
    stage.wait_for("closed");
    yes(stage.count("LOG7[") > 0, "talks", "is brief")
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
    ]
}
