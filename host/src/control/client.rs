//! Speaking to a running launcher.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::place::{Name, Surroundings};
use crate::Error;

/// Longest answer, bytes: all events that a launcher keeps, escaped.
const MAX_ANSWER: u64 = 16 << 20;

/// Asks a launcher how it stands; see [`Status`](crate::launch::Status) for the fields.
///
/// # Errors
///
/// No launcher of this name runs, or it does not answer.
pub fn status(name: &Name) -> Result<Value, Error> {
    let mut answer = Conversation::begin(name)?.ask(&json!({"do": "status"}))?;
    Ok(answer["status"].take())
}

/// Lets a launcher read its configuration again, and waits until that is done. Returns the number
/// of the new configuration (`revision`) and what the host listens on (`listening`).
///
/// # Errors
///
/// [`Error::Refused`] with every line of what is wrong; the old configuration goes on then. Or no
/// launcher of this name runs.
pub fn reload(name: &Name) -> Result<Value, Error> {
    Conversation::begin(name)?.ask(&json!({"do": "reload"}))
}

/// Stops a launcher, and waits until it has ended. Open connections have `drain` to end by
/// themselves; `None` leaves that to the launcher. `on_stopping` is called once it has begun.
/// Returns how it ended, in words.
///
/// # Errors
///
/// No launcher of this name runs, or it does not answer.
pub fn stop(
    name: &Name,
    drain: Option<Duration>,
    on_stopping: impl FnOnce(),
) -> Result<String, Error> {
    let mut conversation = Conversation::begin(name)?;
    let millis = drain.map(|drain| u64::try_from(drain.as_millis()).unwrap_or(u64::MAX));
    conversation.ask(&json!({"do": "stop", "drain_ms": millis}))?;
    on_stopping();
    // As long as the connections take; the end of the launcher ends this, too.
    conversation.patience(None)?;
    let ended = conversation.answer()?;
    Ok(ended["ended"].as_str().unwrap_or("ended").to_owned())
}

/// What has happened in a launcher after the event with this number (0: all that is kept). `each`
/// sees every event; returns how many between are no longer kept (`missed`) and the number to
/// ask with next (`next`).
///
/// # Errors
///
/// No launcher of this name runs, or it does not answer.
pub fn diagnose(name: &Name, since: u64, mut each: impl FnMut(&Value)) -> Result<Value, Error> {
    let mut conversation = Conversation::begin(name)?;
    let mut next = since;
    let mut missed = 0;
    loop {
        let answer = conversation.ask(&json!({"do": "diagnose", "since": next}))?;
        answer["events"]
            .as_array()
            .into_iter()
            .flatten()
            .for_each(&mut each);
        missed += answer["missed"].as_u64().unwrap_or(0);
        next = answer["next"].as_u64().unwrap_or(next);
        if answer["more"] != true {
            return Ok(json!({"missed": missed, "next": next}));
        }
    }
}

/// A connection to the launcher of this name.
pub(super) fn connect(name: &Name) -> Result<UnixStream, Error> {
    let mut denied = None;
    for path in Surroundings::ours().candidates(name) {
        match UnixStream::connect(&path) {
            Ok(stream) => return Ok(stream),
            // A directory that can't be looked into says nothing of what is in it.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && path.symlink_metadata().is_ok() =>
            {
                denied = Some(Error::File {
                    path,
                    source: error,
                });
            }
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(|| Error::NotRunning {
        name: name.to_string(),
    }))
}

struct Conversation {
    name: Name,
    stream: BufReader<UnixStream>,
}

impl Conversation {
    fn begin(name: &Name) -> Result<Conversation, Error> {
        let stream = connect(name)?;
        let conversation = Conversation {
            name: name.clone(),
            stream: BufReader::new(stream),
        };
        // A reload may read keys and wait for a machine that starts.
        conversation.patience(Some(Duration::from_secs(120)))?;
        Ok(conversation)
    }

    fn patience(&self, patience: Option<Duration>) -> Result<(), Error> {
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(patience)
            .and_then(|()| stream.set_write_timeout(patience))
            .map_err(|source| self.failed(source))
    }

    fn ask(&mut self, request: &Value) -> Result<Value, Error> {
        let line = format!("{request}\n");
        self.stream
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(|source| self.failed(source))?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, Error> {
        let mut line = String::new();
        let read = io::Read::take(&mut self.stream, MAX_ANSWER).read_line(&mut line);
        if read.map_err(|source| self.failed(source))? == 0 {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|source| self.failed(source.into()))?;
        if answer["ok"] == true {
            return Ok(answer);
        }
        let errors = answer["errors"].as_array().into_iter().flatten();
        let lines = errors.filter_map(Value::as_str).map(str::to_owned);
        Err(Error::Refused(lines.collect()))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Control {
            name: self.name.to_string(),
            source,
        }
    }
}
