//! One machine for many proxies, which come and go while it runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_config::exit::{ExitStatus, Outcome};
use stockade_host::launch::{self, End, Launcher, Link, Setup, Source};
use stockade_host::network::Listen;

use crate::desk::Desk;
use crate::diary::Diary;
use crate::file::Remembered;
use crate::setup::setup_with;
use crate::{Config, Error, Options, Proxy};

/// How long the image may take to say how it is doing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is asked at most until everything has arrived that it had to tell.
const QUESTIONS: usize = 50;

/// One machine for many proxies: the first one starts it, the last one ends it, and those between
/// come and go while it runs, without a trace in the others' connections.
///
/// A clone is another handle of the same pool.
///
/// ```no_run
/// use stockade::{Config, Options, ProxyPool, Remote, Verification};
///
/// let pool = ProxyPool::new(Options::default())?;
/// let trusted = Verification::for_purpose("licensing")?;
/// let licences = pool.add(Config::with_new_socket(
///     Remote::new("licences.example", 443),
///     trusted.clone(),
/// )?)?;
/// let updates = pool.add(Config::with_new_socket(
///     Remote::new("updates.example", 443),
///     trusted,
/// )?)?;
/// println!("{:?} and {:?}", licences.socket_path(), updates.socket_path());
/// updates.stop()?;
/// # Ok::<(), stockade::Error>(())
/// ```
#[derive(Clone)]
pub struct ProxyPool {
    shared: Arc<Shared>,
}

/// What the handles of a pool and its proxies share.
pub(crate) struct Shared {
    options: Options,
    desk: Arc<Desk>,
    /// Locked for as long as a proxy comes or goes.
    state: Mutex<State>,
    wanted: Arc<Mutex<Wanted>>,
}

#[derive(Default)]
struct State {
    launcher: Option<Arc<Launcher>>,
    /// Proxies so far: no name is used twice, so that no event gets to the wrong one.
    count: u64,
}

/// What the next configuration consists of.
#[derive(Default)]
struct Wanted {
    proxies: BTreeMap<String, Config>,
    remembered: Remembered,
    level: u8,
}

/// The configuration as the launcher asks for it.
struct Wish(Arc<Mutex<Wanted>>);

