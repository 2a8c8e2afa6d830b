//! `stockade run`: boots the image and serves TLS with it.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use stockade_config::{Config, Settings};
use stockade_host::{Accel, Backend, Boot, Network, Qemu, READY, Vm, pki, probe};

use crate::caller::Caller;
use crate::cli::{Net, Run};
use crate::conf::{Conf, Refused};
use crate::keeping::{self, Keeping};
use crate::plan::{self, Plan, Ports};
use crate::words::{self, shown};
use crate::{Result, USAGE, network};

/// How long we wait quietly for the image; it boots in a second even where it is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often we look for a signal and for the machine's end.
const POLL: Duration = Duration::from_millis(50);

/// The backend's port that `--dry-run` shows; a real run takes a free one.
const EXAMPLE_PORT: u16 = 8080;

/// Most files that `--dry-run` names one by one; a directory of authorities has hundreds.
const MOST_NAMED: usize = 12;

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
    let conf = match options.conf.as_deref().map(Conf::read).transpose()? {
        None => None,
        Some(Ok(conf)) => Some(conf),
        Some(Err(Refused)) => return Ok(ExitCode::FAILURE),
    };
    if options.dry_run {
        return dry_run(options, caller, net, conf);
    }
    // What can be refused at once is refused before minutes of building.
    let development = development(options, caller)?;
    let backend = plan::wants_backend(options, &net)
        .then(Backend::start)
        .transpose()?;
    let backend_port = backend.as_ref().map(Backend::port);
    let plan = Plan::new(options, net, development, backend_port, conf)?;
    let Some(config) = check(options, &plan, caller.program())? else {
        return Ok(ExitCode::from(USAGE));
    };
    let Ok(ports) = plan.ports(options, &config) else {
        return Ok(ExitCode::FAILURE);
    };
    if plan.conf.is_none() {
        network::check_ports(&ports.publish, caller.program())?;
    } else if let Err(Refused) = Conf::check_ports(&ports.published) {
        return Ok(ExitCode::FAILURE);
    }
    if let Net::Bridge(bridge) = &plan.net
        && !stockade_host::bridge_exists(bridge)
    {
        return Err(network::no_bridge(bridge, &config, caller.program()).into());
    }
    let image = caller.prepare(options, &plan.net)?;

    let stop = keeping::stop_on_signals(plan.conf.is_some())?;
    let tap = match &plan.net {
        Net::Bridge(bridge) => Some(network::make_tap(bridge, &config, caller.program())?),
        _ => None,
    };
    let network = network::network(
        &plan.net,
        tap.as_ref(),
        ports.publish.clone(),
        caller.program(),
    )?;
    let (accel, accel_words) = accelerator(options.accel, &image.path)?;
    let machine = machine(options, &image.path, &plan)
        .accel(accel)
        .network(network);
    let keeping = Keeping::start(plan.conf.as_ref())?;

    println!(
        "image        {}, {}",
        image.name,
        words::megabytes(image.size)
    );
    println!("machine      {}, {accel_words}", options.machine);
    println!(
        "network      {}",
        words::network(&plan, tap.as_ref(), &ports)
    );
    print!("{}", words::services(&plan, &config, &ports));
    if let Some(log) = &keeping.log {
        println!("log          {}, and below", shown(log.path()));
    }
    println!();
    let log = keeping.log.clone();
    let vm = machine.spawn(move |line| {
        if let Some(log) = &log {
            log.write_line(line);
        }
        // A closed terminal must not end the thread that keeps the console moving.
        let _ = writeln!(io::stdout(), "{line}");
    })?;
    let guidance = words::guidance(&plan, &config, &ports);
    let code = serve(&vm, &stop, &keeping, &guidance);
    drop((vm, tap, backend, keeping));
    code
}

