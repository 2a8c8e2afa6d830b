//! Resumption.

use std::thread;
use std::time::Duration;

use super::super::probes::{BY_ID, resumes, shake, yes};
use super::super::stage::Stage;
use super::super::{REFUSED, Row};
use super::{row, server};

/// Keys of AES-256 and of the authentication beside it, in hex.
const KEYS: &str = server!(
    "ticketKeySecret = 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
     ticketMacSecret = 202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
);

/// Longer than a lifetime of one second, however the seconds are counted.
const LATER: Duration = Duration::from_millis(2500);

fn by_id_later(stage: &Stage) -> String {
    resumes(stage, BY_ID, || thread::sleep(LATER))
}

fn after_a_restart(stage: &Stage) -> String {
    resumes(stage, &["-tls1_2"], || stage.restart())
}

pub fn sessions() -> Vec<Row> {
    vec![
        row(
            "sessionResume",
            "by ticket",
            server!("sessionResume = no"),
            |stage| resumes(stage, &["-tls1_2"], || ()),
            "new",
            "reused",
        ),
        row(
            "sessionResume",
            "by session id",
            server!("sessionResume = no"),
            |stage| resumes(stage, BY_ID, || ()),
            "new",
            "reused",
        ),
        row(
            "sessionCacheSize",
            "1",
            server!("sessionCacheSize = 1"),
            |stage| {
                resumes(stage, BY_ID, || {
                    assert!(shake(stage, BY_ID).is_served());
                })
            },
            "new",
            "reused",
        ),
        row(
            "sessionCacheTimeout",
            "1",
            server!("sessionCacheTimeout = 1"),
            by_id_later,
            "new",
            "reused",
        ),
        row(
            "session",
            "another name of sessionCacheTimeout",
            server!("session = 1"),
            by_id_later,
            "new",
            "reused",
        ),
        row(
            "options",
            "NO_TICKET",
            server!("options = NO_TICKET"),
            |stage| {
                yes(
                    shake(stage, &["-tls1_2"]).has_ticket(),
                    "ticket",
                    "no ticket",
                )
            },
            "no ticket",
            "ticket",
        ),
        row(
            "ticketKeySecret",
            "alone",
            KEYS,
            after_a_restart,
            "reused",
            REFUSED,
        ),
        row(
            "ticketMacSecret",
            "alone",
            KEYS,
            after_a_restart,
            "reused",
            REFUSED,
        ),
    ]
}