impl Source for Wish {
    fn read(&mut self) -> Result<Setup, Vec<String>> {
        let mut wanted = lock(&self.0);
        let Wanted {
            proxies,
            remembered,
            level,
        } = &mut *wanted;
        let proxies = proxies.iter();
        let proxies = proxies.map(|(name, config)| (name.as_str(), config));
        setup_with(proxies, *level, remembered).map_err(|error| match error {
            Error::ConfigurationFailed(lines) => lines,
            error => vec![format!("{error:#}")],
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProxyPool {
    /// A pool without a proxy, and so without a machine.
    ///
    /// # Errors
    ///
    /// The log can't be written.
    pub fn new(options: Options) -> Result<ProxyPool, Error> {
        let desk = Arc::new(Desk::new(options.log.as_deref())?);
        let wanted = Wanted {
            level: options.level.min(7),
            ..Wanted::default()
        };
        let shared = Shared {
            options,
            desk,
            state: Mutex::default(),
            wanted: Arc::new(Mutex::new(wanted)),
        };
        Ok(ProxyPool {
            shared: Arc::new(shared),
        })
    }

    /// Adds a proxy, and waits until it serves. One proxy comes or goes at a time.
    ///
    /// Its files are read now, and again whenever another proxy comes or goes; one that has gone stays
    /// as it was.
    ///
    /// # Errors
    ///
    /// It can't be; nothing has changed for the others then.
    pub fn add(&self, config: Config) -> Result<Proxy, Error> {
        let listen = config.listen.clone();
        let result = self.shared.add(config);
        if let Err(error) = &result {
            self.shared.desk.log_failure(error);
        }
        let (name, diary) = result?;
        Ok(Proxy::new(Arc::clone(&self.shared), name, listen, diary))
    }

    /// How many proxies there are.
    pub fn count(&self) -> usize {
        lock(&self.shared.wanted).proxies.len()
    }

    /// The process of the machine, QEMU, while one runs.
    pub fn process_id(&self) -> Option<u32> {
        self.shared.process_id()
    }
}

impl Shared {
    fn add(&self, config: Config) -> Result<(String, Arc<Diary>), Error> {
        let mut state = lock(&self.state);
        state.count += 1;
        let name = format!("client-proxy-{}", state.count);
        // By itself first: what is wrong is its own then.
        setup_with([(&*name, &config)], 0, &mut Remembered::new())?;
        {
            let mut wanted = lock(&self.wanted);
            let mut others = wanted.proxies.values();
            if others.any(|other| is_same_place(&other.listen, &config.listen)) {
                let text = format!("{} is another proxy's of this pool", config.listen);
                return Err(Error::AddressInUse(text));
            }
            wanted.proxies.insert(name.clone(), config.clone());
        }
        let diary = self.desk.open(&name, self.options.kept_events);
        let added = self.serve(&mut state).and_then(|()| exists(&config.listen));
        if let Err(error) = added {
            self.desk.close(&name);
            lock(&self.wanted).proxies.remove(&name);
            // It may have been taken all the same: late, or with a file that went at once.
            if matches!(error, Error::TimedOut(_) | Error::SocketNotCreated(_)) {
                let _ = self.without(&mut state);
            }
            return Err(error);
        }
        Ok((name, diary))
    }

    /// Takes a proxy away. Connections that are open end by themselves, or with the machine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let mut state = lock(&self.state);
        let known = lock(&self.wanted).proxies.remove(name);
        let result = known.map_or(Ok(()), |_| self.without(&mut state));
        self.desk.close(name);
        result
    }

    /// Serves what is still wanted, if anything is.
    fn without(&self, state: &mut State) -> Result<(), Error> {
        if lock(&self.wanted).proxies.is_empty() {
            // The machine ends, and the files of its sockets go.
            state.launcher = None;
            return Ok(());
        }
        self.serve(state)
    }

    /// Lets the machine serve what is wanted.
    fn serve(&self, state: &mut State) -> Result<(), Error> {
        let running = state.launcher.as_ref();
        let running = running.filter(|launcher| launcher.wait(Duration::ZERO).is_none());
        if let Some(launcher) = running {
            launcher.try_reload()?;
            return Ok(());
        }
        state.launcher = None;
        self.desk.take_refusals();
        let source = Wish(Arc::clone(&self.wanted));
        let mut options = launch::Options::new(self.options.the_image()?, Link::Rootless, source);
        options.machinery.accel = self.options.accel;
        if let Some(memory) = self.options.memory_mib {
            options.machinery.memory_mib = memory;
        }
        if let Some(program) = &self.options.qemu {
            options.machinery.program.clone_from(program);
        }
        let desk = Arc::clone(&self.desk);
        options.on_event = Box::new(move |record| desk.hear(record));
        let launcher = Launcher::start(options)?;
        match launcher.wait_ready(self.options.start_timeout) {
            Ok(_) => {
                state.launcher = Some(Arc::new(launcher));
                Ok(())
            }
            Err(error) => Err(self.why(&launcher, error.into())),
        }
    }

    /// Why a machine does not serve.
    fn why(&self, launcher: &Launcher, error: Error) -> Error {
        let Some(End::Failed {
            last_words: Some(words),
            ..
        }) = launcher.wait(Duration::ZERO)
        else {
            return error;
        };
        let refusals = self.desk.take_refusals();
        if words.outcome == Outcome::Image(ExitStatus::Configuration) {
            let lines = match refusals.is_empty() {
                true => vec![error.detail()],
                false => refusals,
            };
            return Error::ConfigurationFailed(lines);
        }
        error
    }

    fn launcher(&self) -> Option<Arc<Launcher>> {
        lock(&self.state).launcher.clone()
    }

    pub(crate) fn process_id(&self) -> Option<u32> {
        self.launcher()?.status(Duration::ZERO).qemu_pid
    }

    /// Waits until everything has arrived that the image had to tell before it was asked: of what a
    /// client has seen, the proxy's events tell then.
    pub(crate) fn settle(&self, diary: &Diary) {
        let Some(launcher) = self.launcher() else {
            return;
        };
        // An answer may overtake the events that wait for room behind it; the next one does not.
        let mut before = None;
        for _ in 0..QUESTIONS {
            if launcher.status(PATIENCE).image.is_none() {
                return;
            }
            let count = Some(diary.count());
            if before == count {
                return;
            }
            before = count;
        }
    }
}

/// Whether two proxies would listen at one place.
fn is_same_place(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Unix(one), Listen::Unix(other)) => one.path == other.path,
        (Listen::Tcp(one), Listen::Tcp(other)) => one == other && one.port() != 0,
        _ => false,
    }
}

/// What xapi makes sure of after a start: that the socket is there.
fn exists(listen: &Listen) -> Result<(), Error> {
    match listen {
        Listen::Unix(socket) if !socket.path.exists() => {
            let text = format!("{} has gone again", socket.path.display());
            Err(Error::SocketNotCreated(text))
        }
        _ => Ok(()),
    }
}
