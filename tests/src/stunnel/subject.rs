//! Whatever serves a `stunnel.conf`: the tunnel as a process, the image, or Debian's stunnel.

use std::net::{Ipv4Addr, SocketAddr};

use stockade_config::archive::{Archive, Builder};
use stockade_config::stunnel::{self, Recorder, Recording};
use stockade_host::Network;

use crate::hosted;
use crate::memory_file::MemoryFile;
use crate::stunnel::debian::Debian;
use crate::stunnel::disk::Disk;
use crate::stunnel::files::Files;
use crate::stunnel::launched::Launched;
use crate::tap::Tap;
use crate::vm;
use crate::{PATIENCE, wait_until};

/// What a tunnel says once it serves.
const READY: &str = "ready:";

/// What serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Debian's stunnel4: what the others are compared with.
    Debian,
    /// The tunnel as a process: this program, `stockade-hosted`.
    Hosted(&'static str),
    /// The image in a virtual machine.
    Booted(vm::Machine),
    /// The image, run by this program (`stockade`) on the rootless network.
    Launched(&'static str),
}

/// A place for one subject: its network and its files.
pub struct Scene {
    /// What serves here.
    pub kind: Kind,
    /// The link between the subject and this host.
    pub tap: Tap,
    /// The configuration and the files that it names.
    pub files: Files,
    options: Vec<String>,
}

impl Scene {
    /// An empty place.
    pub fn new(kind: Kind) -> Scene {
        Scene {
            kind,
            tap: Tap::create(),
            files: Files::create(),
            options: Vec::new(),
        }
    }

    /// With one more option on the command line of a tunnel or image.
    pub fn option(mut self, option: impl Into<String>) -> Scene {
        self.options.push(option.into());
        self
    }

    /// Where backends and peers listen; the subject's gateway.
    pub fn host(&self) -> Ipv4Addr {
        self.tap.host()
    }

    /// The interface that the plaintext passes over.
    pub fn link(&self) -> &str {
        match self.kind {
            // A process of this host speaks to other processes of this host.
            Kind::Debian | Kind::Launched(_) => "lo",
            Kind::Hosted(_) | Kind::Booted(_) => self.tap.name(),
        }
    }

    /// Where the subject is reached.
    pub fn subject(&self, port: u16) -> SocketAddr {
        let address = match self.kind {
            Kind::Debian | Kind::Launched(_) => self.tap.host(),
            Kind::Hosted(_) | Kind::Booted(_) => self.tap.guest(),
        };
        (address, port).into()
    }

    /// Starts the subject and waits until it serves; panics with what it says against that.
    pub fn start(&self, conf: &str) -> Subject {
        let started = self.try_start(conf);
        started.unwrap_or_else(|words| panic!("refused:\n{words}\n{conf}"))
    }

    /// Gives the subject a configuration that it must refuse; gives what it says.
    pub fn refuse(&self, conf: &str) -> String {
        match self.try_start(conf) {
            Ok(_) => panic!("it was taken:\n{conf}"),
            Err(words) => words,
        }
    }

    /// Starts the subject and waits until it serves.
    ///
    /// # Errors
    /// The configuration is refused, with these words.
    pub fn try_start(&self, conf: &str) -> Result<Subject, String> {
        let path = self.files.add("stunnel.conf", conf);
        match self.kind {
            Kind::Debian => Debian::try_start(&path).map(Subject::Debian),
            Kind::Hosted(program) => {
                let guest = self.start_hosted(program, &record(&path)?, &path);
                ready(Subject::Hosted(guest))
            }
            Kind::Booted(machine) => {
                let guest = self.boot(machine, &record(&path)?, &path);
                ready(Subject::Booted(guest))
            }
            Kind::Launched(program) => {
                let launched = Launched::start(program, &path, &self.options);
                ready(Subject::Launched(launched))
            }
        }
    }

    /// The options of the tunnel's command line that name this place.
    fn command_line(&self, conf: &str) -> String {
        let mut line = format!(
            "--ipv4={}/{} --ipv4-gateway={} --conf=file:{conf}",
            self.tap.guest(),
            Tap::PREFIX,
            self.tap.host()
        );
        for option in &self.options {
            line = line + " " + option;
        }
        line
    }

    fn start_hosted(
        &self,
        program: &str,
        recording: &Recording,
        path: &str,
    ) -> hosted::guest::Guest {
        let mut builder = Builder::default();
        let conf = pack(recording, &mut builder, path);
        let archive = MemoryFile::new(builder.finish());
        let options = hosted::Options {
            tap: self.tap.name().to_owned(),
            memory_mib: hosted::MEMORY_MIB,
            offload: true,
            clock_ahead: 0,
        };
        let line = self.command_line(&conf);
        let path = archive.path();
        let guest = hosted::guest::Guest::start_with(program, &options, Some(&path), &line);
        // The program has opened the archive by the time it logs anything.
        wait_until(PATIENCE, || {
            (guest.lines() > 0 || !guest.is_running()).then_some(())
        });
        guest
    }

    fn boot(&self, machine: vm::Machine, recording: &Recording, path: &str) -> vm::Guest {
        let mut builder = Builder::default();
        let conf = pack(recording, &mut builder, path);
        let mut qemu = machine.qemu().network(Network::Tap {
            name: self.tap.name().to_owned(),
        });
        let archive = builder.finish();
        let archive = Archive::open(&archive).unwrap_or_else(|error| panic!("{error}"));
        for name in archive.names() {
            qemu = qemu.file(name, archive.file(name).expect("one of its names"));
        }
        vm::Guest::start(&qemu.kernel_line(self.command_line(&conf)))
    }
}

/// Waits until a tunnel serves, or ends with its log as the reason.
fn ready(mut subject: Subject) -> Result<Subject, String> {
    let serves = wait_until(PATIENCE, || {
        let serves = subject.count(READY) > 0;
        (serves || !subject.is_running()).then_some(serves)
    });
    match serves {
        Some(true) => Ok(subject),
        Some(false) => {
            if let Subject::Launched(launched) = &subject {
                // The reading thread may be a moment behind the process.
                launched.log().wait_for("Configuration failed");
            }
            Err(subject.log())
        }
        None => panic!("neither serves nor ends:\n{}", subject.log()),
    }
}

/// The configuration and all that it names, or its errors.
fn record(path: &str) -> Result<Recording, String> {
    let mut recorder = Recorder::new(Disk);
    match stunnel::read(path, &mut recorder) {
        Ok(_) => Ok(recorder.into_files()),
        Err(errors) => Err(errors.to_string()),
    }
}

/// Puts it into an archive; gives the configuration's name there.
fn pack<'a>(recording: &'a Recording, builder: &mut Builder<'a>, path: &str) -> String {
    let main = recording.pack(builder, path);
    let main = main.unwrap_or_else(|error| panic!("{error}"));
    main.expect("the configuration was read").to_owned()
}

