//! What ends when nothing moves. No time is asserted: a second service of the same configuration
//! always has the timeout, and its connections, opened later, end first or do not.

use std::io::{Read, Write};
use std::net::SocketAddr;

use stockade_tests::client::TlsStream;

use super::super::Row;
use super::super::probes::{
    GRACE, Stuck, end, idle, outlives, outlives_half_closed, silent, tls, yes,
};
use super::super::stage::Stage;
use super::row;

/// The tested service and the control service, both with these lines.
macro_rules! both {
    ($lines:expr) => {
        concat!(
            "[tested]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.pem\n",
            $lines,
            "\n[control]\naccept = {other}\nconnect = {backend}\ncert = {dir}/server.pem\n",
            $lines,
            "\n"
        )
    };
}

/// The backend behind a first address that never answers.
macro_rules! behind {
    ($port:expr, $lines:expr) => {
        concat!(
            "accept = ",
            $port,
            "\nconnect = {peer}\nconnect = {backend}\ncert = {dir}/server.pem\n",
            $lines,
            "\n"
        )
    };
}

pub fn timeouts() -> Vec<Row> {
    vec![
        row(
            "TIMEOUTbusy",
            "a client that says nothing",
            both!("TIMEOUTbusy = 1"),
            |stage| outlives(stage, silent),
            "ended",
            "open",
        ),
        row(
            "TIMEOUTidle",
            "a connection that is quiet",
            both!("TIMEOUTidle = 1"),
            |stage| outlives(stage, idle),
            "ended",
            "open",
        ),
        row(
            "TIMEOUTclose",
            "a connection with one side ended",
            both!("TIMEOUTclose = 1"),
            outlives_half_closed,
            "ended",
            "open",
        ),
        row(
            "TIMEOUTclose",
            "0",
            both!("TIMEOUTclose = 0"),
            outlives_half_closed,
            "ended",
            "open",
        ),
        row(
            "TIMEOUTconnect",
            "an address that does not answer",
            concat!(
                "[tested]\n",
                behind!("{port}", "TIMEOUTconnect = 1"),
                "[control]\n",
                behind!("{other}", "TIMEOUTconnect = 1")
            ),
            overtakes,
            "served",
            "waits",
        ),
        row(
            "reset",
            "an error",
            "[tested]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.pem\n\
             TIMEOUTbusy = 1\nreset = no\n",
            |stage| end(&silent(stage.port)).to_owned(),
            "closed",
            "reset",
        ),
    ]
}

/// Whether a connection opened first is served by the time that two of the control service are.
fn overtakes(stage: &Stage) -> String {
    let _stuck = Stuck::listen(stage.peer);
    let ask = |server: SocketAddr| -> TlsStream {
        let mut stream = tls(server);
        stream.write_all(b"DOWN 5\n").expect("taken");
        stream
    };
    let mut tested = ask(stage.port);
    for _ in 0..2 {
        let mut control = ask(stage.other);
        control.read_exact(&mut [0; 5]).expect("the second address");
    }
    tested.tcp().set_read_timeout(Some(GRACE)).expect("open");
    yes(tested.read_exact(&mut [0; 5]).is_ok(), "served", "waits")
}
