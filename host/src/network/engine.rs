//! The network's thread, and how others talk to it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::{Bound, Counters, Forward, gone};
use crate::Error;

enum Command {
    Bind(Vec<Forward>, Sender<Result<Vec<Bound>, Error>>),
    Retire(Vec<Forward>),
    Plug(Sender<io::Result<OwnedFd>>),
    Accepting(bool),
    Stop,
}

/// The other threads' end.
pub(super) struct Handle {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn start() -> io::Result<Handle> {
    let (commands, queue) = channel();
    let thread = thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || run(&queue))?;
    Ok(Handle {
        commands,
        thread: Some(thread),
    })
}

impl Handle {
    pub(super) fn bind(&self, forwards: Vec<Forward>) -> Result<Vec<Bound>, Error> {
        let (reply, answer) = channel();
        self.tell(Command::Bind(forwards, reply));
        answer
            .recv()
            .unwrap_or_else(|_| Err(Error::NetworkStart(gone())))
    }

    pub(super) fn retire(&self, keep: Vec<Forward>) {
        self.tell(Command::Retire(keep));
    }

    pub(super) fn plug(&self) -> io::Result<OwnedFd> {
        let (reply, answer) = channel();
        self.tell(Command::Plug(reply));
        answer.recv().unwrap_or_else(|_| Err(gone()))
    }

    pub(super) fn accepting(&self, yes: bool) {
        self.tell(Command::Accepting(yes));
    }

    pub(super) fn counters(&self) -> Counters {
        Counters::default()
    }

    fn tell(&self, command: Command) {
        // Without its thread there is nobody to tell; who waits for an answer learns it.
        let _ = self.commands.send(command);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has printed why.
            let _ = thread.join();
        }
    }
}

fn run(queue: &Receiver<Command>) {
    for command in queue {
        match command {
            Command::Bind(_, reply) => drop(reply.send(Ok(Vec::new()))),
            Command::Plug(reply) => drop(reply.send(Err(gone()))),
            Command::Retire(_) | Command::Accepting(_) => {}
            Command::Stop => return,
        }
    }
}
