//! The rows, by subject.

mod endpoints;
mod negotiation;
mod sessions;
mod the_rest;
mod timeouts;
mod verification;

pub use endpoints::endpoints;
pub use negotiation::negotiation;
pub use sessions::sessions;
pub use the_rest::the_rest;
pub use timeouts::timeouts;
pub use verification::{certificates, verification};

use super::{On, Probe, Row};

/// A server with these lines.
macro_rules! server {
    ($lines:expr) => {
        concat!(
            "[tested]\naccept = {port}\nconnect = {backend}\ncert = {dir}/server.pem\n",
            $lines,
            "\n"
        )
    };
}
/// A client with these lines, which dials the probe.
macro_rules! client {
    ($lines:expr) => {
        concat!(
            "[tested]\nclient = yes\naccept = {port}\nconnect = {peer}\n",
            $lines,
            "\n"
        )
    };
}
use {client, server};

/// A row for every subject.
fn row(
    option: &'static str,
    about: &'static str,
    conf: &'static str,
    probe: Probe,
    with: &'static str,
    without: &'static str,
) -> Row {
    Row {
        option,
        about,
        conf,
        probe,
        with,
        without,
        on: On::All,
    }
}

impl Row {
    /// For a tunnel on a TAP device alone.
    fn on_a_tap(self) -> Row {
        Row {
            on: On::Tap,
            ..self
        }
    }
}
