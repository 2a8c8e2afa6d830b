//! The service itself: what `run` does, said as stunnel says it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1, SIGUSR2};
use stockade_config::stunnel::Global;
use stockade_host::conf::{self, PidFile, Published};
use stockade_host::control::{Name, Server};
use stockade_host::launch::{End, Launcher, Notify, Ready, Status};
use stockade_host::network::Bound;
use stockade_host::{Accel, Error, Tap};

use super::daemon::Parent;
use super::hearer::Hearer;
use super::inetd::{Client, Rest};
use super::log::{Log, error_lines};
use super::source::{self, Configurations, Foreground, Latest, Place, Taken};
use super::{level, signals};
use crate::caller::{Caller, Installed};
use crate::cli::{Net, Run};
use crate::reading::Recipe;
use crate::waiting::{self, LONG, PATIENCE};
use crate::{network, plan, run};

/// How long an image that serves may take to say that the configuration is right.
const VERDICT: Duration = Duration::from_secs(2);

/// How long the image may take to say how it stands.
const ANSWER: Duration = Duration::from_secs(5);

/// The verdict on a configuration. It is the image's, which has its last lines about one; here it is
/// given where no image gets that far.
const SUCCESSFUL: &str = "Configuration successful";

/// Something that has happened.
enum Message {
    /// Nothing, for a while.
    Idle,
    Signal(i32),
    Ready(Ready),
    /// The image has logged that the configuration is right.
    Verdict,
    Slow,
    /// The image has taken a new configuration.
    Reloaded(Vec<Bound>),
    /// The one client of this process has gone.
    Served,
    Ended(End),
}

/// A launcher under stunnel's name.
struct Serving {
    launcher: Arc<Launcher>,
    server: Option<Server>,
    tap: Option<Tap>,
    receiver: Receiver<Message>,
    sender: Sender<Message>,
    log: Log,
    place: Arc<Place>,
    published: Vec<Published>,
    global: Global,
    foreground: Foreground,
    latest: Latest,
    parent: Option<Parent>,
    /// Of the one client of this process, in the inetd mode.
    rest: Option<Rest>,
    pid: Option<PidFile>,
    /// The first machine serves, and its verdict has yet to come.
    ready: Option<Ready>,
    has_verdict: bool,
    is_open: bool,
    is_ending: bool,
}

/// Serves until it is ended; gives the process's status.
pub(super) fn serve(
    options: Run,
    place: Place,
    log: Log,
    parent: Option<Parent>,
    client: Option<Client>,
) -> u8 {
    match start(options, Arc::new(place), &log, parent, client) {
        Ok(serving) => serving.until_end(),
        Err(lines) => {
            for line in lines {
                log.say(level::ERROR, &line);
            }
            log.give_up();
            1
        }
    }
}

