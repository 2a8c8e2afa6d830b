//! The configuration as the launcher asks for it: once at the start, and at each reload.

use std::sync::{Arc, Mutex, PoisonError};

use stockade_config::stunnel::Global;
use stockade_host::conf::{Passphrases, Published};
use stockade_host::launch::{Setup, Source};

use crate::reading::{Reading, Recipe};

/// What was read last, as far as this process itself goes by it.
#[derive(Default)]
pub(crate) struct Own {
    /// What the configuration says of log and pid file.
    pub(crate) global: Option<Global>,
    /// What this host listens on for it.
    pub(crate) published: Vec<Published>,
}

impl Own {
    fn of(reading: &Reading) -> Own {
        let conf = reading.plan.conf.as_ref();
        Own {
            global: conf.map(|conf| conf.configuration.global.clone()),
            published: reading.ports.published.clone(),
        }
    }
}

/// The same, for everybody to see.
pub(crate) type Latest = Arc<Mutex<Own>>;

/// Why a configuration from standard input stays as it is.
const ONCE: &str = "the configuration came from standard input, which can't be read a second time: \
                    stop, and start anew";

/// Reads a run's options, configuration and certificates anew each time.
pub(crate) struct Readings {
    recipe: Recipe,
    /// What was read before the start, so that nobody is asked twice for a passphrase.
    first: Option<Setup>,
    latest: Latest,
}

impl Readings {
    pub(crate) fn new(recipe: Recipe, first: &Reading) -> Readings {
        Readings {
            recipe,
            first: Some(first.setup()),
            latest: Arc::new(Mutex::new(Own::of(first))),
        }
    }

    /// Where that of the newest reading will be.
    pub(crate) fn latest(&self) -> Latest {
        Arc::clone(&self.latest)
    }
}

impl Source for Readings {
    fn read(&mut self) -> Result<Setup, Vec<String>> {
        if let Some(setup) = self.first.take() {
            return Ok(setup);
        }
        if self.recipe.options.conf.as_deref() == Some("-") {
            return Err(vec![ONCE.to_owned()]);
        }
        let reading = self
            .recipe
            .read(Passphrases::available())
            .map_err(|refused| refused.lines)?;
        for notice in &reading.notices {
            crate::warn(notice);
        }
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Own::of(&reading);
        Ok(reading.setup())
    }
}
