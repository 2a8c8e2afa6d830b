//! What all proxies of a machine share.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use stockade_host::Accel;
use stockade_host::launch::Image;

use crate::Error;

/// Names the image's file, unless [`Options::image`] does.
const IMAGE_VARIABLE: &str = "STOCKADE_IMAGE";

/// What all proxies of a machine share.
///
/// ```
/// let options = stockade::Options {
///     log: Some("/var/log/proxies.log".into()),
///     ..stockade::Options::default()
/// };
/// assert_eq!(options.level, 5);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The image; when `None`, the file that the environment variable `STOCKADE_IMAGE` names.
    pub image: Option<Image>,
    /// The machine's memory, MiB; the launcher's default when `None`.
    pub memory_mib: Option<u32>,
    /// What runs the image's instructions.
    pub accel: Accel,
    /// QEMU's program: a path, or a name that is looked for in `PATH`.
    pub qemu: Option<String>,
    /// How long the machine may take until it serves, under QEMU's translator too.
    pub start_timeout: Duration,
    /// How many events of failures are kept for [`diagnose`](crate::Proxy::diagnose), for each proxy,
    /// and how many others beside them.
    pub kept_events: usize,
    /// stunnel's `debug` level: how much is told of connections that go well, 0 to 7. Failures are told
    /// of at any level.
    pub level: u8,
    /// A text file that gets lines as stunnel writes them, for programs that scan such files; with
    /// times in UTC. It is continued if it is there.
    pub log: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            image: None,
            memory_mib: None,
            accel: Accel::default(),
            qemu: None,
            start_timeout: Duration::from_secs(60),
            kept_events: 4096,
            level: 5,
            log: None,
        }
    }
}

impl Options {
    /// The image that is to be booted.
    pub(crate) fn the_image(&self) -> Result<Image, Error> {
        let named = || env::var_os(IMAGE_VARIABLE).filter(|name| !name.is_empty());
        let image = self.image.clone();
        let image = image.or_else(|| named().map(|path| Image::File(path.into())));
        image.ok_or_else(|| {
            let text = format!(
                "there is no image to boot: let {IMAGE_VARIABLE} name its file, or set Options::image"
            );
            Error::MachineFailed(text)
        })
    }
}