fn start(
    options: Run,
    place: Arc<Place>,
    log: &Log,
    parent: Option<Parent>,
    client: Option<Client>,
) -> Result<Serving, Vec<String>> {
    let net = plan::net(&options);
    let recipe = Recipe {
        options: options.clone(),
        net: net.clone(),
        backend: None,
        development: None,
        stand_in: false,
        program: "stockade",
    };
    let taken = source::read(&recipe, &place, log).map_err(|mut lines| {
        lines.push("Configuration failed".to_owned());
        lines
    })?;
    let Taken {
        reading,
        global,
        foreground,
        account,
    } = taken;
    check_ports(&reading.ports.published, log)?;

    let told = |error: Box<dyn std::error::Error>| lines_of(&error.to_string());
    let image = Installed::default()
        .prepare(&options.machinery, &net)
        .map_err(told)?;
    let tap = match &net {
        Net::Bridge(bridge) => {
            Some(network::make_tap(bridge, &reading.config, "stockade").map_err(told)?)
        }
        _ => None,
    };
    let link = network::link(&net, tap.as_ref(), "stockade").map_err(told)?;
    let (accel, words) = run::accelerator(options.machinery.accel, &image).map_err(told)?;
    log.say(level::INFO, &format!("Image: {}, {words}", image.name));
    let (sender, receiver) = channel();
    waiting::for_signals(signals::heeded(), &sender, Message::Signal)
        .map_err(|error| lines_of(&error.to_string()))?;
    if let Some(parent) = &parent {
        parent.leave_session();
    }

    let latest = Latest::default();
    let configurations = Configurations {
        recipe,
        place: Arc::clone(&place),
        log: log.clone(),
        first: Some(reading.setup()),
        latest: Arc::clone(&latest),
    };
    let mut launch = options
        .machinery
        .launch(&image.path, accel, link, configurations);
    launch.notify = Notify::from_environment();
    let hearer = Hearer {
        log: log.clone(),
        on_verdict: {
            let sender = sender.clone();
            // Nobody listens any more when all is over.
            Box::new(move || drop(sender.send(Message::Verdict)))
        },
        place: Arc::clone(&place),
        is_someone: !account.is_nobody_else(),
        is_rootless: net == Net::Rootless,
    };
    launch.on_event = Box::new(move |record| hearer.hear(record));
    launch.on_bound = Box::new(move || account.become_it(accel == Accel::Kvm));
    let launcher = Arc::new(Launcher::start(launch).map_err(|error| start_lines(&error, log))?);
    let server = control(&place, &launcher, options.drain, log);
    watch(&launcher, &sender);
    let rest = adopt(client, reading.ports.inherited, &launcher, &sender);
    Ok(Serving {
        launcher,
        server,
        tap,
        receiver,
        sender,
        log: log.clone(),
        place,
        published: reading.ports.published,
        global,
        foreground,
        latest,
        parent,
        rest,
        pid: None,
        ready: None,
        has_verdict: false,
        is_open: false,
        is_ending: false,
    })
}

/// Finds out which ports can't be had, and tells it as stunnel does.
fn check_ports(published: &[Published], log: &Log) -> Result<(), Vec<String>> {
    let problems = conf::check_ports(published);
    if !problems.is_empty() {
        log.say(level::NOTICE, SUCCESSFUL);
    }
    for problem in &problems {
        let text = &problem.diagnostic.text;
        let (what, advice) = text.split_once("; ").unwrap_or((text, ""));
        log.say(level::NOTICE, what);
        if !advice.is_empty() {
            log.say(level::INFO, advice);
        }
    }
    let service = |text: &str| {
        let rest = text.split_once('[').map(|(_, rest)| rest)?;
        rest.split_once(']').map(|(name, _)| name.to_owned())
    };
    match problems.first().map(|problem| &problem.diagnostic.text) {
        None => Ok(()),
        Some(text) => {
            let name = service(text).unwrap_or_default();
            Err(vec![format!("Binding service [{name}] failed")])
        }
    }
}

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn start_lines(error: &Error, log: &Log) -> Vec<String> {
    log.say(level::NOTICE, SUCCESSFUL);
    let mut lines = error_lines(error);
    if let Error::Listen { listen, .. } = error {
        lines.push(format!("Binding {listen} failed"));
    }
    lines
}

/// The socket by which `stockade status` and the like reach this run. What stunnel does needs none,
/// so it goes on without where there can't be one.
fn control(place: &Place, launcher: &Arc<Launcher>, drain: Duration, log: &Log) -> Option<Server> {
    let start = |name: &str| {
        let name: Name = name.parse()?;
        Server::start(&name, Arc::clone(launcher), drain)
    };
    let stem = place.stem();
    let server = match start(stem) {
        Err(Error::AlreadyRunning { .. }) => start(&format!("{stem}-{}", std::process::id())),
        other => other,
    };
    server
        .inspect_err(|error| log.say(level::INFO, &format!("No control socket: {error}")))
        .ok()
}

/// Leads the one client of this process into the image.
fn adopt(
    client: Option<Client>,
    port: Option<u16>,
    launcher: &Launcher,
    sender: &Sender<Message>,
) -> Option<Rest> {
    let (socket, rest) = client?.into_parts();
    let sender = sender.clone();
    // Nobody listens any more when all is over.
    let on_end = Box::new(move || drop(sender.send(Message::Served)));
    launcher.adopt(socket, port?, on_end);
    Some(rest)
}

