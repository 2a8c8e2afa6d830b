//! What is measured: our image, or a Linux guest with somebody else's TLS proxy in it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use stockade_host::{Accel, Network, Qemu};

use super::machine::{Launch, Machine, thread_ticks};
use super::{backend, client::Client, load::Target};
use crate::hosted::guest::Guest;
use crate::hosted::{MEMORY_MIB, Options};
use crate::memory_file::MemoryFile;
use crate::tap::Tap;
use crate::{PATIENCE, process};

/// Where every subject accepts TLS.
const PORT: u16 = 443;
/// The Ethernet address of every guest.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x53, 0x74, 0x6b];
/// The Ethernet address of a hosted tunnel.
const HOSTED_MAC: [u8; 6] = [0x02, 0x53, 0x74, 0x6b, 0x64, 0x02];
/// Where a peer accepts TLS when it runs as a process on the loopback interface.
const NATIVE_PORT: u16 = 4433;

/// Something that terminates TLS and forwards plain TCP.
pub enum Subject {
    /// Ours.
    Stockade {
        /// The image.
        image: PathBuf,
        /// The program `stockade-hosted`.
        hosted: PathBuf,
        /// PEM files `cert.pem` and `key.pem`.
        identity: PathBuf,
    },
    /// A Debian kernel with one proxy in its initial file system.
    Linux {
        /// The proxy's name.
        name: String,
        /// Holds `vmlinuz`, `initrd.gz`, the unpacked `root/`, and `native`, which says how to
        /// run the proxy as a process: one word a line.
        folder: PathBuf,
    },
}

/// What a subject does with what comes out of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes it on as bytes.
    Bytes,
    /// Reads it as HTTP/1.1, and passes requests and responses on.
    Requests,
}

/// A guest that runs, on a link of its own. The guest is dropped before its link.
pub struct Running {
    /// The machine.
    pub machine: Machine,
    /// Where it serves.
    pub target: Target,
    _tap: Tap,
}

/// A subject that runs as a process. Ended when dropped.
pub struct Native {
    process: Process,
    /// Where it serves.
    pub target: Target,
    _tap: Option<Tap>,
}

enum Process {
    Hosted(Guest),
    Peer(Child),
}

impl Subject {
    /// Its name in the figures.
    pub fn name(&self) -> &str {
        match self {
            Subject::Stockade { .. } => "stockade",
            Subject::Linux { name, .. } => name,
        }
    }

    /// Whether it has [`Mode::Requests`].
    pub fn speaks_http(&self) -> bool {
        match self {
            Subject::Stockade { .. } => true,
            Subject::Linux { folder, .. } => folder.join("root/etc/requests.conf").exists(),
        }
    }

    /// Starts it in a machine with `memory` MiB, and does not wait.
    pub fn start(&self, memory: u32, mode: Mode, plugin: Option<&Path>) -> io::Result<Running> {
        let tap = Tap::create();
        let backend = backend::start(tap.host())?;
        let server = (tap.guest(), PORT).into();
        quieten(&tap, MAC);
        let launch = match self {
            Subject::Stockade {
                image, identity, ..
            } => stockade(image, identity, &tap, (backend, mode), memory)?,
            Subject::Linux { name, folder } => linux(name, folder, &tap, (backend, mode), memory),
        };
        Ok(Running {
            machine: Machine::start(launch, plugin)?,
            target: Target {
                server,
                client: Client::new(),
                mode,
            },
            _tap: tap,
        })
    }

    /// Starts it as a process and waits until it serves.
    pub fn start_native(&self) -> io::Result<Native> {
        match self {
            Subject::Stockade {
                hosted, identity, ..
            } => start_hosted(hosted, identity),
            Subject::Linux { folder, .. } => start_peer(folder),
        }
    }
}

