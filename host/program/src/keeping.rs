//! The files that a run keeps on this host: the log, and the process's number.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_config::stunnel::Global;
use stockade_host::conf::{LogFile, PidFile};

use crate::Result;
use crate::conf::Conf;

/// The files that stunnel would keep (stunnel(8), "output" and "pid").
pub(crate) struct Keeping {
    log: Log,
    /// Removed at the end.
    _pid: Option<PidFile>,
}

/// The log file that the configuration names now, if any.
#[derive(Clone, Default)]
pub(crate) struct Log {
    file: Arc<Mutex<Option<LogFile>>>,
}

impl Keeping {
    /// Opens the log file and writes the pid file that the configuration names, if any; `pidfile`
    /// takes the latter's place.
    pub(crate) fn start(conf: Option<&Conf>, pidfile: Option<&Path>) -> Result<Keeping> {
        let log = Log::default();
        let global = conf.map(|conf| &conf.configuration.global);
        if let Some(global) = global {
            *log.lock() = LogFile::open(global)?;
        }
        let of_conf = || global?.pid.as_deref().filter(|path| !path.is_empty());
        let pid = match pidfile {
            Some(path) => Some(path.to_str().ok_or("--pidfile: the path is not UTF-8")?),
            None => of_conf(),
        };
        Ok(Keeping {
            log,
            _pid: pid.map(PidFile::write).transpose()?,
        })
    }

    /// The log file.
    pub(crate) fn log(&self) -> Log {
        self.log.clone()
    }

    /// Where the log file is.
    pub(crate) fn log_path(&self) -> Option<PathBuf> {
        self.log.lock().as_ref().map(|file| file.path().to_owned())
    }

    /// Opens the log file by its name again, after logrotate(8) has moved it.
    pub(crate) fn reopen(&self) {
        let Some(file) = &*self.log.lock() else {
            return;
        };
        if let Err(error) = file.reopen() {
            crate::warn(&format!("warning: {error}"));
        }
    }

    /// Goes over to the log file that a new configuration names.
    pub(crate) fn adopt(&self, global: &Global) {
        let mut log = self.log.lock();
        let named = |file: &LogFile| global.output.as_deref() == file.path().to_str();
        // Emptying it is for starts alone.
        let result = match &*log {
            Some(file) if named(file) => file.reopen(),
            _ => LogFile::open(global).map(|file| *log = file),
        };
        if let Err(error) = result {
            crate::warn(&format!("warning: {error}; the log goes on where it was"));
        }
    }
}

impl Log {
    /// Adds a line.
    pub(crate) fn write_line(&self, line: &str) {
        if let Some(file) = &*self.lock() {
            file.write_line(line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<LogFile>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_configuration_takes_the_log_along() {
        let folder = std::env::temp_dir().join(format!("stockade-keeping-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let paths = ["a.log", "b.log"].map(|name| folder.join(name));
        let global = |path: &Path| Global {
            output: Some(path.to_str().unwrap().to_owned()),
            ..Global::default()
        };
        let keeping = Keeping::start(None, None).unwrap();
        keeping.log().write_line("to nobody");
        keeping.adopt(&global(&paths[0]));
        keeping.log().write_line("one");
        keeping.adopt(&global(&paths[0]));
        keeping.log().write_line("two");
        keeping.adopt(&global(&paths[1]));
        keeping.log().write_line("three");
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        assert_eq!(read(&paths[0]), "one\ntwo\n");
        assert_eq!(read(&paths[1]), "three\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
