//! A run's stunnel configuration: `--conf FILE`.

use std::sync::Arc;

use stockade_config::Config;
use stockade_config::stunnel::{Configuration, Diagnostic, Notice, Recording};
use stockade_host::conf::{self, Gateway, Passphrases, Publication, Published};

use crate::cli::Net;
use crate::reading::Refused;

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

impl Conf {
    /// Reads a configuration and what it names.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn read(path: &str, passphrases: Passphrases) -> Result<Conf, Refused> {
        let found = conf::find(path, passphrases);
        let word = conf::word(&found).map_err(Refused::new)?;
        let Some(configuration) = found.examination.configuration else {
            return Err(refuse(&found.examination.errors));
        };
        Ok(Conf {
            path: found.path,
            configuration,
            recording: Arc::new(found.recording),
            word,
        })
    }

    /// Where the services are reached: ports of this host on the rootless network, else none. And
    /// what the image can't tell of it.
    pub(crate) fn publish(
        &self,
        net: &Net,
        config: &Config,
    ) -> Result<(Publication, Vec<Notice>), Refused> {
        let mut publication =
            publication(&self.configuration, net, config).map_err(|errors| refuse(&errors))?;
        // The image tells the parser's notices itself, on its console.
        let own = self.configuration.notices.iter();
        let own = own.filter(|notice| is_ours(notice)).cloned();
        let notices = std::mem::take(&mut publication.notices);
        Ok((publication, own.chain(notices).collect()))
    }

    /// Finds out now which ports can't be had.
    pub(crate) fn check_ports(ports: &[Published]) -> Result<(), Refused> {
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
) -> Result<Publication, Vec<Diagnostic>> {
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
    Refused::configuration(&conf::error_lines(errors))
}