impl Native {
    /// Processor time that it has used, user and system, in steps of 10 ms.
    pub fn processor_time(&self) -> io::Result<Duration> {
        match &self.process {
            Process::Hosted(guest) => Ok(guest.processor_time()),
            Process::Peer(child) => {
                let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
                let (_, ticks) = thread_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Duration::from_millis(10 * ticks))
            }
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        if let Process::Peer(child) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// No traffic but the measured: no IPv6 announcements, no ARP while the guest still boots.
fn quieten(tap: &Tap, mac: [u8; 6]) {
    let name = tap.name();
    // A read-only /proc/sys leaves a few frames of noise.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1");
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    let mut command = Command::new("ip");
    command.args(["neigh", "replace", &tap.guest().to_string()]);
    command.args(["lladdr", &mac, "dev", name, "nud", "permanent"]);
    process::must(&mut command);
}

/// As the launcher starts the image, with certificate and key in the boot archive.
fn stockade(
    image: &Path,
    identity: &Path,
    tap: &Tap,
    (backend, mode): (SocketAddr, Mode),
    memory: u32,
) -> io::Result<Launch> {
    let name = tap.name().to_owned();
    let mode = match mode {
        Mode::Bytes => "tcp",
        Mode::Requests => "http",
    };
    let line = format!(
        "{} --cert=file:cert.pem --key=file:key.pem --mode={mode}",
        options(tap, backend)
    );
    let mut qemu = Qemu::new(image)
        .accel(Accel::Tcg)
        .memory_mib(memory)
        .network(Network::Tap { name })
        .mac(MAC)
        .kernel_line(line);
    for file in ["cert.pem", "key.pem"] {
        qemu = qemu.file(file, fs::read(identity.join(file))?);
    }
    let boot = qemu.boot().map_err(io::Error::other)?;
    let archive = boot.archive.as_ref().map(MemoryFile::new);
    let path = archive
        .as_ref()
        .map(|file| file.path().display().to_string());
    let line = qemu.command_line(&boot, &image.display().to_string(), path.as_deref());
    let mut words = vec![line.program().to_owned()];
    words.extend_from_slice(line.arguments());
    Ok(Launch {
        words,
        files: archive.into_iter().collect(),
    })
}

/// The image's addresses.
fn options(tap: &Tap, backend: SocketAddr) -> String {
    let (guest, host, prefix) = (tap.guest(), tap.host(), Tap::PREFIX);
    format!(
        "--ipv4={guest}/{prefix} --ipv4-gateway={host} --accept={PORT} --connect={backend} --log=warn"
    )
}

fn linux(
    name: &str,
    folder: &Path,
    tap: &Tap,
    (backend, mode): (SocketAddr, Mode),
    memory: u32,
) -> Launch {
    let configuration = match mode {
        Mode::Bytes => "proxy",
        Mode::Requests => "requests",
    };
    let mac = MAC.map(|byte| format!("{byte:02x}")).join(":");
    let words = [
        "qemu-system-x86_64",
        "-name",
        name,
        "-machine",
        "q35",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-smp",
        "1",
        "-m",
        &memory.to_string(),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-no-reboot",
        "-netdev",
        &format!(
            "tap,id=net,ifname={},script=no,downscript=no,vnet_hdr=on",
            tap.name()
        ),
        "-device",
        &format!("virtio-net-pci,netdev=net,disable-legacy=on,romfile=,mac={mac}"),
        "-kernel",
        &folder.join("vmlinuz").display().to_string(),
        "-initrd",
        &folder.join("initrd.gz").display().to_string(),
        "-append",
        // What the guest's /init reads; a failing guest ends instead of waiting.
        &format!(
            "console=ttyS0 quiet panic=-1 bench.address={}/{} bench.accept={}:{PORT} bench.connect={backend} bench.configuration={configuration}",
            tap.guest(),
            Tap::PREFIX,
            Ipv4Addr::UNSPECIFIED,
        ),
    ];
    Launch {
        words: words.map(str::to_owned).into(),
        files: Vec::new(),
    }
}

fn start_hosted(program: &Path, identity: &Path) -> io::Result<Native> {
    let tap = Tap::create();
    quieten(&tap, HOSTED_MAC);
    let backend = backend::start(tap.host())?;
    let inline = |file: &str| -> io::Result<String> {
        Ok(Base64::encode_string(&fs::read(identity.join(file))?))
    };
    let line = format!(
        "{} --cert=base64:{} --key=base64:{}",
        options(&tap, backend).replace("--log=warn", "--log=info"),
        inline("cert.pem")?,
        inline("key.pem")?,
    );
    let options = Options {
        tap: tap.name().to_owned(),
        memory_mib: MEMORY_MIB,
        offload: true,
        clock_ahead: 0,
    };
    let program = program
        .to_str()
        .ok_or_else(|| io::Error::other("the program's path is not UTF-8"))?;
    let guest = Guest::start(program, &options, &line);
    guest.wait_until_ready();
    Ok(Native {
        process: Process::Hosted(guest),
        target: Target {
            server: (tap.guest(), PORT).into(),
            client: Client::new(),
            mode: Mode::Bytes,
        },
        _tap: Some(tap),
    })
}

/// A peer on the loopback interface, with its own libraries.
fn start_peer(folder: &Path) -> io::Result<Native> {
    let backend = backend::start(Ipv4Addr::LOCALHOST)?;
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, NATIVE_PORT));
    let words = fs::read_to_string(folder.join("native"))?;
    // Shown only if it does not serve.
    let log = MemoryFile::new("");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    command
        .args(words.lines())
        .current_dir(folder)
        .env("BENCH_ACCEPT", server.to_string())
        .env("BENCH_CONNECT", backend.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::options().append(true).open(log.path())?);
    let mut native = Native {
        process: Process::Peer(command.spawn()?),
        target: Target {
            server,
            client: Client::new(),
            mode: Mode::Bytes,
        },
        _tap: None,
    };
    let target = native.target.clone();
    let serves = || {
        if let Process::Peer(child) = &mut native.process
            && let Ok(Some(status)) = child.try_wait()
        {
            let words = String::from_utf8_lossy(&log.contents()).into_owned();
            return Some(Err(io::Error::other(format!(
                "it has ended ({status}): {words}"
            ))));
        }
        thread::sleep(Duration::from_millis(20));
        target
            .client
            .connect(server, PATIENCE)
            .is_ok()
            .then_some(Ok(()))
    };
    crate::wait_until(PATIENCE, serves).ok_or_else(|| io::Error::other("it never serves"))??;
    Ok(native)
}
