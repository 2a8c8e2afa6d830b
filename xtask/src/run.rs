//! `cargo xtask run`: builds the image and serves TLS with it.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use stockade_config::{Config, Settings};
use stockade_host::{
    Accel, Backend, Error, Network, Privilege, Publish, Qemu, READY, Tap, Vm, pki, probe, shell,
};

use crate::{Result, image, packages, process};
use options::{Net, Options};
use plan::{Certificate, Plan};

mod options;
mod plan;

const HELP: &str = "\
Builds the image, boots it under QEMU and serves TLS with it until Ctrl-C. Without options it
needs no privilege: https://localhost:8443/ leads to a small HTTP server on this host.

Usage: cargo xtask run [OPTIONS] [-- WORDS]

  WORDS                    The image's own command line, handed over as it is; see below

Options:
      --net user           QEMU's own network, without privilege (the default)
      --net tap=NAME       An existing TAP interface that you may open
      --net bridge=NAME    A TAP made for this run on an existing bridge; bridge=br0 is the
                           default when WORDS hold --ipv4 or --ipv6
      --accel ACCEL        auto, kvm or tcg; auto tries whether a guest runs under KVM [auto]
      --machine MACHINE    microvm, q35 or pc [microvm]
      --firmware FIRMWARE  seabios or qboot [qboot for microvm, seabios for q35 and pc]
      --memory MIB         The machine's memory [128]
      --publish [ADDR:]PORT:GUESTPORT
                           Lead a port of this host (of 127.0.0.1, if no ADDR is given) to one of
                           the image; may be repeated; with --net user only [8443:443]
      --cert FILE          The certificate chain, PEM, and
      --key FILE           its private key, PEM [a development certificate for localhost]
      --debug              Log each connection (--log=debug)
      --dry-run            Print what would be run, and run nothing
      --no-install         Refuse to install what is missing, and say which command would
  -h, --help               Show this text

The image's words:
";

/// How long we wait quietly for the image; it boots in a second even where it is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often we look for a signal and for the machine's end.
const POLL: Duration = Duration::from_millis(50);

/// The backend's port that `--dry-run` shows; a real run takes a free one.
const EXAMPLE_PORT: u16 = 8080;

pub(crate) fn main(root: &Path, parser: lexopt::Parser) -> Result<ExitCode> {
    let options = Options::parse(parser)?;
    if options.help {
        print!("{HELP}{}", stockade_config::command_line::help());
        return Ok(ExitCode::SUCCESS);
    }
    let net = plan::net(&options);
    if net != Net::User && !options.publish.is_empty() {
        return Err("--publish goes with --net user only; on a TAP or bridge the image has an address of its own".into());
    }
    if options.dry_run {
        return dry_run(root, &options, net);
    }
    let tools = match net {
        Net::Bridge(_) => packages::RUN_ON_BRIDGE,
        _ => packages::RUN,
    };
    // What can be refused at once is refused before minutes of building.
    let development = development(root, &options)?;
    let backend = plan::wants_backend(&options, &net)
        .then(Backend::start)
        .transpose()?;
    let plan = Plan::new(
        &options,
        net,
        development,
        backend.as_ref().map(Backend::port),
    )?;
    let Some(config) = check(&options, &plan, root)? else {
        return Ok(ExitCode::from(2));
    };
    let publish = plan.publish(&options, &config);
    check_ports(&publish)?;
    packages::require(tools, !options.no_install)?;
    if let Net::Bridge(bridge) = &plan.net
        && !stockade_host::bridge_exists(bridge)
    {
        return Err(no_bridge(bridge, &config).into());
    }
    let image = image::build(root, false)?;

    let stop = stop_on_signals()?;
    let tap = match &plan.net {
        Net::Bridge(bridge) => Some(make_tap(bridge, &config)?),
        _ => None,
    };
    let network = network(&plan.net, tap.as_ref(), publish.clone())?;
    let (accel, accel_words) = accelerator(options.accel, &image.path)?;
    let machine = machine(&options, &image.path, &plan)
        .accel(accel)
        .network(network);

    println!(
        "image        {}, {}",
        shown(&image.path),
        megabytes(image.size)
    );
    println!("machine      {}, {accel_words}", options.machine);
    println!(
        "network      {}",
        network_words(&plan.net, tap.as_ref(), &publish)
    );
    println!("backend      {}", backend_words(&plan, &config));
    println!("certificate  {}", certificate_words(&plan.certificate));
    println!();
    let vm = machine.spawn(|line| {
        // A closed terminal must not end the thread that keeps the console moving.
        let _ = writeln!(io::stdout(), "{line}");
    })?;
    let code = serve(&vm, &stop, &guidance(&plan, &config, &publish));
    drop((vm, tap, backend));
    code
}

