//! Certificates that look after themselves, with real Git servers and real authorities.

mod contruno;
mod faults;
mod hosts;
mod issue;
mod renewal;
mod rigs;
mod setting;
mod store;