/// Tells when the first machine serves, and when all is over.
fn watch(launcher: &Arc<Launcher>, sender: &Sender<Message>) {
    let (first, tell) = (Arc::clone(launcher), sender.clone());
    thread::spawn(move || {
        let slow = || drop(tell.send(Message::Slow));
        if let Some(ready) = waiting::for_ready(&first, slow) {
            let _ = tell.send(Message::Ready(ready));
        }
    });
    let (last, tell) = (Arc::clone(launcher), sender.clone());
    thread::spawn(move || tell.send(Message::Ended(waiting::for_end(&last))));
}

impl Serving {
    fn until_end(mut self) -> u8 {
        loop {
            // The image's lines may come a moment after it serves.
            let patience = if self.ready.is_some() { VERDICT } else { LONG };
            let message = self.receiver.recv_timeout(patience);
            if message.is_err() && self.ready.is_some() {
                self.has_verdict = true;
            }
            match message.unwrap_or(Message::Idle) {
                Message::Idle => {}
                Message::Ready(ready) => self.ready = Some(ready),
                Message::Verdict => self.has_verdict = true,
                Message::Slow => {
                    let text = format!("No image serves yet, after {} s", PATIENCE.as_secs());
                    self.log.say(level::WARNING, &text);
                }
                Message::Signal(SIGHUP) => self.reload(),
                Message::Signal(SIGUSR1) if self.is_open => self.log.reopen(),
                Message::Signal(SIGUSR1) => {}
                Message::Signal(SIGUSR2) => self.list_connections(),
                Message::Signal(signal) => {
                    if self.is_ending {
                        // What QEMU leaves, the kernel takes.
                        return 0;
                    }
                    self.terminate(signal);
                }
                Message::Reloaded(bound) => self.adopt(&bound),
                Message::Served => self.served(),
                Message::Ended(end) => return self.ended(&end),
            }
            // Where it says less than notices, there is none to wait for.
            let has_verdict = self.has_verdict || self.global.debug < level::NOTICE;
            if has_verdict && let Some(ready) = self.ready.take() {
                self.tell_bound(&ready.bound);
                if self.open().is_err() {
                    self.launcher.stop(Duration::ZERO);
                    return 1;
                }
            }
        }
    }

    /// What this host listens on.
    fn tell_bound(&self, bound: &[Bound]) {
        for bound in bound {
            let leads = |port: &&Published| port.forward.guest_port == bound.guest_port;
            let name = self.published.iter().find(leads);
            let name = name.map_or("", |port| &port.service);
            let listen = bound.listen.to_string();
            // stunnel's addresses of IPv6 have no brackets.
            let listen = match listen.strip_prefix('[') {
                Some(rest) => rest.replacen(']', "", 1),
                None => listen,
            };
            let text = format!("Service [{name}] bound to {listen}");
            self.log.say(level::INFO, &text);
        }
    }

    /// Does what stunnel does once its ports are bound: it opens its log, becomes a daemon and writes
    /// its number.
    fn open(&mut self) -> Result<(), ()> {
        if let Err(error) = self.log.open(&self.global, self.foreground) {
            self.log.tell_error(&error);
            self.log.give_up();
            return Err(());
        }
        self.is_open = true;
        if self.parent.is_some() {
            self.log.become_daemon();
        }
        if self.rest.is_some() {
            // As stunnel: its client is there, and nobody else will come.
            return Ok(());
        }
        let path = self.global.pid.as_deref().filter(|path| !path.is_empty());
        match path.map(PidFile::write).transpose() {
            Ok(pid) => self.pid = pid,
            Err(error) => {
                self.log.tell_error(&error);
                if self.parent.is_some() {
                    // The terminal is still there, and its user does not look into the log first.
                    crate::warn(&format!("[!] {error}"));
                }
                return Err(());
            }
        }
        self.log.say(level::INFO, "Accepting new connections");
        if let Some(parent) = self.parent.take()
            && let Err(error) = parent.release()
        {
            let text = format!("daemonize: whoever started this daemon is gone: {error}");
            self.log.say(level::ERROR, &text);
            return Err(());
        }
        Ok(())
    }

