//! A run's stunnel configuration: `--conf FILE`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use stockade_config::Config;
use stockade_config::stunnel::{
    Configuration, Diagnostic, Disposition, Notice, Recording, Reported,
};
use stockade_host::Boot;
use stockade_host::conf::{self, Found, Gateway, Passphrases, Publication, Published};

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
    pub(super) fn check_ports(ports: &[Published]) -> std::result::Result<(), Refused> {
        let problems = conf::check_ports(ports);
        if problems.is_empty() {
            return Ok(());
        }
        Err(refuse(problems.iter().map(|problem| &problem.diagnostic)))
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
pub(crate) fn check(root: &Path, options: &Options, path: &str) -> Result<ExitCode> {
    let found = conf::find(path, Passphrases::available());
    let mut verdict = judge(root, options, found)?;
    if let Some(boot) = verdict.boot.take().filter(|_| verdict.errors.is_empty()) {
        let errors = super::contents::judge(root, &boot)?;
        if !errors.is_empty() {
            verdict.errors = errors.iter().map(|line| format!("{line}\n")).collect();
            verdict.errors += "Configuration failed\n";
        }
    }
    if verdict.errors.is_empty() {
        verdict.told += "\nConfiguration successful\n";
    }
    print!("{}", verdict.told);
    eprint!("{}", verdict.errors);
    Ok(if verdict.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is to be said of a configuration.
struct Verdict {
    /// The table of options and the notices; for standard output.
    told: String,
    /// The errors, empty when there are none; for standard error.
    errors: String,
    /// What the image would be handed, once that is known.
    boot: Option<Boot>,
}

/// Does everything of a run that starts nothing.
fn judge(root: &Path, options: &Options, found: Found) -> Result<Verdict> {
    let word = conf::word(&found)?;
    let report = blamed(found.examination.report, &found.examination.errors);
    let mut told = conf::report(&report);
    let mut notices = untold(found.examination.notices, &report);
    let mut errors = texts(&found.examination.errors);
    let mut boot = None;
    if let Some(configuration) = found.examination.configuration {
        let conf = Conf {
            path: found.path,
            configuration,
            recording: Arc::new(found.recording),
            word,
        };
        let run = judge_run(root, options, conf)?;
        notices.extend(run.notices);
        errors.extend(run.errors);
        boot = run.boot;
    }
    conf::in_order(&mut notices);
    for (index, notice) in notices.iter().enumerate() {
        let space = if index == 0 { "\n" } else { "" };
        told += &format!("{space}{}\n", conf::notice_line(notice));
    }
    if !errors.is_empty() {
        errors.push("Configuration failed".to_owned());
    }
    let errors = errors.iter().map(|line| format!("{line}\n")).collect();
    Ok(Verdict { told, errors, boot })
}

/// The options, those not honoured that an error is about although their own lines are right.
fn blamed<'a>(
    mut report: Vec<Reported>,
    errors: impl IntoIterator<Item = &'a Diagnostic>,
) -> Vec<Reported> {
    for error in errors {
        let at_its_line = |row: &&mut Reported| row.origin == error.origin;
        if let Some(row) = report.iter_mut().find(at_its_line)
            && row.disposition == Disposition::Honoured
        {
            row.disposition = Disposition::Refused("see below".to_owned());
        }
    }
    report
}

/// The notices that the table has not told already.
fn untold(mut notices: Vec<Notice>, report: &[Reported]) -> Vec<Notice> {
    notices.retain(|notice| {
        let at_its_line = |row: &&Reported| row.origin == notice.origin;
        !report
            .iter()
            .filter(at_its_line)
            .any(|row| match &row.disposition {
                Disposition::WithoutEffect(why) => notice.text.contains(why.as_str()),
                Disposition::Honoured | Disposition::Refused(_) => false,
            })
    });
    notices
}

/// What a run would tell, and why it would refuse to start.
fn judge_run(root: &Path, options: &Options, conf: Conf) -> Result<Run> {
    let plan = Plan::new(options, plan::net(options), None, None, Some(conf))?;
    let settings = match super::settings(options, &plan, root)? {
        Ok(settings) => settings,
        Err(error) => return Ok(Run::wrong(vec![error])),
    };
    let Some(conf) = &plan.conf else {
        return Ok(Default::default());
    };
    let found = match publication(&conf.configuration, &plan.net, &settings.config) {
        Ok(found) => found,
        Err(errors) => return Ok(Run::wrong(texts(&errors))),
    };
    let (busy, lasting): (Vec<_>, Vec<_>) = conf::check_ports(&found.ports)
        .into_iter()
        .partition(|problem| problem.busy);
    let mut notices = found.notices;
    // Most likely the stunnel has it whose configuration this is.
    notices.extend(busy.into_iter().map(|problem| Notice {
        origin: problem.diagnostic.origin,
        level: conf::WARNING,
        text: problem.diagnostic.text,
    }));
    let errors = lasting.iter().map(|problem| problem.diagnostic.to_string());
    Ok(Run {
        notices,
        errors: errors.collect(),
        boot: Some(super::boot(options, &plan, root)?),
    })
}

/// What a run would come to.
#[derive(Default)]
struct Run {
    notices: Vec<Notice>,
    errors: Vec<String>,
    boot: Option<Boot>,
}

impl Run {
    fn wrong(errors: Vec<String>) -> Run {
        Run {
            errors,
            ..Run::default()
        }
    }
}

fn texts<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
    errors.into_iter().map(Diagnostic::to_string).collect()
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

#[cfg(test)]
mod tests;
