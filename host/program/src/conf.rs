//! A run's stunnel configuration: `--conf FILE`.

use std::sync::Arc;

use stockade_config::Config;
use stockade_config::stunnel::{Configuration, Diagnostic, Notice, Recording};
use stockade_host::conf::{self, Gateway, Passphrases, Publication, Published};

use crate::Result;
use crate::cli::Net;

/// A stunnel configuration that was read and can be used.
pub(crate) struct Conf {
    /// Its file, as the user named it.
    pub(crate) path: String,
    pub(crate) configuration: Configuration,
    /// All its files, for the boot archive.
    pub(crate) recording: Arc<Recording>,
    /// The word of the image's command line that leads to it.
    pub(crate) word: String,
}

/// The errors of a configuration, which have been printed.
pub(crate) struct Refused;

impl Conf {
    /// Reads a configuration and what it names; prints every error.
    pub(crate) fn read(path: &str) -> Result<std::result::Result<Conf, Refused>> {
        let found = conf::find(path, Passphrases::available());
        let word = conf::word(&found)?;
        let Some(configuration) = found.examination.configuration else {
            return Ok(Err(refuse(&found.examination.errors)));
        };
        Ok(Ok(Conf {
            path: found.path,
            configuration,
            recording: Arc::new(found.recording),
            word,
        }))
    }

    /// Where the services are reached: ports of this host on QEMU's user network, else none.
    /// Prints every error, and what is left out.
    pub(crate) fn publish(
        &self,
        net: &Net,
        config: &Config,
    ) -> std::result::Result<Vec<Published>, Refused> {
        let publication = match publication(&self.configuration, net, config) {
            Ok(publication) => publication,
            Err(errors) => return Err(refuse(&errors)),
        };
        // The image tells the parser's notices itself, on its console.
        let own = self
            .configuration
            .notices
            .iter()
            .filter(|notice| is_ours(notice));
        for notice in own.chain(&publication.notices) {
            eprintln!("{}", conf::notice_line(notice));
        }
        Ok(publication.ports)
    }

    /// Finds out now which ports can't be had, and prints each.
    pub(crate) fn check_ports(ports: &[Published]) -> std::result::Result<(), Refused> {
        let problems = conf::check_ports(ports);
        if problems.is_empty() {
            return Ok(());
        }
        Err(refuse(problems.iter().map(|problem| &problem.diagnostic)))
    }

    /// The start-up text: a line for the file, and one for each service.
    pub(crate) fn words(&self, ports: &[Published], net: &Net, config: &Config) -> String {
        let files = self.recording.paths().count();
        let noun = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {one}s"),
        };
        let mut text = format!(
            "{}, {}, {} packed",
            self.path,
            noun(self.configuration.services.len(), "service"),
            noun(files, "file")
        );
        for route in conf::routes(
            &self.configuration,
            ports,
            gateway(net, config),
            &conf::own_addresses(config),
        ) {
            text += &format!("\n             {route}");
        }
        text
    }
}

/// The ports to publish, or every `accept` and `connect` that this network can't serve.
pub(crate) fn publication(
    configuration: &Configuration,
    net: &Net,
    config: &Config,
) -> std::result::Result<Publication, Vec<Diagnostic>> {
    let (published, mut errors) = match net {
        Net::Rootless => match conf::publication(configuration, conf::resolve) {
            Ok(publication) => (publication, Vec::new()),
            Err(errors) => (Publication::default(), errors),
        },
        Net::Tap(_) | Net::Bridge(_) => (
            Publication::default(),
            conf::check_own_addresses(configuration, config),
        ),
    };
    errors.extend(conf::check_routes(configuration, gateway(net, config)));
    if errors.is_empty() {
        Ok(published)
    } else {
        Err(errors)
    }
}

/// What stands for this host's loopback.
fn gateway(net: &Net, config: &Config) -> Gateway {
    match net {
        Net::Rootless => Gateway::UserNetwork,
        Net::Tap(_) | Net::Bridge(_) => Gateway::of(config),
    }
}

/// Whether only this host can tell it.
fn is_ours(notice: &Notice) -> bool {
    notice.text.starts_with(conf::INSECURE)
}

fn refuse<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> Refused {
    eprint!("{}", conf::error_lines(errors));
    Refused
}