/// Watches the machine until a signal or its own end.
fn serve(vm: &Vm, stop: &AtomicBool, keeping: &Keeping, guidance: &str) -> Result<ExitCode> {
    let started = Instant::now();
    let (mut ready, mut warned, mut seen) = (false, false, 0);
    loop {
        if stop.load(Ordering::SeqCst) {
            println!("\nStopped.");
            return Ok(ExitCode::SUCCESS);
        }
        keeping.look();
        let fresh = vm.console_since(seen);
        seen += fresh.len();
        if let Some(line) = fresh
            .iter()
            .find(|line| line.text.contains(READY) && !ready)
        {
            ready = true;
            println!(
                "\nServing {:.0} ms after QEMU's start. {guidance}Ctrl-C stops it.\n",
                line.at.as_secs_f64() * 1e3
            );
        }
        if let Some(outcome) = vm.try_wait() {
            for message in vm.messages() {
                eprintln!("qemu: {message}");
            }
            if outcome.is_success() {
                println!("\nThe machine has ended: {outcome}.");
                return Ok(ExitCode::SUCCESS);
            }
            return Err(outcome.to_string().into());
        }
        if !ready && !warned && started.elapsed() > PATIENCE {
            warned = true;
            eprintln!(
                "warning: the image does not serve yet, after {} s; it goes on trying",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(POLL);
    }
}

/// Prints what a run would do.
fn dry_run(options: &Run, caller: &dyn Caller, net: Net, conf: Option<Conf>) -> Result<ExitCode> {
    let folder = caller.development_folder()?;
    let backend = plan::wants_backend(options, &net).then_some(EXAMPLE_PORT);
    // The certificate's files may not exist, and are not made now: their place is shown.
    let plan = Plan::new(options, net, None, backend, conf)?;
    let mut line = plan.line.to_string();
    let mut archive: Vec<String> = plan.files.iter().map(|(name, _)| name.clone()).collect();
    if plan::wants_development_certificate(options) {
        line = format!("{line} --cert=file:cert.pem --key=file:key.pem")
            .trim_start()
            .to_owned();
        archive = vec![
            shown(&folder.join("cert.pem")),
            shown(&folder.join("key.pem")),
        ];
    }
    let config = match stockade_config::command_line::parse(&line) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(USAGE));
        }
    };
    let image = caller.image_place(options);
    let Ok(Ports { publish, .. }) = plan.ports(options, &config) else {
        return Ok(ExitCode::FAILURE);
    };
    let network = match &plan.net {
        Net::Rootless => Network::User {
            publish: publish.clone(),
        },
        Net::Tap(name) => Network::Tap { name: name.clone() },
        Net::Bridge(_) => Network::Tap {
            name: "TAP".to_owned(),
        },
    };
    if let Some(conf) = &plan.conf {
        archive.extend(conf.recording.paths().map(str::to_owned));
    }
    let mut machine = machine(options, Path::new(&image), &plan)
        .accel(options.accel)
        .network(network)
        .kernel_line(line);
    if !archive.is_empty() && plan.files.is_empty() {
        machine = machine.file("file", *b"-");
    }
    let boot = machine.boot()?;
    let initrd = boot.archive.is_some().then_some("BOOT-ARCHIVE");
    println!("would boot     {image}");
    if options.accel == Accel::Auto {
        println!("would try      whether a guest runs under KVM; TCG is shown below");
    }
    if let Net::Bridge(bridge) = &plan.net {
        println!(
            "would make     a TAP interface on {bridge}, removed at the end; TAP is its name below"
        );
    }
    if backend.is_some() {
        println!(
            "would start    an HTTP server on a free port of 127.0.0.1; {EXAMPLE_PORT} stands for it below"
        );
    }
    if !archive.is_empty() {
        let named = match archive.len() {
            0..=MOST_NAMED => archive.join(", "),
            many => format!("{many} files"),
        };
        println!("would pack     {named} into the boot archive");
    }
    println!(
        "would hand over the image and the boot archive as files in memory; their names stand for them:\n"
    );
    println!("{}", machine.command_line(&boot, &image, initrd));
    Ok(ExitCode::SUCCESS)
}

fn development(options: &Run, caller: &dyn Caller) -> Result<Option<pki::Development>> {
    if !plan::wants_development_certificate(options) {
        return Ok(None);
    }
    Ok(Some(pki::development(
        &caller.development_folder()?,
        SystemTime::now(),
    )?))
}

fn machine(options: &Run, image: &Path, plan: &Plan) -> Qemu {
    let mut machine = Qemu::new(image)
        .machine(options.machine)
        .kernel_line(plan.line.as_str());
    if let Some(firmware) = options.firmware {
        machine = machine.firmware(firmware);
    }
    if let Some(memory) = options.memory {
        machine = machine.memory_mib(memory);
    }
    for (name, bytes) in &plan.files {
        machine = machine.file(name.as_str(), bytes.to_vec());
    }
    match &plan.conf {
        Some(conf) => machine.conf(Arc::clone(&conf.recording)),
        None => machine,
    }
}

/// Reads the image's configuration as the image will, and prints every error of it.
fn check(options: &Run, plan: &Plan, program: &str) -> Result<Option<Config>> {
    match settings(options, plan)? {
        Ok(settings) => Ok(Some(settings.config)),
        Err(error) => {
            eprintln!("{error}");
            eprintln!("error: nothing was started. `{program} run --help` lists the image's words");
            Ok(None)
        }
    }
}

/// The image's settings, or what is wrong with them, a line for each error.
pub(crate) fn settings(
    options: &Run,
    plan: &Plan,
) -> Result<std::result::Result<Settings, String>> {
    let boot = boot(options, plan)?;
    let archive = boot.archive.as_ref().map(|archive| archive.as_slice());
    Ok(Settings::read(boot.append.as_bytes(), archive).map_err(|error| error.to_string()))
}

/// What the image is handed: its command line and its boot archive.
pub(crate) fn boot(options: &Run, plan: &Plan) -> Result<Boot> {
    Ok(machine(options, Path::new(""), plan).boot()?)
}

fn accelerator(asked: Accel, image: &Path) -> Result<(Accel, String)> {
    Ok(match asked {
        Accel::Auto => {
            let found = probe(image)?;
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
