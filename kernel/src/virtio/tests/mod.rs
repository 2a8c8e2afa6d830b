//! The drivers against a fake device, from both ends of its rings.

// The fuzzer, which is not a test, plays a part of this device.
#[cfg(test)]
mod console;
#[cfg_attr(not(test), allow(dead_code))]
pub(super) mod fake;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod nic;
#[cfg(test)]
mod packets;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod rings;
#[cfg(test)]
mod stack;
