//! Where everything that the launcher hears is sorted: to the proxies that it is about, and to the
//! log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_channel::Kind as Said;
use stockade_config::stunnel::Global;
use stockade_host::conf::LogFile;
use stockade_host::launch::{Kind, Record};

use crate::diary::Diary;
use crate::{Error, Event};

/// Sorts what the launcher hears.
pub(crate) struct Desk {
    diaries: Mutex<HashMap<String, Arc<Diary>>>,
    /// Why the image has refused its configuration.
    refusals: Mutex<Vec<String>>,
    log: Option<LogFile>,
}

impl Desk {
    /// A desk that writes this log as well.
    pub(crate) fn new(log: Option<&Path>) -> Result<Desk, Error> {
        let output = log.map(|path| path.to_str().ok_or(path)).transpose();
        let output = output.map_err(|path| {
            Error::InvalidArgument(format!("log: {}: no UTF-8 text", path.display()))
        })?;
        let global = Global {
            output: output.map(str::to_owned),
            ..Global::default()
        };
        Ok(Desk {
            diaries: Mutex::default(),
            refusals: Mutex::default(),
            log: LogFile::open(&global)?,
        })
    }

    fn diaries(&self) -> MutexGuard<'_, HashMap<String, Arc<Diary>>> {
        self.diaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, Vec<String>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the events of this service from now on.
    pub(crate) fn open(&self, service: &str, kept_events: usize) -> Arc<Diary> {
        let diary = Arc::new(Diary::new(kept_events));
        self.diaries()
            .insert(service.to_owned(), Arc::clone(&diary));
        diary
    }

    /// Forgets this service.
    pub(crate) fn close(&self, service: &str) {
        self.diaries().remove(service);
    }

    /// Why the image has refused its configuration, since this was asked last.
    pub(crate) fn take_refusals(&self) -> Vec<String> {
        std::mem::take(&mut self.refusals())
    }

    /// Takes in what the launcher has heard.
    pub(crate) fn hear(&self, record: &Record) {
        let event = Event::of(record);
        if let Some(log) = &self.log
            && !record.beyond_log
        {
            log.write_line(&event.to_string());
        }
        if record.kind == Kind::Image(Said::ConfigurationFailed) {
            self.refusals().push(record.text.clone());
        }
        let diaries = self.diaries();
        if !record.service.is_empty() {
            if let Some(diary) = diaries.get(&record.service) {
                diary.push(event);
            }
        } else if is_everybodys(record.kind) {
            for diary in diaries.values() {
                diary.push(event.clone());
            }
        }
    }

    /// Logs that nothing is served, as a stunnel says it whose configuration is wrong.
    pub(crate) fn log_failure(&self, error: &Error) {
        let (Some(log), Error::ConfigurationFailed(lines)) = (&self.log, error) else {
            return;
        };
        for line in lines {
            log.write_line(&format!("[!] {line}"));
        }
        log.write_line("[!] Configuration failed");
    }
}

/// Whether every proxy of the machine is to know, and not only who caused it.
fn is_everybodys(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Started
            | Kind::Ready
            | Kind::Ended
            | Kind::Lost(_)
            | Kind::Image(Said::LinesLeftOut | Said::Overloaded)
    )
}
