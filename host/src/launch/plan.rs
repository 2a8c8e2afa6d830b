//! The machines of a launcher: all alike but for what they are to do.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use stockade_config::exit::Outcome;
use stockade_config::{Zeroizing, archive};

use super::LastWords;
use super::options::{Image, Link, Machinery, Setup};
use crate::network::Network;
use crate::{Accel, Boot, Error, Qemu, accel, memfd};

/// QEMU was killed because it used a system call that it had given up: SIGSYS (signal(7)).
const BAD_SYSTEM_CALL: Outcome = Outcome::Unknown(-31);

/// What every machine of a launcher has.
pub(super) struct Plan {
    base: Qemu,
    link: Link,
    /// Whether there is to be a management channel.
    pub(super) channel: bool,
    /// Whether QEMU gives up the system calls that it does not need.
    pub(super) sandbox: bool,
    /// The image's bytes; the path in `base` leads here.
    _image: OwnedFd,
}

impl Plan {
    /// Reads the image, and finds the accelerator by a trial run where that is asked for.
    pub(super) fn new(machinery: &Machinery) -> Result<Plan, Error> {
        let image = match &machinery.image {
            Image::File(path) => {
                let failed = |source| Error::ReadImage {
                    path: path.clone(),
                    source,
                };
                memfd::sealed("stockade", &fs::read(path).map_err(failed)?)
            }
            Image::Bytes(bytes) => memfd::sealed("stockade", bytes),
        };
        let image = image.map_err(Error::Memory)?;
        let path = PathBuf::from(memfd::path(&image));
        let accel = match machinery.accel {
            Accel::Auto => accel::probe_with(&machinery.program, &path)?.accel,
            known => known,
        };
        let mut base = Qemu::new(path)
            .program(&machinery.program)
            .machine(machinery.machine)
            .accel(accel)
            .memory_mib(machinery.memory_mib);
        if let Some(firmware) = machinery.firmware {
            base = base.firmware(firmware);
        }
        Ok(Plan {
            base,
            link: machinery.link.clone(),
            channel: true,
            sandbox: true,
            _image: image,
        })
    }

    pub(super) fn accel(&self) -> Accel {
        self.base.requested_accel()
    }

    /// The network of this process, where the machines have that.
    pub(super) fn network(&self) -> Result<Option<Network>, Error> {
        match self.link {
            Link::Rootless => Network::start().map(Some),
            Link::Tap(_) | Link::None => Ok(None),
        }
    }

    /// A machine for this. `plugged` is QEMU's end of the rootless network's link, `channel` that
    /// of the management channel.
    pub(super) fn machine(
        &self,
        setup: &Setup,
        plugged: Option<OwnedFd>,
        channel: Option<OwnedFd>,
    ) -> Qemu {
        let network = match (&self.link, plugged) {
            (Link::Rootless, Some(end)) => crate::Network::Rootless(end.into()),
            (Link::Tap(name), _) => crate::Network::Tap { name: name.clone() },
            _ => crate::Network::None,
        };
        let mut machine = self.told(setup).network(network).sandbox(self.sandbox);
        if let Some(channel) = channel {
            machine = machine.channel(Arc::new(channel));
        }
        machine
    }

    /// Whether a QEMU that ended this way stumbled over something that it can do without; from
    /// now on it does.
    pub(super) fn do_without(&mut self, words: &LastWords) -> bool {
        let before = (self.sandbox, self.channel);
        let tells = |parts: [&str; 2]| {
            let mut lines = words.messages.iter();
            lines.any(|line| parts.iter().any(|part| line.contains(part)))
        };
        match words.outcome {
            Outcome::Qemu => {
                self.sandbox &= !tells(["sandbox", "seccomp"]);
                self.channel &= !tells(["virtio-serial", "virtconsole"]);
            }
            BAD_SYSTEM_CALL => self.sandbox = false,
            _ => {}
        }
        before != (self.sandbox, self.channel)
    }

    /// What the image is handed for this at boot.
    fn boot(&self, setup: &Setup) -> Result<Boot, Error> {
        self.told(setup).boot()
    }

    /// The boot archive for a reload from one to another.
    ///
    /// # Errors
    ///
    /// What the image can't take without being started anew.
    pub(super) fn archive(&self, from: &Setup, to: &Setup) -> Result<Zeroizing<Vec<u8>>, String> {
        let words = |error: Error| error.to_string();
        let (old, new) = (
            self.boot(from).map_err(words)?,
            self.boot(to).map_err(words)?,
        );
        if old.append != new.append {
            return Err(format!(
                "the image's command line can't change while it runs, from {:?} to {:?}: \
                 stop and start anew",
                old.append, new.append
            ));
        }
        Ok(new
            .archive
            .unwrap_or_else(|| archive::Builder::new().finish()))
    }

    fn told(&self, setup: &Setup) -> Qemu {
        let mut machine = self.base.clone().kernel_line(setup.kernel_line.as_str());
        for (name, bytes) in &setup.files {
            machine = machine.file(name.as_str(), bytes.to_vec());
        }
        match &setup.conf {
            Some(conf) => machine.conf(Arc::clone(conf)),
            None => machine,
        }
    }
}
