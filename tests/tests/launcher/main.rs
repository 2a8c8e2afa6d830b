//! The `stockade` program as its users run it: a child process with signals, control commands and
//! files, and clients and backends on this host's loopback.
//!
//! Every test has a launcher and a place of its own. But for the one that stops the launcher's
//! process, all run on the rootless network.

mod as_stunnel;
mod channel;
mod control;
mod crash;
mod exec;
mod hosts;
mod inetd;
mod job;
mod names;
mod proxy;
mod reload;
mod scene;
mod secrets;
mod side_car;
mod signals;
mod socat;
mod store;
mod transfer;
mod unix;
mod unix_conf;
