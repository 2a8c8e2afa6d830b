//! Waiting: for what a launcher's machines come to, on a thread of the caller's; for signals, on one of
//! their own.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use signal_hook::iterator::Signals;
use stockade_host::Error;
use stockade_host::launch::{End, Launcher, Ready};

/// How long we wait quietly for the image; it boots in a second even where it is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// As good as for ever.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Waits until the first machine serves; says once when that takes longer than [`PATIENCE`]. `None`
/// when it never will: that is told as the end.
pub(crate) fn for_ready(launcher: &Launcher, slow: impl FnOnce()) -> Option<Ready> {
    let mut slow = Some(slow);
    let mut patience = PATIENCE;
    loop {
        match launcher.wait_ready(patience) {
            Ok(ready) => return Some(ready),
            Err(Error::TimedOut { .. }) => {
                if let Some(slow) = slow.take() {
                    slow();
                }
                patience = LONG;
            }
            Err(_) => return None,
        }
    }
}

/// Waits until all is over.
pub(crate) fn for_end(launcher: &Launcher) -> End {
    loop {
        if let Some(end) = launcher.wait(LONG) {
            return end;
        }
    }
}

/// Sends a message for each of these signals from now on, as long as somebody listens.
pub(crate) fn for_signals<M: Send + 'static>(
    signals: impl IntoIterator<Item = i32>,
    sender: &Sender<M>,
    message: fn(i32) -> M,
) -> io::Result<()> {
    let mut signals = Signals::new(signals)?;
    let sender = sender.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                // Nobody listens any more when all is over.
                let _ = sender.send(message(signal));
            }
        })?;
    Ok(())
}
