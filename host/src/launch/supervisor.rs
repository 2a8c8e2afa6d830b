//! The thread that watches the machine.

use std::sync::Arc;
use std::time::Duration;

use super::{End, Events, Options, Ready, Reloaded, Status};
use crate::Error;

pub(super) struct Shared;

pub(super) fn start(_options: Options) -> Result<Arc<Shared>, Error> {
    Err(Error::Refused(vec!["not yet".to_owned()]))
}

impl Shared {
    pub(super) fn wait_ready(&self, _timeout: Duration) -> Result<Ready, Error> {
        Err(Error::Refused(Vec::new()))
    }
    pub(super) fn status(&self, _timeout: Duration) -> Status {
        unreachable!("no launcher has started")
    }
    pub(super) fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Err(Vec::new())
    }
    pub(super) fn stop(&self, _drain: Duration) -> End {
        End::Killed
    }
    pub(super) fn wait(&self, _timeout: Duration) -> Option<End> {
        None
    }
    pub(super) fn events_since(&self, _number: u64, _most: usize) -> Events {
        Events::default()
    }
    pub(super) fn end_now(&self) {}
}
