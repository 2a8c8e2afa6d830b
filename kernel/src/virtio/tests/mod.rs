//! The driver against a fake device, from both ends of its rings.

mod fake;
mod frames;
mod lying;
mod nic;
mod packets;
mod plans;
mod rings;
mod stack;
