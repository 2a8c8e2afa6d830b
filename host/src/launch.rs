//! The launcher: a machine that is started, watched, started anew, given new configurations and
//! stopped in order.
//!
//! ```text
//! Source ──► Setup ──► Launcher ── thread ──► Qemu, Vm      the machine, one at a time
//!                         │                ├► channel       configuration, events, status, stop
//!                         │                └► Network       host listeners, which outlive machines
//!                     Status, Record, End
//! ```
//!
//! [`Launcher::start`] returns once the first machine runs; [`Launcher::wait_ready`] tells when it
//! serves. Whatever then ends the machine unasked, another one takes its place, with a pause that
//! grows; the listeners of this host stay open meanwhile, and clients wait in their backlogs. What
//! cannot get better by itself (a configuration that the image refuses, no network card, no
//! entropy) ends the launcher instead: [`Launcher::wait`] says why.
//!
//! ```no_run
//! use std::time::Duration;
//! use stockade_host::launch::{Image, Launcher, Link, Options, Setup};
//! use stockade_host::network::{self, Forward};
//!
//! let source = || {
//!     Ok(Setup {
//!         kernel_line: format!("{} --accept=443 --connect=80", network::options()).into(),
//!         forwards: vec![Forward::local(8443, 443)],
//!         ..Setup::default()
//!     })
//! };
//! let options = Options::new(Image::File("stockade".into()), Link::Rootless, source);
//! let launcher = Launcher::start(options)?;
//! launcher.wait_ready(Duration::from_secs(30))?;
//! let end = launcher.stop(Duration::from_secs(5));
//! println!("{end}");
//! # Ok::<(), stockade_host::Error>(())
//! ```
//!
//! QEMU never outlives this process, whatever ends it: the kernel kills it with its parent
//! (PR_SET_PDEATHSIG in prctl(2)), and a QEMU whose parent is gone before that is arranged does
//! not start.

mod ending;
mod events;
mod machine;
mod notify;
mod options;
mod pause;
mod plan;
mod reload;
mod run;
mod status;
mod supervisor;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use supervisor::Shared;

pub use events::{Events, Kind, Record};
pub use notify::Notify;
pub use options::{
    Image, Link, Machinery, OnBound, OnEvent, OnLine, Options, Pauses, Setup, Source,
};
pub use status::{End, LastWords, Phase, Ready, Reloaded, Status};
pub use stockade_channel::Listening;

/// A running launcher. Every method takes `&self`, from any thread. Dropping it ends the machine
/// at once; [`stop`](Self::stop) first ends it in order.
pub struct Launcher {
    shared: Arc<Shared>,
}

impl Launcher {
    /// Reads the configuration, binds the listeners of this host and starts the machine.
    ///
    /// # Errors
    ///
    /// The configuration can't be read ([`Error::Refused`], every line of it), a listener can't be
    /// had, the image can't be read, or QEMU can't be started. What goes wrong later is seen by
    /// [`wait_ready`](Self::wait_ready) and [`wait`](Self::wait).
    pub fn start(options: Options) -> Result<Launcher, Error> {
        let shared = supervisor::start(options)?;
        Ok(Launcher { shared })
    }

    /// Waits until the image serves, `timeout` at most. True for a launcher that has served
    /// before, too: it waits for the machine that runs now.
    ///
    /// # Errors
    ///
    /// The launcher has ended or is being stopped, or `timeout` has passed.
    pub fn wait_ready(&self, timeout: Duration) -> Result<Ready, Error> {
        self.shared.wait_ready(timeout)
    }

    /// How things stand. The image is asked, where it has a management channel; when it does not
    /// answer within `timeout`, its part is left out.
    pub fn status(&self, timeout: Duration) -> Status {
        self.shared.status(timeout)
    }

    /// Reads the configuration again and lets the image take it. One at a time: a call waits for
    /// an earlier one.
    ///
    /// New listeners of this host are bound first; those that are no longer named are closed once
    /// the image serves by the new configuration. Connections live on under the old one. While no
    /// machine serves, the next one is started with the new configuration, at once.
    ///
    /// # Errors
    ///
    /// Every line of what is wrong; nothing has changed then.
    pub fn reload(&self) -> Result<Reloaded, Vec<String>> {
        self.shared.reload().map_err(|error| match error {
            Error::Refused(lines) => lines,
            Error::Stopped => vec!["the launcher is being stopped".to_owned()],
            error => vec![error.to_string()],
        })
    }

    /// As [`reload`](Self::reload), for programs that want to know what kind of error it is.
    ///
    /// # Errors
    ///
    /// A listener can't be had ([`Error::Listen`], [`Error::SocketPort`]), the configuration is
    /// refused ([`Error::Refused`]), nothing was heard of it in time ([`Error::TimedOut`]), or the
    /// launcher is being stopped ([`Error::Stopped`]). But for the third, nothing has changed then.
    pub fn try_reload(&self) -> Result<Reloaded, Error> {
        self.shared.reload()
    }

    /// Leads a connected socket, which somebody else has accepted, to a port of the image as soon as it
    /// serves; `on_end` is told when that is over. With [`Link::Rootless`] only.
    pub fn adopt(&self, socket: OwnedFd, guest_port: u16, on_end: Box<dyn FnOnce() + Send>) {
        if let Some(network) = &self.shared.network {
            network.adopt(socket, guest_port, on_end);
        }
    }

    /// Ends the machine in order: new clients are refused at once, open connections have `drain`
    /// to end by themselves and are reset then. Waits for that; a second call with less time
    /// shortens it.
    pub fn stop(&self, drain: Duration) -> End {
        self.shared.stop(drain)
    }

    /// Waits until the launcher has ended, `timeout` at most; `None` when it goes on.
    pub fn wait(&self, timeout: Duration) -> Option<End> {
        self.shared.wait(timeout)
    }

    /// What has happened after the event with this number; 0 for all that is still kept. At most
    /// `most` of them: go on with [`Events::next`].
    pub fn events_since(&self, number: u64, most: usize) -> Events {
        self.shared.events_since(number, most)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.shared.end_now();
    }
}

#[cfg(test)]
mod tests;
