//! What a run keeps on this host, and the signals that it heeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use stockade_host::conf::{LogFile, Passphrases, PidFile};

use crate::Result;
use crate::conf::Conf;

/// The files that stunnel would keep, and the signals that stunnel's users send (stunnel(8),
/// "SIGNALS").
#[derive(Default)]
pub(crate) struct Keeping {
    pub(crate) log: Option<Arc<LogFile>>,
    /// Removed at the end.
    pid: Option<PidFile>,
    /// SIGUSR1 came: the log file is to be opened again.
    reopen: Arc<AtomicBool>,
    /// SIGHUP came: the configuration would be read again.
    reload: Arc<AtomicBool>,
}

impl Keeping {
    /// Opens the log file and writes the pid file that the configuration names, if any.
    pub(crate) fn start(conf: Option<&Conf>) -> Result<Keeping> {
        let mut keeping = Keeping::default();
        let Some(conf) = conf else {
            return Ok(keeping);
        };
        signal_hook::flag::register(SIGUSR1, Arc::clone(&keeping.reopen))?;
        if !hangup_stops(true) {
            signal_hook::flag::register(SIGHUP, Arc::clone(&keeping.reload))?;
        }
        let global = &conf.configuration.global;
        keeping.log = LogFile::open(global)?.map(Arc::new);
        let pid = global.pid.as_deref().filter(|path| !path.is_empty());
        keeping.pid = pid.map(PidFile::write).transpose()?;
        Ok(keeping)
    }

    /// Does what signals have asked for.
    pub(crate) fn look(&self) {
        if self.reopen.swap(false, Ordering::SeqCst)
            && let Some(log) = &self.log
            && let Err(error) = log.reopen()
        {
            eprintln!("warning: {error}");
        }
        if self.reload.swap(false, Ordering::SeqCst) {
            eprintln!(
                "warning: SIGHUP: the configuration is read at the start only; start anew to change it"
            );
        }
    }
}

/// A flag that Ctrl-C and SIGTERM raise; with `conf`, whether a stunnel configuration is served.
pub(crate) fn stop_on_signals(conf: bool) -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let hangup = hangup_stops(conf).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        // The second one ends us at once; what QEMU leaves then, the kernel takes.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    Ok(stop)
}

/// Whether SIGHUP ends the run: it does when it comes from a terminal that goes away, and not
/// when it can only come from someone who wants stunnel to read its configuration again.
fn hangup_stops(conf: bool) -> bool {
    !conf || Passphrases::available() == Passphrases::Terminal
}
