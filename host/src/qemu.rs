//! QEMU's command line: one machine with one network card, a console and nothing else.

use std::fmt;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use stockade_config::Zeroizing;
use stockade_config::exit::ExitStatus;
use stockade_config::stunnel::Recording;

use crate::error::Error;
use crate::machine::{Accel, Firmware, Machine, Network};
use crate::vm::{Vm, Watch};
use crate::{Boot, memfd, network, process, shell};

/// The program.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// Memory of a machine, unless told otherwise.
const DEFAULT_MEMORY_MIB: u32 = 128;

/// A card without any of virtio-net's accelerations (virtio 1.2 §5.1.3): no checksum or
/// segmentation offload, no mergeable receive buffers, no event index.
const PLAIN_CARD: &str = "csum=off,guest_csum=off,gso=off,guest_tso4=off,guest_tso6=off,\
guest_ecn=off,guest_ufo=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off,\
mrg_rxbuf=off,event_idx=off";

/// What QEMU gives up: obsolete system calls, more rights, other programs, and changes to its
/// own priorities and affinities. It needs none of them.
const SANDBOX: &str = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// A machine to be started.
#[derive(Clone)]
pub struct Qemu {
    image: PathBuf,
    machine: Machine,
    firmware: Option<Firmware>,
    accel: Accel,
    memory_mib: u32,
    network: Network,
    plain_card: bool,
    mac: Option<[u8; 6]>,
    entropy_device: bool,
    cpu: Option<String>,
    kernel_line: Zeroizing<String>,
    files: Vec<(String, Zeroizing<Vec<u8>>)>,
    conf: Option<Arc<Recording>>,
    channel: Option<Arc<OwnedFd>>,
    program: String,
    sandbox: bool,
}

/// A QEMU command line: the program and its arguments. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<String>,
}

/// The numbers of the sockets that QEMU inherits.
#[derive(Clone, Copy, Default)]
struct Sockets {
    link: Option<RawFd>,
    channel: Option<RawFd>,
}

impl Qemu {
    /// A microvm of 128 MiB without a network, booting the image in this file.
    pub fn new(image: impl Into<PathBuf>) -> Qemu {
        Qemu {
            image: image.into(),
            machine: Machine::default(),
            firmware: None,
            accel: Accel::Auto,
            memory_mib: DEFAULT_MEMORY_MIB,
            network: Network::None,
            plain_card: false,
            mac: None,
            entropy_device: true,
            cpu: None,
            kernel_line: Zeroizing::default(),
            files: Vec::new(),
            conf: None,
            channel: None,
            program: PROGRAM.to_owned(),
            sandbox: false,
        }
    }

    /// Sets the machine type.
    pub fn machine(mut self, machine: Machine) -> Self {
        self.machine = machine;
        self
    }

    /// Sets the firmware; the default is the machine's own.
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// Sets the accelerator. [`Accel::Auto`] is resolved by a trial run when the machine is
    /// started.
    pub fn accel(mut self, accel: Accel) -> Self {
        self.accel = accel;
        self
    }

    /// Sets the memory, in MiB.
    pub fn memory_mib(mut self, memory: u32) -> Self {
        self.memory_mib = memory;
        self
    }

    /// Sets what the network card is plugged into.
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Gives the card none of virtio-net's accelerations.
    pub fn plain_card(mut self, plain: bool) -> Self {
        self.plain_card = plain;
        self
    }

    /// Sets the card's MAC address; QEMU's default is 52:54:00:12:34:56.
    pub fn mac(mut self, mac: [u8; 6]) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Adds or leaves out the virtio-rng device; it is there by default.
    pub fn entropy_device(mut self, present: bool) -> Self {
        self.entropy_device = present;
        self
    }

    /// Sets the processor model (`-cpu`); the default is every feature the accelerator has.
    pub fn cpu(mut self, model: impl Into<String>) -> Self {
        self.cpu = Some(model.into());
        self
    }

    /// Sets the image's command line. It may hold a private key: see [`Boot::divide`].
    pub fn kernel_line(mut self, line: impl Into<String>) -> Self {
        self.kernel_line = Zeroizing::new(line.into());
        self
    }

