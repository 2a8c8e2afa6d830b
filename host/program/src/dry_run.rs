//! `stockade run --dry-run`: what a run would do.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use stockade_host::conf::Passphrases;
use stockade_host::{Accel, Network, Qemu};

use crate::Result;
use crate::caller::Caller;
use crate::cli::{Net, Run};
use crate::plan::{self, Plan};
use crate::reading::{self, Recipe, Refused};
use crate::words::shown;

/// The backend's port that is shown; a real run takes a free one.
pub(crate) const EXAMPLE_PORT: u16 = 8080;

/// Most files that are named one by one; a directory of authorities has hundreds.
const MOST_NAMED: usize = 12;

/// Prints what a run would do.
///
/// # Errors
///
/// It can't be found out; that a run would be refused is a status.
pub(crate) fn show(options: &Run, caller: &dyn Caller, net: Net) -> Result<ExitCode> {
    let backend = plan::wants_backend(options, &net).then_some(EXAMPLE_PORT);
    let recipe = Recipe {
        options: options.clone(),
        net,
        backend,
        development: None,
        // The certificate's files may not exist, and are not made now: their place is shown.
        stand_in: plan::wants_development_certificate(options),
        program: caller.program(),
    };
    let reading = match recipe.read(Passphrases::available()) {
        Ok(reading) => reading,
        Err(Refused { lines, status }) => {
            lines.iter().for_each(|line| eprintln!("{line}"));
            return Ok(ExitCode::from(status));
        }
    };
    let plan = &reading.plan;
    let mut archive: Vec<String> = if recipe.stand_in {
        let folder = caller.development_folder()?;
        let path = |name| shown(&folder.join(name));
        ["cert.pem", "key.pem"].map(path).to_vec()
    } else {
        plan.files.iter().map(|(name, _)| name.clone()).collect()
    };
    if let Some(conf) = &plan.conf {
        archive.extend(conf.recording.paths().map(str::to_owned));
    }
    let image = caller.image_place(&options.machinery);
    let machine = machine(options, plan, &image)?;
    let boot = machine.boot()?;
    let initrd = boot.archive.is_some().then_some("BOOT-ARCHIVE");

    println!("would boot     {image}");
    if options.machinery.accel == Accel::Auto {
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
    for forward in &reading.ports.forwards {
        println!(
            "would publish  {}, which leads to the image's port {}",
            forward.listen, forward.guest_port
        );
    }
    for socket in &reading.ports.sockets {
        println!(
            "would connect  to unix:{} for the image",
            socket.path.display()
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
        "would hand over the image and the boot archive as files in memory, the network and the \
         management\n               channel as sockets; names and numbers stand for them:\n"
    );
    println!("{}", machine.command_line(&boot, &image, initrd));
    Ok(ExitCode::SUCCESS)
}

/// The machine with what is plugged into it.
fn machine(options: &Run, plan: &Plan, image: &str) -> Result<Qemu> {
    let network = match &plan.net {
        Net::Rootless => {
            let (link, _) = UnixStream::pair()?;
            Network::Rootless(std::os::fd::OwnedFd::from(link).into())
        }
        Net::Tap(name) => Network::Tap { name: name.clone() },
        Net::Bridge(_) => Network::Tap {
            name: "TAP".to_owned(),
        },
    };
    let (channel, _) = UnixStream::pair()?;
    Ok(reading::machine(options, Path::new(image), plan)
        .accel(options.machinery.accel)
        .sandbox(true)
        .channel(Arc::new(channel.into()))
        .network(network))
}
