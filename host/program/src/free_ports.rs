//! `accept = …:0`: which ports they are.

use std::sync::PoisonError;
use std::time::Duration;

use stockade_host::conf::Published;
use stockade_host::launch::Launcher;
use stockade_host::network::Bound;

use crate::keeping::Keeping;
use crate::source::Latest;

/// The free ports that this host has given, and that were told.
#[derive(Default)]
pub(crate) struct FreePorts {
    told: Vec<String>,
}

impl FreePorts {
    /// Tells those that were not told before.
    pub(crate) fn tell(&mut self, launcher: &Launcher, latest: &Latest, keeping: &Keeping) {
        let bound = launcher.status(Duration::ZERO).bound;
        let found = {
            let latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
            lines(&latest.published, &bound)
        };
        for line in found.iter().filter(|line| !self.told.contains(line)) {
            crate::say(line);
            keeping.log().write_line(line);
        }
        self.told = found;
    }
}

/// A line for each, as stunnel has it.
fn lines(published: &[Published], bound: &[Bound]) -> Vec<String> {
    let pairs = published.iter().zip(bound).enumerate();
    let lines = pairs.filter_map(|(number, (published, bound))| {
        let any = published.address().is_some_and(|asked| asked.port() == 0);
        let (service, address) = (&published.service, bound.listen.address()?);
        any.then(|| format!("Service [{service}] (FD={number}) bound to {address}"))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use stockade_config::stunnel::Origin;
    use stockade_host::network::{Forward, Listen, UnixSocket};

    use super::*;

    #[test]
    fn only_free_ports_are_told() {
        let asked = [
            Listen::Tcp("127.0.0.1:1".parse().unwrap()),
            Listen::Unix(UnixSocket::at("/run/s")),
            Listen::Tcp("127.0.0.1:0".parse().unwrap()),
        ];
        let published = asked.clone().map(|listen| Published {
            forward: Forward {
                listen,
                guest_port: 7,
            },
            service: "s".to_owned(),
            origin: Origin {
                file: "a.conf".into(),
                line: 1,
            },
        });
        let mut bound = asked.map(|listen| Bound {
            listen,
            guest_port: 7,
        });
        bound[2].listen = Listen::Tcp("127.0.0.1:34567".parse().unwrap());
        assert_eq!(
            lines(&published, &bound),
            ["Service [s] (FD=2) bound to 127.0.0.1:34567"]
        );
    }
}
