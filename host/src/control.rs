//! The control socket: how other processes of this user speak to a running launcher.
//!
//! One UNIX stream socket per launcher, `NAME.sock`, mode 0600, in
//!
//! 1. `$RUNTIME_DIRECTORY`, which systemd sets for a service, else
//! 2. `/run/stockade` for root, else
//! 3. `$XDG_RUNTIME_DIR/stockade`, else
//! 4. `stockade-UID` in the directory for temporary files, if it is this user's alone.
//!
//! Only this user and root are answered (SO_PEERCRED in unix(7)). Requests and answers are JSON
//! (RFC 8259), one object a line:
//!
//! | request | answer |
//! | --- | --- |
//! | `{"do":"status"}` | `{"ok":true,"status":{…}}` |
//! | `{"do":"reload"}` | `{"ok":true,"revision":2,"listening":[…]}` |
//! | `{"do":"stop","drain_ms":5000}` | `{"ok":true,"stopping":true}`, and `{"ok":true,"ended":"…"}` at the end |
//! | `{"do":"diagnose","since":0}` | `{"ok":true,"events":[…],"missed":0,"next":17,"more":false}` |
//!
//! What went wrong is `{"ok":false,"errors":["…", …]}`. Further requests may follow on the same
//! connection. A request is at most [`MAX_REQUEST`] bytes; [`MAX_CLIENTS`] are served at a time,
//! and one that is silent or does not read for [`PATIENCE`] is let go.

use std::time::Duration;

mod client;
mod place;
mod protocol;
mod server;

pub use client::{diagnose, reload, status, stop};
pub use place::{Name, place, running};
pub use server::Server;

/// Longest request, bytes.
pub const MAX_REQUEST: usize = 4096;

/// Most clients at a time; a further one is told so.
pub const MAX_CLIENTS: usize = 16;

/// How long a client may be silent, or leave an answer unread.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
