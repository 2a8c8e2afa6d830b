//! Proxies as what a launcher boots.

use std::sync::Arc;

use stockade_config::Zeroizing;
use stockade_host::conf::{self, HostFiles, Passphrases, Published};
use stockade_host::launch::Setup;
use stockade_host::network::{self, Forward, Listen};

use crate::file::{self, Remembered, Remembering, WithText};
use crate::{Config, Error};

/// stunnel's most detailed level.
const DEBUG: u8 = 7;

/// Makes one configuration of these proxies, each a service of the name beside it, with everything
/// that they need of this host: certificates, keys and lists are read now.
///
/// The image logs all that it can tell (`debug = 7`).
///
/// # Errors
///
/// A value is not possible, or the configuration is refused: every reason.
pub fn setup<'a>(proxies: impl IntoIterator<Item = (&'a str, &'a Config)>) -> Result<Setup, Error> {
    setup_with(proxies, DEBUG, &mut Remembered::new())
}

/// The same with this `debug` level, and with files that have gone as they were.
pub(crate) fn setup_with<'a>(
    proxies: impl IntoIterator<Item = (&'a str, &'a Config)>,
    level: u8,
    remembered: &mut Remembered,
) -> Result<Setup, Error> {
    let mut text = format!("debug = {level}\n");
    let mut listens = Vec::new();
    let mut families = None;
    for (name, config) in proxies {
        text += &config.section(name)?;
        listens.push((name, &config.listen));
        if *families.get_or_insert(config.families) != config.families {
            let text = format!("{name}: proxies of one image try addresses of the same families");
            return Err(Error::InvalidArgument(text));
        }
    }
    let mut files = HostFiles::new(Passphrases::Nobody);
    let found = conf::find_in(
        file::NAME,
        WithText {
            text,
            files: Remembering {
                files: &mut files,
                remembered,
            },
        },
    );
    let word = conf::word(&found)?;
    let Some(configuration) = found.examination.configuration else {
        let errors = found.examination.errors.iter();
        let lines = errors.map(|error| error.text.clone()).collect();
        return Err(Error::ConfigurationFailed(lines));
    };
    let publication = conf::publication(&configuration, conf::resolve).map_err(|errors| {
        Error::ConfigurationFailed(errors.into_iter().map(|error| error.text).collect())
    })?;
    let published = publication.ports.into_iter();
    Ok(Setup {
        kernel_line: Zeroizing::new(format!("{} {word}", network::options())),
        conf: Some(Arc::new(found.recording)),
        forwards: published.map(|port| forward(port, &listens)).collect(),
        sockets: publication.sockets,
        families: families.unwrap_or_default(),
        ..Setup::default()
    })
}

/// A published port with the mode and the owner that its proxy asks for, which a stunnel
/// configuration can't say.
fn forward(published: Published, listens: &[(&str, &Listen)]) -> Forward {
    let Published {
        mut forward,
        service,
        ..
    } = published;
    let asked = listens.iter().find(|(name, _)| *name == service);
    if let (Listen::Unix(socket), Some((_, Listen::Unix(asked)))) = (&mut forward.listen, asked) {
        socket.mode = asked.mode;
        socket.user = asked.user;
        socket.group = asked.group;
    }
    forward
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Check, Remote, UnixSocket, Verification};

    fn config(path: &str) -> Config {
        Config::new(Remote::new("127.0.0.1", 443), path, None)
    }

    #[test]
    fn sockets_keep_their_modes_and_owners() {
        let mut first = config("/run/a.sock");
        let socket = UnixSocket {
            mode: Some(0o660),
            user: Some(7),
            group: Some(8),
            ..UnixSocket::at("/run/a.sock")
        };
        first.listen = Listen::Unix(socket.clone());
        let second = config("/run/b.sock");
        let setup = setup([("a", &first), ("b", &second)]).unwrap();
        let listens: Vec<&Listen> = setup.forwards.iter().map(|one| &one.listen).collect();
        let plain = Listen::Unix(UnixSocket::at("/run/b.sock"));
        assert_eq!(listens, [&Listen::Unix(socket), &plain]);
        assert!(setup.conf.is_some() && setup.kernel_line.contains("--conf=file:"));
    }

    #[test]
    fn families_are_those_of_all() {
        use stockade_host::network::Families;
        let four = Config {
            families: Families::Ipv4,
            ..config("/run/a.sock")
        };
        let alone = setup([("a", &four)]).unwrap();
        assert_eq!(alone.families, Families::Ipv4);
        let other = config("/run/b.sock");
        assert!(matches!(
            setup([("a", &four), ("b", &other)]),
            Err(Error::InvalidArgument(_))
        ));
    }

    #[test]
    fn what_can_not_be_read_is_told_without_a_place_that_nobody_knows() {
        let mut config = config("/run/a.sock");
        config.verification = Some(Verification::new(Check::Peer, "/nonexistent/ca.pem"));
        let Err(Error::ConfigurationFailed(lines)) = setup([("a", &config)]) else {
            panic!("it was taken");
        };
        let text = lines.join("\n");
        assert!(text.contains("/nonexistent/ca.pem"), "{text}");
        assert!(!text.contains(file::NAME), "{text}");
    }
}
