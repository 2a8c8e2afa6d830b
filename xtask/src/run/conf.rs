//! A run's stunnel configuration: `--conf FILE`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use stockade_config::Config;
use stockade_config::stunnel::{Configuration, Diagnostic, Notice, Recording};
use stockade_host::conf::{
    self, Gateway, Passphrases, PortProblem, Publication, Published, WARNING,
};

use super::options::{Net, Options};
use super::plan::{self, Plan};
use crate::Result;

/// A stunnel configuration that was read and can be used.
pub(super) struct Conf {
    /// Its file, as the user named it.
    pub(super) path: String,
    pub(super) configuration: Configuration,
    /// All its files, for the boot archive.
    pub(super) recording: Arc<Recording>,
    /// The word of the image's command line that leads to it.
    pub(super) word: String,
}

/// The errors of a configuration, which have been printed.
pub(super) struct Refused;

impl Conf {
    /// Reads a configuration and what it names; prints every error.
    pub(super) fn read(path: &str) -> Result<std::result::Result<Conf, Refused>> {
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
    pub(super) fn publish(
        &self,
        net: &Net,
        config: &Config,
    ) -> std::result::Result<Vec<Published>, Refused> {
        let publication = match publication(&self.configuration, net, config) {
            Ok(publication) => publication,
            Err(errors) => return Err(refuse(&errors)),
        };
        let busy: Vec<Diagnostic> = conf::check_ports(&publication.ports)
            .into_iter()
            .map(|problem| problem.diagnostic)
            .collect();
        if !busy.is_empty() {
            return Err(refuse(&busy));
        }
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

    /// The start-up text: a line for the file, and one for each service.
    pub(super) fn words(&self, ports: &[Published], net: &Net, config: &Config) -> String {
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
        for route in conf::routes(&self.configuration, ports, gateway(net, config)) {
            text += &format!("\n             {route}");
        }
        text
    }
}

/// The ports to publish, or every `accept` and `connect` that this network can't serve.
pub(super) fn publication(
    configuration: &Configuration,
    net: &Net,
    config: &Config,
) -> std::result::Result<Publication, Vec<Diagnostic>> {
    let (published, mut errors) = match net {
        Net::User => match conf::publication(configuration, conf::resolve) {
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

/// `cargo xtask check`: prints what becomes of each option, then everything that is wrong.
pub(crate) fn check(root: &Path, options: Options, path: &str) -> Result<ExitCode> {
    let found = conf::find(path, Passphrases::available());
    let word = conf::word(&found)?;
    print!("{}", conf::report(&found.examination.report));
    let mut notices = found.examination.notices;
    let mut errors: Vec<String> = texts(&found.examination.errors);
    let net = plan::net(&options);
    if let Some(configuration) = found.examination.configuration {
        let conf = Conf {
            path: found.path,
            configuration,
            recording: Arc::new(found.recording),
            word,
        };
        let plan = Plan::new(&options, net, None, None, Some(conf))?;
        match super::settings(&options, &plan, root)? {
            Err(error) => errors.push(error),
            Ok(settings) => {
                let conf = plan.conf.as_ref().map(|conf| &conf.configuration);
                let judged = conf.map(|conf| publication(conf, &plan.net, &settings.config));
                match judged.unwrap_or_else(|| Ok(Publication::default())) {
                    Err(found) => errors.extend(texts(&found)),
                    Ok(found) => {
                        notices.extend(found.notices);
                        let problems = conf::check_ports(&found.ports);
                        notices.extend(problems.iter().filter(|problem| problem.busy).map(busy));
                        let lasting = problems.iter().filter(|problem| !problem.busy);
                        errors.extend(lasting.map(|problem| problem.diagnostic.to_string()));
                    }
                }
            }
        }
    }
    if !notices.is_empty() {
        println!();
    }
    for notice in &notices {
        println!("{}", conf::notice_line(notice));
    }
    println!();
    if errors.is_empty() {
        println!("Configuration successful");
        return Ok(ExitCode::SUCCESS);
    }
    for error in &errors {
        eprintln!("{error}");
    }
    eprintln!("Configuration failed");
    Ok(ExitCode::FAILURE)
}

fn texts<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
    errors.into_iter().map(Diagnostic::to_string).collect()
}

/// A port that another process has now, most likely the stunnel whose configuration this is.
fn busy(problem: &PortProblem) -> Notice {
    Notice {
        origin: problem.diagnostic.origin.clone(),
        level: WARNING,
        text: problem.diagnostic.text.clone(),
    }
}

/// What stands for this host's loopback.
fn gateway(net: &Net, config: &Config) -> Gateway {
    match net {
        Net::User => Gateway::UserNetwork,
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
