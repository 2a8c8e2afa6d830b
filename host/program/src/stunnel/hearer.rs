//! What the launcher and its image tell, as it gets into the log.

use std::sync::Arc;

use stockade_channel::Kind as Said;
use stockade_host::launch::{Kind, Record};
use stockade_host::network::by_host;

use super::level;
use super::log::Log;
use super::source::Place;

/// Logs what the launcher and its image tell.
pub(super) struct Hearer {
    pub(super) log: Log,
    /// Is told of each configuration that the image has found right.
    pub(super) on_verdict: Box<dyn Fn() + Send>,
    pub(super) place: Arc<Place>,
    /// Whether this process becomes another user.
    pub(super) is_someone: bool,
    /// Whether the image reaches this host's loopback under another address.
    pub(super) is_rootless: bool,
}

impl Hearer {
    /// What stunnel would not say at its usual level is told at a lower one, and what is said here in
    /// stunnel's order is not said twice.
    pub(super) fn hear(&self, record: &Record) {
        let log = &self.log;
        if record.beyond_log {
            return;
        }
        match record.kind {
            Kind::Image(Said::Listening) => {}
            Kind::Image(said) => {
                let text = self.place.line(&record.text);
                let is_tunnels = record.connection.is_empty();
                if is_tunnels && is_told_here(&text, self.is_someone) {
                    return;
                }
                if is_tunnels && text.ends_with(REACHED) {
                    return log.say(level::INFO, &text);
                }
                log.pass(record, self.by_host(text));
                if said == Said::ConfigurationSuccessful {
                    (self.on_verdict)();
                }
            }
            Kind::Started | Kind::Ready | Kind::Stopping => log.say(level::INFO, &record.text),
            Kind::Ended => {
                let first = record.text.lines().next().unwrap_or_default();
                log.say(level::ERROR, first);
            }
            Kind::Restarting => log.say(level::NOTICE, &record.text),
            Kind::Program => log.say(record.severity, &record.text),
            Kind::Lost(_) => log.say(level::WARNING, &record.text),
            // Who asked is told.
            _ => {}
        }
    }

    /// A line of the image with this host's loopback as this host knows it.
    fn by_host(&self, text: String) -> String {
        match self.is_rootless {
            true => by_host(&text),
            false => text,
        }
    }
}

/// How the image ends its line about a backend on this host.
const REACHED: &str = "is on the host, reached by the gateway";

/// Whether a line of the image is about what this process has said, or does itself.
fn is_told_here(text: &str, is_someone: bool) -> bool {
    let about_account = ["\"setuid", "\"setgid"]
        .iter()
        .any(|option| text.contains(option));
    matches!(text, "Terminated" | "Accepting new connections")
        || [
            "Stopping: ",
            "Reading configuration from ",
            "Initializing service ",
        ]
        .iter()
        .any(|head| text.starts_with(head))
        || is_someone && about_account && text.contains("has no effect")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stockade_host::network::{GATEWAY_IPV4, GATEWAY_IPV6};

    #[test]
    fn this_hosts_loopback_is_called_so() {
        let hearer = |is_rootless| Hearer {
            log: Log::new(),
            on_verdict: Box::new(|| {}),
            place: Arc::new(Place::of_file("/etc/a.conf")),
            is_someone: false,
            is_rootless,
        };
        let line = format!("s_connect: connected {GATEWAY_IPV4}:80 not 1{GATEWAY_IPV4}:80");
        assert_eq!(
            hearer(true).by_host(line.clone()),
            format!("s_connect: connected 127.0.0.1:80 not 1{GATEWAY_IPV4}:80")
        );
        assert_eq!(hearer(false).by_host(line.clone()), line);
        let six = format!("s_connect: connected {GATEWAY_IPV6}:80");
        assert_eq!(hearer(true).by_host(six), "s_connect: connected ::1:80");
    }

    #[test]
    fn what_is_said_here_is_not_said_twice() {
        for text in [
            "Terminated",
            "Reading configuration from file a",
            "Stopping: no more connections; 0 session(s) have 0 ms to end",
        ] {
            assert!(is_told_here(text, false), "{text}");
        }
        let setuid = "a:1: \"setuid = nobody\" has no effect: an image has no users";
        assert!(is_told_here(setuid, true) && !is_told_here(setuid, false));
        assert!(!is_told_here(
            "Service [a] accepted connection from b",
            true
        ));
    }
}
