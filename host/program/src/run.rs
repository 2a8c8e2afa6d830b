//! `stockade run`: boots the image and looks after it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use stockade_host::conf::Passphrases;
use stockade_host::control::{self, Name, Server};
use stockade_host::launch::{Launcher, Notify};
use stockade_host::{Accel, Backend, Error, probe};

use crate::caller::{Caller, Image};
use crate::cli::{Net, Run};
use crate::conf::Conf;
use crate::keeping::Keeping;
use crate::reading::{self, Reading, Recipe, Refused};
use crate::source::Readings;
use crate::supervise::{self, Message, Messages};
use crate::words::{self, shown};
use crate::{Result, USAGE, dry_run, network, plan};

/// Boots the image and serves until it is stopped.
///
/// # Errors
///
/// Something is missing or refused; the message says what to do.
pub fn run(options: &Run, caller: &mut dyn Caller) -> Result<ExitCode> {
    if let Some(contradiction) = options.contradiction() {
        eprintln!("error: {contradiction}");
        return Ok(ExitCode::from(USAGE));
    }
    let net = plan::net(options);
    if options.dry_run {
        return dry_run::show(options, caller, net);
    }
    // What can be refused at once is refused before minutes of building.
    let name = name(options);
    if control::running().contains(&name) {
        return Err(taken(&name).into());
    }
    let backend = plan::wants_backend(options, &net)
        .then(Backend::start)
        .transpose()?;
    let recipe = Recipe {
        options: options.clone(),
        net,
        backend: backend.as_ref().map(Backend::port),
        development: reading::development(options, || caller.development_folder())?,
        stand_in: false,
        program: caller.program(),
    };
    let reading = match recipe.read(Passphrases::available()) {
        Ok(reading) => reading,
        Err(refused) => return Ok(tell(&refused)),
    };
    for notice in words::exposed(&options.words)
        .iter()
        .chain(&reading.notices)
    {
        eprintln!("{notice}");
    }
    if reading.plan.conf.is_none() {
        network::check_ports(&reading.ports.forwards, caller.program())?;
    } else if let Err(refused) = Conf::check_ports(&reading.ports.published) {
        return Ok(tell(&refused));
    }
    if reading.ports.inherited.is_some() {
        return Err("the configuration has no [section], so its one client is to come by standard \
                    input (inetd mode): start it as `stockade stunnel FILE`, or give it a [section] \
                    with accept"
            .into());
    }
    if let Net::Bridge(bridge) = &recipe.net
        && !stockade_host::bridge_exists(bridge)
    {
        return Err(network::no_bridge(bridge, &reading.config, caller.program()).into());
    }
    let image = caller.prepare(&options.machinery, &recipe.net)?;
    serve(recipe, reading, &name, &image)
}

/// Starts everything, and ends it in the opposite order.
fn serve(recipe: Recipe, reading: Reading, name: &Name, image: &Image) -> Result<ExitCode> {
    let (options, program) = (recipe.options.clone(), recipe.program);
    let messages = Messages::listen()?;
    let tap = match &recipe.net {
        Net::Bridge(bridge) => Some(network::make_tap(bridge, &reading.config, program)?),
        _ => None,
    };
    let link = network::link(&recipe.net, tap.as_ref(), program)?;
    let (accel, accel_words) = accelerator(options.machinery.accel, image)?;
    let keeping = Keeping::start(reading.plan.conf.as_ref(), options.pidfile.as_deref())?;

    let Reading {
        plan,
        config,
        ports,
        ..
    } = &reading;
    println!(
        "image        {}, {}",
        image.name,
        words::megabytes(image.size)
    );
    println!("machine      {}, {accel_words}", options.machinery.machine);
    println!("network      {}", words::network(plan, tap.as_ref(), ports));
    print!("{}", words::services(plan, config, ports));
    if let Some(path) = keeping.log_path() {
        println!("log          {}, and below", shown(&path));
    }
    println!("name         {name}, for status, stop, reload and diagnose");
    println!();
    let guidance = words::guidance(plan, config, ports);

    let readings = Readings::new(recipe, &reading);
    let latest = readings.latest();
    let mut launch = options.machinery.launch(&image.path, accel, link, readings);
    launch.notify = Notify::from_environment();
    let log = keeping.log();
    launch.on_line = Box::new(move |line| {
        log.write_line(line);
        // A closed terminal must not end the thread that keeps the console moving.
        let _ = writeln!(io::stdout(), "{line}");
    });
    let sender = messages.sender();
    launch.on_event = Box::new(move |record| {
        if let Some(message) = Message::of(record) {
            // Nobody listens any more when all is over.
            let _ = sender.send(message);
        }
    });
    let launcher = match Launcher::start(launch) {
        Ok(launcher) => Arc::new(launcher),
        Err(Error::Refused(lines)) => return Ok(tell(&Refused { lines, status: 1 })),
        Err(error) => return Err(error.into()),
    };
    let server = Server::start(name, Arc::clone(&launcher), options.drain)?;
    let end = supervise::until_end(
        &launcher,
        messages,
        &keeping,
        &latest,
        &guidance,
        options.drain,
    );
    // Whoever asked for the stop is told of the end; then listeners, interface and files go.
    drop((server, launcher, tap, keeping));
    Ok(supervise::tell(&end))
}

/// What this run is called.
fn name(options: &Run) -> Name {
    let of_file = || {
        let path = options.conf.as_deref().filter(|path| *path != "-")?;
        std::path::Path::new(path)
            .file_stem()?
            .to_str()?
            .parse()
            .ok()
    };
    options.name.clone().or_else(of_file).unwrap_or_default()
}

fn taken(name: &Name) -> Error {
    Error::AlreadyRunning {
        name: name.to_string(),
    }
}

/// Prints what is wrong.
fn tell(refused: &Refused) -> ExitCode {
    for line in &refused.lines {
        eprintln!("{line}");
    }
    ExitCode::from(refused.status)
}

pub(crate) fn accelerator(asked: Accel, image: &Image) -> Result<(Accel, String)> {
    Ok(match asked {
        Accel::Auto => {
            let found = probe(&image.path)?;
            match found.accel {
                Accel::Kvm => (Accel::Kvm, "KVM".to_owned()),
                other => (
                    other,
                    format!("TCG, which is slower than KVM ({})", found.reason),
                ),
            }
        }
        Accel::Kvm => (Accel::Kvm, "KVM".to_owned()),
        Accel::Tcg => (Accel::Tcg, "TCG".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_called_after_its_configuration() {
        let called = |conf: Option<&str>, given: Option<&str>| {
            let options = Run {
                conf: conf.map(str::to_owned),
                name: given.map(|name| name.parse().unwrap()),
                ..Run::default()
            };
            name(&options).to_string()
        };
        assert_eq!(called(None, None), "stockade");
        assert_eq!(called(Some("/etc/stunnel/off.conf"), None), "off");
        assert_eq!(called(Some("off.conf"), Some("mine")), "mine");
        for odd in ["-", "/", "..", ".conf"] {
            assert_eq!(called(Some(odd), None), "stockade", "{odd}");
        }
    }
}