    /// SIGHUP. The log and the ports change once the image has taken the configuration.
    fn reload(&self) {
        let (log, place, sender) = (
            self.log.clone(),
            Arc::clone(&self.place),
            self.sender.clone(),
        );
        self.aside(move |launcher| match launcher.reload() {
            // The image has said that it is successful.
            Ok(reloaded) => {
                let _ = sender.send(Message::Reloaded(reloaded.bound));
            }
            Err(lines) => {
                for line in lines.iter().filter(|line| *line != "Configuration failed") {
                    for line in place.error(line) {
                        log.say(level::ERROR, &line);
                    }
                }
                log.say(level::ERROR, "Configuration failed");
                log.say(level::ERROR, "Failed to reload the configuration file");
            }
        });
    }

    /// Goes on as the new configuration says, which the image has taken.
    fn adopt(&mut self, bound: &[Bound]) {
        let latest = {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.take()
        };
        let Some((global, published)) = latest else {
            return;
        };
        self.published = published;
        if self.is_open {
            self.log.adopt(&global);
        } else {
            let Global {
                foreground, pid, ..
            } = self.global.clone();
            // These stay what they were, as with stunnel.
            self.global = Global {
                foreground,
                pid,
                ..global
            };
        }
        self.tell_bound(bound);
    }

    /// SIGUSR2.
    fn list_connections(&self) {
        let log = self.log.clone();
        self.aside(move |launcher| {
            for line in connections(&launcher.status(ANSWER)) {
                log.say(level::EMERGENCY, &line);
            }
        });
    }

    /// The one client has gone.
    fn served(&mut self) {
        if let Some(rest) = &self.rest {
            rest.wait();
        }
        self.is_ending = true;
        self.aside(|launcher| {
            launcher.stop(Duration::ZERO);
        });
    }

    /// stunnel ends its connections with itself.
    fn terminate(&mut self, signal: i32) {
        self.is_ending = true;
        if signal == SIGTERM {
            self.log.say(level::NOTICE, "Terminated");
        } else {
            let text = format!("Received {}; terminating", signals::name(signal));
            self.log.say(level::ERROR, &text);
        }
        self.aside(|launcher| {
            launcher.stop(Duration::ZERO);
        });
    }

    /// Lets the launcher do something that takes time.
    fn aside(&self, what: impl FnOnce(&Launcher) + Send + 'static) {
        let launcher = Arc::clone(&self.launcher);
        thread::spawn(move || what(&launcher));
    }

    fn ended(mut self, end: &End) -> u8 {
        if !end.is_success() {
            for line in lines_of(&end.to_string()) {
                self.log.say(level::ERROR, &line);
            }
            if let End::Failed {
                last_words: Some(words),
                ..
            } = end
            {
                for line in words.console.iter().chain(&words.messages) {
                    self.log.say(level::INFO, line);
                }
            }
            self.log.give_up();
            return 1;
        }
        if !self.is_ending {
            self.log.say(level::NOTICE, "Terminated");
        }
        if !self.is_open {
            // It was ended before it served.
            let _ = self.log.open(&self.global, self.foreground);
        }
        // Whoever asked for the end is told; then listeners, interface and files go.
        drop((self.server.take(), self.tap.take(), self.pid.take()));
        0
    }
}

/// The connections, as far as the image tells them apart.
fn connections(status: &Status) -> Vec<String> {
    let mut lines = vec!["Active connections:".to_owned()];
    let Some(image) = &status.image else {
        lines.push(format!("The image does not answer: it is {}", status.phase));
        return lines;
    };
    for (number, connection) in (1..).zip(&image.connections) {
        lines.push(format!(
            "Active connection {number}: Service [{}], {} byte(s) sent to TLS, {} byte(s) sent to \
             socket",
            connection.service, connection.bytes_to_tls, connection.bytes_to_socket
        ));
    }
    let told = u32::try_from(image.connections.len()).unwrap_or(u32::MAX);
    if let more @ 1.. = image.sessions.saturating_sub(told) {
        lines.push(format!("{more} more active connection(s)"));
    }
    lines.push(format!("Listed {} active connection(s)", image.sessions));
    lines
}
