//! What the launcher tests are made of: the `stockade` program as a child process in a place of its
//! own, its control commands, and a look at what the kernel says of its processes.

pub mod notify;
pub mod place;
pub mod processes;
pub mod program;