/// A subject that serves. Ended when dropped; a failing test then prints what it logged.
pub enum Subject {
    /// Debian's stunnel4.
    Debian(Debian),
    /// The tunnel as a process.
    Hosted(hosted::guest::Guest),
    /// The image.
    Booted(vm::Guest),
    /// The image, run by the program.
    Launched(Launched),
}

impl Subject {
    /// Everything logged so far.
    pub fn log(&self) -> String {
        match self {
            Subject::Debian(debian) => debian.log().text(),
            Subject::Launched(launched) => launched.log().text(),
            Subject::Hosted(guest) => guest.log(),
            Subject::Booted(guest) => guest.log(),
        }
    }

    /// How many lines of the log hold `needle`.
    pub fn count(&self, needle: &str) -> usize {
        match self {
            Subject::Debian(debian) => debian.log().count(needle),
            Subject::Launched(launched) => launched.log().count(needle),
            Subject::Hosted(guest) => guest.count(needle),
            Subject::Booted(guest) => guest.count(needle),
        }
    }

    /// How many lines the log has.
    pub fn lines(&self) -> usize {
        match self {
            Subject::Debian(debian) => debian.log().len(),
            Subject::Launched(launched) => launched.log().len(),
            Subject::Hosted(guest) => guest.lines(),
            Subject::Booted(guest) => guest.lines(),
        }
    }

    /// Waits for a line of the log that holds `needle`.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait_for_after(0, needle)
    }

    /// The same among the lines from number `from` on.
    pub fn wait_for_after(&self, from: usize, needle: &str) -> String {
        match self {
            Subject::Debian(debian) => debian.log().wait_for_after(from, needle),
            Subject::Launched(launched) => launched.log().wait_for_after(from, needle),
            Subject::Hosted(guest) => guest.wait_for_after(from, needle),
            Subject::Booted(guest) => guest.wait_for_after(from, needle),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        match self {
            Subject::Debian(debian) => debian.is_running(),
            Subject::Launched(launched) => launched.is_running(),
            Subject::Hosted(guest) => guest.is_running(),
            Subject::Booted(guest) => guest.is_running(),
        }
    }
}