    /// Adds a file that the image's command line calls `file:NAME`.
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), Zeroizing::new(bytes.into())));
        self
    }

    /// Adds a stunnel configuration with the files that it names; the image's command line calls
    /// it by [`conf::word`](crate::conf::word).
    pub fn conf(mut self, recording: Arc<Recording>) -> Self {
        self.conf = Some(recording);
        self
    }

    /// Gives the image a management channel: a connected stream socket, whose other end is the
    /// caller's. QEMU gets a duplicate of its own.
    ///
    /// QEMU drops bytes of the guest that the socket has no room for, without a word to either
    /// side. So what goes over it needs acknowledgements.
    pub fn channel(mut self, socket: Arc<OwnedFd>) -> Self {
        self.channel = Some(socket);
        self
    }

    /// Sets QEMU's program: a path, or a name that is looked for in `PATH`.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// Lets QEMU give up the system calls that it does not need (seccomp(2)); by default it keeps
    /// them. A QEMU that was built without that refuses to start.
    pub fn sandbox(mut self, sandbox: bool) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// The accelerator that was asked for.
    pub fn requested_accel(&self) -> Accel {
        self.accel
    }

    /// The image's file.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Divides the image's configuration between QEMU's command line and the boot archive.
    ///
    /// # Errors
    ///
    /// A file's name is one that the archive does not take.
    pub fn boot(&self) -> Result<Boot, Error> {
        let firmware = self.firmware.unwrap_or(Firmware::default_for(self.machine));
        Boot::divide(
            &self.kernel_line,
            &self.files,
            self.conf.as_deref(),
            firmware.append_limit(),
        )
    }

    /// QEMU's command line, with the image and the boot archive at these paths.
    ///
    /// [`Accel::Auto`] is written as TCG: resolve it first.
    pub fn command_line(&self, boot: &Boot, kernel: &str, initrd: Option<&str>) -> CommandLine {
        let number = |socket: &Arc<OwnedFd>| socket.as_raw_fd();
        let sockets = Sockets {
            link: self.link().map(number),
            channel: self.channel.as_ref().map(number),
        };
        self.line(boot, kernel, initrd, sockets)
    }

    /// The command line, with sockets under these numbers.
    fn line(
        &self,
        boot: &Boot,
        kernel: &str,
        initrd: Option<&str>,
        sockets: Sockets,
    ) -> CommandLine {
        let mut line = CommandLine {
            words: vec![self.program.clone()],
        };
        line.add(["-name", "stockade"]);
        line.add(["-machine", self.machine_argument()]);
        if let Some(firmware) = self.firmware_argument() {
            line.add(["-bios", firmware]);
        }
        let (accel, cpu) = match self.accel {
            // Some hosts refuse the MSR behind this feature, and QEMU then aborts.
            Accel::Kvm => ("kvm", "max,-arch-capabilities"),
            Accel::Tcg | Accel::Auto => ("tcg", "max"),
        };
        line.add(["-accel", accel, "-cpu", self.cpu.as_deref().unwrap_or(cpu)]);
        line.add(["-smp", "1", "-m", &self.memory_mib.to_string()]);
        // Not -nographic: it also tells SeaBIOS to write to the serial port.
        line.add(["-nodefaults", "-no-user-config", "-display", "none"]);
        line.add(["-serial", "stdio", "-no-reboot"]);
        if self.sandbox {
            line.add(["-sandbox", SANDBOX]);
        }
        line.add(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        if !self.machine.has_pci() {
            line.add(["-global", "virtio-mmio.force-legacy=false"]);
        }
        if self.entropy_device {
            line.add([
                "-device",
                if self.machine.has_pci() {
                    "virtio-rng-pci"
                } else {
                    "virtio-rng-device"
                },
            ]);
        }
        if let Some(backend) = netdev(&self.network, sockets.link) {
            line.add(["-netdev", &backend, "-device", &self.card()]);
        }
        if let Some(socket) = sockets.channel {
            line.add(["-chardev", &format!("socket,id=channel,fd={socket}")]);
            line.add(["-device", self.serial_bus()]);
            line.add(["-device", "virtconsole,chardev=channel"]);
        }
        line.add(["-kernel", kernel]);
        if let Some(initrd) = initrd {
            line.add(["-initrd", initrd]);
        }
        if !boot.append.is_empty() {
            line.add(["-append", &boot.append]);
        }
        line
    }

    /// Starts the machine. `on_line` sees every line of its console, on another thread.
    ///
    /// # Errors
    ///
    /// The image can't be read, the archive can't be made, or QEMU can't be started. An image
    /// that fails later is seen through the [`Vm`].
    pub fn spawn(&self, on_line: impl FnMut(&str) + Send + 'static) -> Result<Vm, Error> {
        self.spawn_watched(Watch::lines(on_line))
    }

    /// As [`spawn`](Self::spawn), and tells of the machine's end.
    pub(crate) fn spawn_watched(&self, watch: Watch) -> Result<Vm, Error> {
        if self.accel == Accel::Auto {
            let accel = crate::probe(&self.image)?.accel;
            return self.clone().accel(accel).spawn_watched(watch);
        }
        let image = fs::read(&self.image).map_err(|source| Error::ReadImage {
            path: self.image.clone(),
            source,
        })?;
        let boot = self.boot()?;
        let kernel = memfd::sealed("stockade", &image).map_err(Error::Memory)?;
        let initrd = boot
            .archive
            .as_ref()
            .map(|archive| memfd::sealed("boot-archive", archive));
        let initrd = initrd.transpose().map_err(Error::Memory)?;
        let initrd_path = initrd.as_ref().map(memfd::path);
        // Duplicates: only they are to be inherited, and only by this child.
        let duplicate = |socket: Option<&Arc<OwnedFd>>| {
            let duplicate = socket.map(|socket| socket.try_clone());
            duplicate.transpose().map_err(Error::Memory)
        };
        let link = duplicate(self.link())?;
        let channel = duplicate(self.channel.as_ref())?;
        let sockets = Sockets {
            link: link.as_ref().map(AsRawFd::as_raw_fd),
            channel: channel.as_ref().map(AsRawFd::as_raw_fd),
        };
        let line = self.line(
            &boot,
            &memfd::path(&kernel),
            initrd_path.as_deref(),
            sockets,
        );

        let mut command = process::bound_to_us(&self.program)?;
        command
            .args(line.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C is ours to handle: the terminal sends it to the whole foreground group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let inherit = [Some(kernel), initrd, link, channel];
        let inherit = inherit.into_iter().flatten().collect();
        Vm::start(command, inherit, watch)
    }

    fn machine_argument(&self) -> &'static str {
        match self.machine {
            // Power-off goes through ACPI's event device; KVM's microvm has no clock chip by itself.
            Machine::Microvm => "microvm,acpi=on,rtc=on",
            Machine::Q35 => "q35",
            Machine::Pc => "pc",
        }
    }

    fn firmware_argument(&self) -> Option<&'static str> {
        let asked = self.firmware?;
        // The machine's own firmware needs no name, and may go by another one elsewhere.
        (asked != Firmware::default_for(self.machine)).then_some(match asked {
            Firmware::Qboot => "qboot.rom",
            Firmware::SeaBios => "bios-256k.bin",
        })
    }

    /// The device that the channel's port sits on. One port: the image does without the control
    /// queues of more (virtio 1.2 §5.3.3, `VIRTIO_CONSOLE_F_MULTIPORT`).
    fn serial_bus(&self) -> &'static str {
        if self.machine.has_pci() {
            "virtio-serial-pci,disable-legacy=on,max_ports=1"
        } else {
            "virtio-serial-device,max_ports=1"
        }
    }

    /// The link to the network of this process.
    fn link(&self) -> Option<&Arc<OwnedFd>> {
        match &self.network {
            Network::Rootless(link) => Some(link.descriptor()),
            _ => None,
        }
    }

    fn card(&self) -> String {
        let mut card = if self.machine.has_pci() {
            // A modern device alone, and no network boot ROM for the firmware to load.
            "virtio-net-pci,netdev=net,disable-legacy=on,romfile=".to_owned()
        } else {
            "virtio-net-device,netdev=net".to_owned()
        };
        let mut mac = self.mac;
        if let Network::Rootless(_) = self.network {
            card += &format!(",host_mtu={}", network::MTU);
            mac = Some(network::GUEST_MAC);
        }
        if let Some([a, b, c, d, e, f]) = mac {
            card += &format!(",mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        }
        if self.plain_card {
            card.push(',');
            card += PLAIN_CARD;
        }
        card
    }
}

fn netdev(network: &Network, link: Option<RawFd>) -> Option<String> {
    match network {
        Network::None => None,
        Network::Rootless(_) => {
            link.map(|link| format!("stream,id=net,addr.type=fd,addr.str={link}"))
        }
        Network::Tap { name } => Some(format!(
            "tap,id=net,ifname={},script=no,downscript=no,vnet_hdr=on",
            // In QEMU's option syntax a comma inside a value is doubled.
            name.replace(',', ",,")
        )),
    }
}

impl CommandLine {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        self.words.extend(words.map(str::to_owned));
    }

    /// The program.
    pub fn program(&self) -> &str {
        self.words.first().map_or(PROGRAM, String::as_str)
    }

    /// The arguments after the program.
    pub fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for CommandLine {
    /// Writes the line so that a POSIX shell takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&shell::quote(word))?;
        }
        Ok(())
    }
}

/// Whether a machine that ended this way had run the image at all.
pub(crate) fn image_spoke(status: ExitStatus) -> bool {
    !matches!(status, ExitStatus::Panic | ExitStatus::Exception)
}

#[cfg(test)]
mod tests;
