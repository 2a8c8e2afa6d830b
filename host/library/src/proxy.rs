//! One proxy: from its start to its end.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use stockade_host::network::Listen;

use crate::diary::Diary;
use crate::pool::Shared;
use crate::{Config, Error, Event, Options, ProxyPool};

/// A proxy that serves. Dropping it ends it and removes its socket.
///
/// Every method takes `&self`, from any thread.
///
/// ```no_run
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use stockade::{Config, Proxy, Remote, Verification};
///
/// let verification = Verification::for_purpose("licensing")?;
/// let remote = Remote::new("licences.example", 443);
/// let proxy = Proxy::start(Config::with_new_socket(remote, verification)?)?;
///
/// let mut stream = UnixStream::connect(proxy.socket_path())?;
/// stream.write_all(b"GET / HTTP/1.0\r\nHost: licences.example\r\n\r\n")?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
///
/// for event in proxy.diagnose() {
///     eprintln!("{event}");
/// }
/// proxy.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Proxy {
    pool: Arc<Shared>,
    name: String,
    listen: Listen,
    diary: Arc<Diary>,
    is_stopped: bool,
}

impl Proxy {
    pub(crate) fn new(pool: Arc<Shared>, name: String, listen: Listen, diary: Arc<Diary>) -> Proxy {
        Proxy {
            pool,
            name,
            listen,
            diary,
            is_stopped: false,
        }
    }

    /// Starts a proxy with a machine of its own, and waits until it serves. The image is the file that
    /// `STOCKADE_IMAGE` names.
    ///
    /// # Errors
    ///
    /// It can't serve; nothing is left behind then.
    pub fn start(config: Config) -> Result<Proxy, Error> {
        Proxy::start_with(config, Options::default())
    }

    /// The same with these options.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_with(config: Config, options: Options) -> Result<Proxy, Error> {
        ProxyPool::new(options)?.add(config)
    }

    /// The UNIX socket that leads to the remote; empty when it listens on TCP.
    pub fn socket_path(&self) -> &Path {
        match &self.listen {
            Listen::Unix(socket) => &socket.path,
            Listen::Tcp(_) => Path::new(""),
        }
    }

    /// Everything that has happened since the last call: nothing is lost, and nothing comes twice, from
    /// however many threads it is called. Where more has happened than is kept, an event says how much
    /// is missing.
    ///
    /// What a client has seen is told of, if the machine answers within two seconds: who was cut off
    /// may ask at once why.
    pub fn diagnose(&self) -> Vec<Event> {
        self.pool.settle(&self.diary);
        self.diary.take()
    }

    /// Ends the proxy and removes its socket. Its open connections end with the machine if it was the
    /// last one of it, and else by themselves.
    ///
    /// # Errors
    ///
    /// The machine goes on with the proxy in it, as it takes no new configuration.
    pub fn stop(mut self) -> Result<(), Error> {
        self.is_stopped = true;
        self.pool.remove(&self.name)
    }

    /// The process of the machine, QEMU, while one runs.
    pub fn process_id(&self) -> Option<u32> {
        self.pool.process_id()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if !self.is_stopped {
            // Nobody is there to be told.
            let _ = self.pool.remove(&self.name);
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("name", &self.name)
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Starts a proxy, lets `work` use it, and ends it whatever happens: an error, or a panic.
///
/// # Errors
///
/// The proxy can't be started, or `work` has failed.
///
/// ```no_run
/// use stockade::{Config, Event, Remote, with_proxy};
///
/// let config = Config::with_new_socket(Remote::new("192.0.2.1", 443), None)?;
/// with_proxy(config, |proxy| {
///     println!("{}", proxy.socket_path().display());
///     let failure = proxy.diagnose().iter().find_map(Event::error);
///     failure.map_or(Ok(()), Err)
/// })?;
/// # Ok::<(), stockade::Error>(())
/// ```
pub fn with_proxy<T, E: From<Error>>(
    config: Config,
    work: impl FnOnce(&Proxy) -> Result<T, E>,
) -> Result<T, E> {
    let proxy = Proxy::start(config)?;
    work(&proxy)
}
