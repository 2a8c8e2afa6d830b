//! What is said of the image's own life: what it was told, and how it ends.

use core::{fmt, time::Duration};

use super::{Lines, Severity};

impl Lines<'_> {
    /// A new configuration was refused; the one before goes on.
    pub fn configuration_stays(&mut self) {
        self.line(
            Severity::Notice,
            format_args!("The configuration before stays in force"),
        );
    }

    /// Something came over the management channel that is no order.
    pub fn order_not_understood(&mut self, error: &dyn fmt::Display) {
        self.line(Severity::Error, format_args!("Management channel: {error}"));
    }

    /// The address that DHCP gave is no longer ours.
    pub fn lease_lost(&mut self) {
        self.line(
            Severity::Warning,
            format_args!("network: the DHCP lease is lost; asking again"),
        );
    }

    /// The image was told to stop.
    pub fn stopping(&mut self, sessions: usize, drain: Duration) {
        self.line(
            Severity::Notice,
            format_args!(
                "Stopping: no more connections; {sessions} session(s) have {} ms to end",
                drain.as_millis()
            ),
        );
    }

    /// The image ends because it was told to.
    pub fn terminated(&mut self) {
        self.line(Severity::Notice, format_args!("Terminated"));
    }
}
