//! The proxy itself: a launcher, and what signals and files ask of it.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use stockade::Listen;
use stockade_host::Error;
use stockade_host::conf::PidFile;
use stockade_host::control::{self, Name, Server};
use stockade_host::launch::{End, Launcher, Link, Notify, Setup};

use super::changes::Changes;
use super::hearer::{Ending, Hearer};
use super::log::{Level, Log};
use super::wish::Wish;
use super::{FAILED, Order};
use crate::caller::{Caller, Installed};
use crate::cli::Net;
use crate::run;
use crate::waiting::{self, PATIENCE};

/// The signals that mean something.
const SIGNALS: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1];

/// What the service is called in the image.
const SERVICE: &str = "proxy";

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How long what a client is still to get has to reach it, once its connection is over in the image.
const DELIVERY: Duration = Duration::from_secs(10);

/// How long the image may take to say how it stands.
const ANSWER: Duration = Duration::from_secs(1);

/// Something that has happened.
enum Message {
    Signal(i32),
    /// The first machine serves.
    Ready,
    Slow,
    /// The connection of a proxy for one is over.
    Over(Ending),
    Ended(End),
}

/// A proxy that runs.
struct Serving<'a> {
    launcher: Arc<Launcher>,
    receiver: Receiver<Message>,
    log: &'a Log,
    drain: Duration,
    /// The status that a signal leads to.
    exit_code: u8,
    changes: Changes,
    /// Whether this process had a terminal at its start.
    terminal: bool,
    /// How many signals have asked for the end.
    stops: u8,
    /// The status to end with, once it is known.
    status: u8,
}

/// Serves until it is ended; gives the process's status.
pub(super) fn serve(order: Order, log: &Log) -> u8 {
    for (level, text) in &order.notes {
        log.say(*level, text);
    }
    let status = start(order, log).unwrap_or_else(|text| {
        log.say(Level::Error, &text);
        FAILED
    });
    log.say(Level::Notice, &format!("exit({status})"));
    status
}

fn start(order: Order, log: &Log) -> Result<u8, String> {
    let Order {
        wish,
        hosting,
        drain,
        once,
        ..
    } = order;
    let told = |error: Box<dyn std::error::Error>| error.to_string();
    // All that can be refused at once is.
    let first = read(&wish).map_err(|lines| lines.join("\n"))?;
    let image = Installed::default()
        .prepare(&hosting.machinery, &Net::Rootless)
        .map_err(told)?;
    let (accel, words) = run::accelerator(hosting.machinery.accel, &image).map_err(told)?;
    log.say(Level::Info, &format!("image {}, {words}", image.name));
    let (sender, receiver) = channel();
    waiting::for_signals(SIGNALS, &sender, Message::Signal).map_err(|error| error.to_string())?;

    let changes = Changes::of(wish.files());
    let listen = wish.listen.clone();
    let mut first = Some(first);
    let source = move || match first.take() {
        Some(setup) => Ok(setup),
        None => read(&wish),
    };
    let mut launch = hosting
        .machinery
        .launch(&image.path, accel, Link::Rootless, source);
    launch.notify = Notify::from_environment();
    launch.takes_one = once;
    let mut hearer = Hearer::new(log.clone());
    let tell = sender.clone();
    launch.on_event = Box::new(move |record| {
        if let Some(ending) = hearer.hear(record)
            && once
        {
            // Nobody listens any more when all is over.
            let _ = tell.send(Message::Over(ending));
        }
    });
    let launcher = Arc::new(Launcher::start(launch).map_err(|error| error.to_string())?);
    log.say(Level::Notice, &format!("listening on {}", shown(&listen)));
    let pid = hosting.pidfile.as_deref().map(|path| {
        let path = path
            .to_str()
            .ok_or("--pidfile: the path is no UTF-8 text")?;
        PidFile::write(path).map_err(|error| error.to_string())
    });
    let pid = pid.transpose()?;
    let server = control(hosting.name, &listen, &launcher, drain, log)?;
    watch(&launcher, &sender);
    let serving = Serving {
        launcher,
        receiver,
        log,
        drain,
        exit_code: hosting.exit_code,
        changes,
        terminal: io::stdin().is_terminal(),
        stops: 0,
        status: 0,
    };
    let status = serving.until_end();
    // Whoever asked for the end is told; then the files go.
    drop((server, pid));
    Ok(status)
}

/// Reads certificates, keys and lists.
fn read(wish: &Wish) -> Result<Setup, Vec<String>> {
    let config = wish.config().map_err(|text| vec![text])?;
    stockade::setup([(SERVICE, &config)]).map_err(|error| match error {
        stockade::Error::ConfigurationFailed(lines) => lines,
        other => vec![other.detail()],
    })
}

/// What is listened on, as socat writes it: with the number of the address family.
fn shown(listen: &Listen) -> String {
    match listen {
        Listen::Unix(socket) => format!("AF=1 \"{}\"", socket.path.display()),
        Listen::Tcp(address) if address.is_ipv4() => format!("AF=2 {address}"),
        Listen::Tcp(address) => format!("AF=10 {address}"),
    }
}