/// Watches the machine until a signal or its own end.
fn serve(vm: &Vm, stop: &AtomicBool, guidance: &str) -> Result<ExitCode> {
    let started = Instant::now();
    let (mut ready, mut warned, mut seen) = (false, false, 0);
    loop {
        if stop.load(Ordering::SeqCst) {
            println!("\nStopped.");
            return Ok(ExitCode::SUCCESS);
        }
        let fresh = vm.console_since(seen);
        seen += fresh.len();
        if let Some(line) = fresh
            .iter()
            .find(|line| line.text.contains(READY) && !ready)
        {
            ready = true;
            println!(
                "\nServing {:.0} ms after QEMU's start. Try:\n\n  {guidance}\n\nCtrl-C stops it.\n",
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
fn dry_run(root: &Path, options: &Options, net: Net) -> Result<ExitCode> {
    let folder = root.join("target/dev");
    let backend = plan::wants_backend(options, &net).then_some(EXAMPLE_PORT);
    // The certificate's files may not exist, and are not made now: their place is shown.
    let plan = Plan::new(options, net, None, backend)?;
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
            return Ok(ExitCode::from(2));
        }
    };
    let image = image::path(root, false);
    let publish = plan.publish(options, &config);
    let network = match &plan.net {
        Net::User => Network::User {
            publish: publish.clone(),
        },
        Net::Tap(name) => Network::Tap { name: name.clone() },
        Net::Bridge(_) => Network::Tap {
            name: "TAP".to_owned(),
        },
    };
    let mut machine = machine(options, &image, &plan)
        .accel(options.accel)
        .network(network)
        .kernel_line(line);
    for name in &archive {
        machine = machine.file(
            Path::new(name)
                .file_name()
                .map_or("file".into(), |name| name.to_string_lossy()),
            *b"-",
        );
    }
    let boot = machine.boot()?;
    let initrd = boot.archive.is_some().then_some("BOOT-ARCHIVE");
    println!("would build    {}", shown(&image));
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
        println!(
            "would pack     {} into the boot archive",
            archive.join(", ")
        );
    }
    println!(
        "would hand over the image and the boot archive as files in memory; their names stand for them:\n"
    );
    println!("{}", machine.command_line(&boot, &shown(&image), initrd));
    Ok(ExitCode::SUCCESS)
}

fn development(root: &Path, options: &Options) -> Result<Option<pki::Development>> {
    if !plan::wants_development_certificate(options) {
        return Ok(None);
    }
    Ok(Some(pki::development(
        &root.join("target/dev"),
        SystemTime::now(),
    )?))
}

fn machine(options: &Options, image: &Path, plan: &Plan) -> Qemu {
    let mut machine = Qemu::new(image)
        .machine(options.machine)
        .kernel_line(plan.line.as_str());
    if let Some(firmware) = options.firmware {
        machine = machine.firmware(firmware);
    }
    if let Some(memory) = options.memory_mib {
        machine = machine.memory_mib(memory);
    }
    for (name, bytes) in &plan.files {
        machine = machine.file(name.as_str(), bytes.to_vec());
    }
    machine
}

/// Reads the image's configuration as the image will, and prints every error of it.
fn check(options: &Options, plan: &Plan, root: &Path) -> Result<Option<Config>> {
    let boot = machine(options, &image::path(root, false), plan).boot()?;
    match Settings::read(
        boot.append.as_bytes(),
        boot.archive.as_ref().map(|archive| archive.as_slice()),
    ) {
        Ok(settings) => Ok(Some(settings.config)),
        Err(error) => {
            eprintln!("{error}");
            eprintln!(
                "error: nothing was started. `cargo xtask run --help` lists the image's words"
            );
            Ok(None)
        }
    }
}

/// Finds out now which port is taken: QEMU's own message would not say what to do.
fn check_ports(publish: &[Publish]) -> Result<()> {
    for wanted in publish {
        let Err(error) = TcpListener::bind((wanted.address, wanted.port)) else {
            continue;
        };
        let free = (wanted.port.max(1023).saturating_add(1)..=u16::MAX)
            .take(100)
            .find(|port| TcpListener::bind((wanted.address, *port)).is_ok());
        let hint = free.map_or_else(String::new, |port| {
            let other = Publish { port, ..*wanted };
            format!("; this one is free: cargo xtask run --publish {other}")
        });
        return Err(format!(
            "{}:{} can't be published: {error}{hint}",
            wanted.address, wanted.port
        )
        .into());
    }
    Ok(())
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

fn network(net: &Net, tap: Option<&Tap>, publish: Vec<Publish>) -> Result<Network> {
    let name = match (net, tap) {
        (Net::User, _) => return Ok(Network::User { publish }),
        (Net::Tap(name), _) => {
            if !stockade_host::interface_exists(name) {
                return Err(format!(
                    "there is no interface {name}. Make it with\n  sudo ip tuntap add dev {name} mode tap user $(id -un)\n  \
                     sudo ip link set dev {name} up\nor run without privilege: cargo xtask run --net user"
                )
                .into());
            }
            name.clone()
        }
        (Net::Bridge(_), Some(tap)) => tap.name().to_owned(),
        (Net::Bridge(bridge), None) => return Err(format!("no TAP was made on {bridge}").into()),
    };
    if let Err(error) = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
    {
        return Err(format!(
            "/dev/net/tun can't be opened: {error}. Run without it: cargo xtask run --net user"
        )
        .into());
    }
    Ok(Network::Tap { name })
}

/// Makes the TAP: with our own rights, else through sudo.
fn make_tap(bridge: &str, config: &Config) -> Result<Tap> {
    let error = match Tap::on_bridge(bridge, Privilege::Own) {
        Err(error @ Error::Network { .. }) if !packages::is_root() => error,
        Err(Error::NoBridge { bridge }) => return Err(no_bridge(&bridge, config).into()),
        result => return Ok(result?),
    };
    if process::find_program("sudo").is_none() || !io::stdin().is_terminal() {
        return Err(format!("{error}\n{}", no_right(bridge)).into());
    }
    eprintln!(
        "Making a TAP interface on {bridge} takes root; asking sudo for `ip tuntap` and `ip link`."
    );
    Tap::on_bridge(bridge, Privilege::Sudo)
        .map_err(|error| format!("{error}\n{}", no_right(bridge)).into())
}

fn no_right(bridge: &str) -> String {
    format!(
        "A TAP interface on {bridge} takes root. Make one for yourself, once, with\n  \
         sudo ip tuntap add dev tap0 mode tap user $(id -un)\n  \
         sudo ip link set dev tap0 master {bridge} up\n\
         and run with --net tap=tap0; or run without privilege: cargo xtask run --net user"
    )
}

fn no_bridge(bridge: &str, config: &Config) -> String {
    use stockade_config::Ipv4;
    // The gateway is this host's address on the bridge, unless the bridge leads elsewhere.
    let address = match config.ipv4 {
        Ipv4::Static {
            gateway: Some(gateway),
            prefix,
            ..
        } => format!("{gateway}/{prefix}"),
        _ => "10.0.0.1/24".to_owned(),
    };
    format!(
        "there is no bridge {bridge}. Make it with\n  sudo ip link add dev {bridge} up type bridge\n  \
         sudo ip addr add {address} dev {bridge}\n\
         or run without a bridge and without privilege: cargo xtask run"
    )
}

fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The second one ends us at once; what QEMU leaves then, the kernel takes.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

fn network_words(net: &Net, tap: Option<&Tap>, publish: &[Publish]) -> String {
    match (net, tap) {
        (Net::User, _) => {
            let ports: Vec<String> = publish
                .iter()
                .map(|port| {
                    format!(
                        "{}:{} leads to the image's port {}",
                        port.address, port.port, port.guest_port
                    )
                })
                .collect();
            format!("QEMU's user network; {}", ports.join(", "))
        }
        (Net::Tap(name), _) => format!("TAP {name}"),
        (Net::Bridge(bridge), tap) => {
            format!(
                "TAP {} on {bridge}, removed at the end",
                tap.map_or("", Tap::name)
            )
        }
    }
}

fn backend_words(plan: &Plan, config: &Config) -> String {
    match plan.backend {
        Some(port) => format!(
            "an HTTP server of this run on 127.0.0.1:{port} (--connect= after `--` names another)"
        ),
        None => format!(
            "{}, where a server must listen (--connect= after `--` names another)",
            plan::backend_words(config)
        ),
    }
}

fn certificate_words(certificate: &Certificate) -> String {
    match certificate {
        Certificate::Development(files) => {
            let days = files
                .expires
                .duration_since(SystemTime::now())
                .unwrap_or_default()
                .as_secs()
                / 86_400;
            let verb = if files.fresh { "made now" } else { "kept" };
            format!(
                "{} for localhost, {verb}, {days} days left; authority {}",
                shown(&files.certificate),
                shown(&files.authority)
            )
        }
        Certificate::Files { certificate, .. } => shown(certificate),
        Certificate::Words => "from the image's command line".to_owned(),
    }
}

/// The command to try.
fn guidance(plan: &Plan, config: &Config, publish: &[Publish]) -> String {
    use stockade_config::Ipv4;
    let authority = match &plan.certificate {
        Certificate::Development(files) => {
            format!("--cacert {} ", shell::quote(&shown(&files.authority)))
        }
        _ => String::new(),
    };
    let port = config.accept.port;
    if plan.net == Net::User {
        return match publish
            .iter()
            .find(|published| published.guest_port == port)
        {
            Some(published) => format!(
                "curl {authority}https://{}:{}/",
                published.url_host(),
                published.port
            ),
            None => format!("(no published port leads to port {port}, where the image accepts)"),
        };
    }
    let address = match (config.ipv4, config.ipv6) {
        (Ipv4::Static { address, .. }, _) => address.to_string(),
        (_, Some(ipv6)) => format!("[{}]", ipv6.address),
        _ => "ADDRESS".to_owned(),
    };
    // The certificate names localhost; curl connects elsewhere and checks that name.
    let suffix = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    format!(
        "curl {authority}--connect-to localhost:{port}:{address}:{port} https://localhost{suffix}/"
    )
}

/// A path as short as it can be from where the user stands.
fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}
