//! `stockade check`: tells what becomes of a stunnel configuration or of a run's words, and starts
//! nothing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use stockade_config::stunnel::{Diagnostic, Disposition, Notice, Reported};
use stockade_host::Boot;
use stockade_host::conf::{self, Found, Passphrases};

use crate::cli::Run;
use crate::conf::{Conf, publication};
use crate::dry_run::EXAMPLE_PORT;
use crate::plan::{self, Plan};
use crate::reading::{self, Reading, Recipe};
use crate::{Result, USAGE, caller, network, words};

/// Prints what becomes of each option, then everything that is wrong.
///
/// # Errors
///
/// It can't be found out; that something is wrong with the configuration is a status.
pub fn check(options: &Run) -> Result<ExitCode> {
    if let Some(contradiction) = options.contradiction() {
        eprintln!("error: {contradiction}");
        return Ok(ExitCode::from(USAGE));
    }
    let Some(path) = options.conf.as_deref() else {
        return check_words(options);
    };
    let found = conf::find(path, Passphrases::available());
    let mut verdict = judge(options, found)?;
    if let Some(boot) = verdict.boot.take().filter(|_| verdict.errors.is_empty()) {
        let errors = contents(&boot);
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

/// Tells what a run of these words would serve, and everything that is wrong with it.
fn check_words(options: &Run) -> Result<ExitCode> {
    let net = plan::net(options);
    let stand_in = plan::wants_development_certificate(options);
    let recipe = Recipe {
        options: options.clone(),
        backend: plan::wants_backend(options, &net).then_some(EXAMPLE_PORT),
        net,
        development: None,
        stand_in,
        program: caller::NAME,
    };
    let reading = match recipe.read(Passphrases::Nobody) {
        Ok(reading) => reading,
        Err(refused) => {
            refused.lines.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("Configuration failed");
            return Ok(ExitCode::FAILURE);
        }
    };
    let Reading {
        plan,
        config,
        ports,
        notices,
    } = &reading;
    print!("{}", words::services(plan, config, ports));
    for notice in words::exposed(&options.words).iter().chain(notices) {
        println!("{notice}");
    }
    if let Err(error) = network::check_ports(&ports.forwards, caller::NAME) {
        println!("warning: {error}");
    }
    // The development certificate is made by a run, and right.
    let errors = match stand_in {
        true => Vec::new(),
        false => contents(&reading::boot(options, plan)?),
    };
    if errors.is_empty() {
        println!("\nConfiguration successful");
        return Ok(ExitCode::SUCCESS);
    }
    errors.iter().for_each(|line| eprintln!("{line}"));
    eprintln!("Configuration failed");
    Ok(ExitCode::FAILURE)
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
fn judge(options: &Run, found: Found) -> Result<Verdict> {
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
        let outcome = judge_run(options, conf)?;
        notices.extend(outcome.notices);
        errors.extend(outcome.errors);
        boot = outcome.boot;
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
fn judge_run(options: &Run, conf: Conf) -> Result<Course> {
    let plan = Plan::new(options, plan::net(options), None, None, Some(conf))?;
    let settings = match reading::settings(options, &plan)? {
        Ok(settings) => settings,
        Err(error) => return Ok(Course::wrong(vec![error])),
    };
    let Some(conf) = &plan.conf else {
        return Ok(Default::default());
    };
    let found = match publication(&conf.configuration, &plan.net, &settings.config) {
        Ok(found) => found,
        Err(errors) => return Ok(Course::wrong(texts(&errors))),
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
    Ok(Course {
        notices,
        errors: errors.collect(),
        boot: Some(reading::boot(options, &plan)?),
    })
}

/// What a run would come to.
#[derive(Default)]
struct Course {
    notices: Vec<Notice>,
    errors: Vec<String>,
    boot: Option<Boot>,
}

impl Course {
    fn wrong(errors: Vec<String>) -> Course {
        Course {
            errors,
            ..Course::default()
        }
    }
}

fn texts<'a>(errors: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<String> {
    errors.into_iter().map(Diagnostic::to_string).collect()
}

/// Every error that an image would end with if it were started so: what certificates, keys and lists
/// contain is judged by the tunnel's own code.
pub(crate) fn contents(boot: &Boot) -> Vec<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let archive = boot.archive.as_ref().map(|archive| archive.as_slice());
    stockade_tunnel::check(boot.append.as_bytes(), archive, now)
        .err()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
