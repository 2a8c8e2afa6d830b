//! Child processes that end with this one and inherit only what they are meant to.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::io::{FdFlags, fcntl_setfd};

struct Job {
    command: Command,
    inherit: Vec<OwnedFd>,
    reply: Sender<io::Result<Child>>,
}

/// Wraps a program so that the kernel kills it when its parent ends, however that happens
/// (setpriv(1), PR_SET_PDEATHSIG in prctl(2)).
pub(crate) fn bound_to_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Starts a program, handing down the given descriptors under their own numbers.
///
/// The parent that PR_SET_PDEATHSIG watches is the *thread* that forked, so one thread, which
/// lasts as long as this process, starts all of them. That also keeps them apart: a
/// descriptor is inheritable only while its own child is being made.
pub(crate) fn spawn(command: Command, inherit: Vec<OwnedFd>) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        thread::spawn(move || {
            for Job {
                mut command,
                inherit,
                reply,
            } in queue
            {
                let child = inherit
                    .iter()
                    .try_for_each(|file| fcntl_setfd(file, FdFlags::empty()))
                    .map_err(io::Error::from)
                    .and_then(|()| command.spawn());
                drop(inherit);
                // The caller waits for the answer; if it is gone, so is this process.
                let _ = reply.send(child);
            }
        });
        jobs
    });
    let (reply, answer) = channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner
        .send(Job {
            command,
            inherit,
            reply,
        })
        .map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}