/// The socket by which `stockade status` and the like reach this proxy. A name that was asked for must
/// be free; without one, it goes on with a number behind it, or without a socket.
fn control(
    asked: Option<Name>,
    listen: &Listen,
    launcher: &Arc<Launcher>,
    drain: Duration,
    log: &Log,
) -> Result<Option<Server>, String> {
    let start = |name: &Name| Server::start(name, Arc::clone(launcher), drain);
    if let Some(name) = asked {
        if is_own(&name, listen) {
            return Err(format!(
                "--name {name}: its control socket would be {}, which is the proxy's own; choose \
                 another name or another path",
                control::place(&name).display()
            ));
        }
        return start(&name).map(Some).map_err(|error| error.to_string());
    }
    let stem = match listen {
        Listen::Unix(socket) => socket.path.file_stem().and_then(|stem| stem.to_str()),
        Listen::Tcp(_) => None,
    };
    let stem = stem.unwrap_or(SERVICE);
    let first = match stem.parse() {
        Ok(name) if is_own(&name, listen) => None,
        name => Some(name.and_then(|name| start(&name))),
    };
    let server = match first {
        None | Some(Err(Error::AlreadyRunning { .. })) => format!("{stem}-{}", std::process::id())
            .parse()
            .and_then(|name| start(&name)),
        Some(other) => other,
    };
    let told = server.inspect_err(|error| {
        log.say(Level::Info, &format!("no control socket: {error}"));
    });
    Ok(told.ok())
}

/// Whether the control socket of this name would take the place of the proxy's own, which is there.
fn is_own(name: &Name, listen: &Listen) -> bool {
    let file = |path: &Path| {
        let found = fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    match listen {
        Listen::Unix(socket) => {
            let own = file(&socket.path);
            own.is_some() && own == file(&control::place(name))
        }
        Listen::Tcp(_) => false,
    }
}

/// Tells when the first machine serves, and when all is over.
fn watch(launcher: &Arc<Launcher>, sender: &Sender<Message>) {
    let (first, tell) = (Arc::clone(launcher), sender.clone());
    thread::spawn(move || {
        let slow = || drop(tell.send(Message::Slow));
        if waiting::for_ready(&first, slow).is_some() {
            let _ = tell.send(Message::Ready);
        }
    });
    let (last, tell) = (Arc::clone(launcher), sender.clone());
    thread::spawn(move || tell.send(Message::Ended(waiting::for_end(&last))));
}

impl Serving<'_> {
    fn until_end(mut self) -> u8 {
        loop {
            match self.receiver.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {
                    if self.changes.are_there() {
                        self.reload("a certificate, a key or the authorities have changed");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("threads hold senders"),
                Ok(Message::Ready) => self.log.serves(),
                Ok(Message::Slow) => {
                    let text = format!("no image serves yet, after {} s", PATIENCE.as_secs());
                    self.log.say(Level::Warning, &text);
                }
                Ok(Message::Signal(SIGUSR1)) => self.log.reopen(),
                Ok(Message::Signal(SIGHUP)) if !self.terminal_is_gone() => self.reload("SIGHUP"),
                Ok(Message::Signal(signal)) => {
                    if self.terminate(signal) {
                        return self.exit_code;
                    }
                }
                Ok(Message::Over(ending)) => self.over(ending),
                Ok(Message::Ended(end)) => return self.ended(&end),
            }
        }
    }

    /// Whether the terminal that there was has gone away: the system sends SIGHUP then, too.
    fn terminal_is_gone(&self) -> bool {
        self.terminal && !io::stdin().is_terminal()
    }

    /// Reads certificates and keys anew; what is wrong leaves the old ones in force.
    fn reload(&self, why: &str) {
        self.log
            .say(Level::Notice, &format!("{why}: reading certificates anew"));
        let log = self.log.clone();
        self.aside(move |launcher| match launcher.reload() {
            Ok(_) => log.say(Level::Notice, "new connections use what was read"),
            Err(lines) => {
                for line in lines {
                    log.say(Level::Error, &line);
                }
                log.say(Level::Error, "the old certificates stay in force");
            }
        });
    }

    /// Whether there is nothing more to wait for.
    fn terminate(&mut self, signal: i32) -> bool {
        self.log
            .say(Level::Notice, &format!("handling signal {signal}"));
        // socat warns of SIGTERM alone.
        let level = match signal {
            SIGTERM => Level::Warning,
            _ => Level::Notice,
        };
        self.log.say(level, &format!("exiting on signal {signal}"));
        self.stops += 1;
        self.status = self.exit_code;
        let drain = match self.stops {
            1 => self.drain,
            2 => Duration::ZERO,
            // What QEMU leaves, the kernel takes.
            _ => return true,
        };
        self.aside(move |launcher| {
            launcher.stop(drain);
        });
        false
    }

    /// The one connection is over: what the client is still to get reaches it, and that is all.
    fn over(&mut self, ending: Ending) {
        if self.stops > 0 {
            return;
        }
        self.stops = 1;
        self.status = match ending {
            Ending::InOrder => 0,
            Ending::Failed => FAILED,
        };
        self.aside(|launcher| {
            let until = Instant::now() + DELIVERY;
            let is_open = || {
                let network = launcher.status(ANSWER).network;
                network.is_some_and(|counters| counters.open > 0)
            };
            while is_open() && Instant::now() < until {
                thread::sleep(Duration::from_millis(20));
            }
            launcher.stop(Duration::ZERO);
        });
    }

    /// Lets the launcher do something that takes time.
    fn aside(&self, what: impl FnOnce(&Launcher) + Send + 'static) {
        let launcher = Arc::clone(&self.launcher);
        thread::spawn(move || what(&launcher));
    }

    fn ended(self, end: &End) -> u8 {
        if end.is_success() {
            return self.status;
        }
        self.log.say(Level::Error, &end.to_string());
        if let End::Failed {
            last_words: Some(words),
            ..
        } = end
        {
            for line in words.console.iter().chain(&words.messages) {
                self.log.say(Level::Info, line);
            }
        }
        FAILED
    }
}
