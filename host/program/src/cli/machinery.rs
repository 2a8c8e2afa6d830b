//! Options of every command that boots the image.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use stockade_host::launch::{Image, Link, Options, Source};
use stockade_host::{Accel, Firmware, Machine};

use super::{memory, words};

/// What boots, and on which machine.
#[derive(Clone, Debug, Default, Args)]
pub struct Machinery {
    /// Boot this image, an ELF file, instead of the one that came with this program
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,
    /// What runs the image's instructions; auto tries whether a guest runs under KVM
    #[arg(long, value_name = "ACCEL", default_value = "auto",
          value_parser = words::<Accel>(&["auto", "kvm", "tcg"]))]
    pub accel: Accel,
    /// QEMU's machine type; microvm boots fastest
    #[arg(long, value_name = "MACHINE", default_value = "microvm",
          value_parser = words::<Machine>(&["microvm", "q35", "pc"]))]
    pub machine: Machine,
    /// What the machine starts with [default: qboot for microvm, seabios for q35 and pc]
    #[arg(long, value_name = "FIRMWARE",
          value_parser = words::<Firmware>(&["seabios", "qboot"]))]
    pub firmware: Option<Firmware>,
    /// The machine's memory in MiB [default: 128]
    #[arg(long, value_name = "MIB", value_parser = memory)]
    pub memory: Option<u32>,
}

impl Machinery {
    /// What a launcher is told of it: the image in this file, and the accelerator that
    /// [`Accel::Auto`] has come to.
    pub(crate) fn launch(
        &self,
        image: &Path,
        accel: Accel,
        link: Link,
        source: impl Source + 'static,
    ) -> Options {
        let mut options = Options::new(Image::File(image.to_owned()), link, source);
        let machinery = &mut options.machinery;
        machinery.accel = accel;
        machinery.machine = self.machine;
        machinery.firmware = self.firmware;
        if let Some(memory) = self.memory {
            machinery.memory_mib = memory;
        }
        options
    }
}
