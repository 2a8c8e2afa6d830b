//! Two stacks, or a stack and hand-made frames, on a virtual clock.

mod admission;
mod datagrams;
mod dhcp;
mod dns;
mod ending;
mod frames;
mod gateway;
mod hostile;
mod options;
mod routing;
mod transfer;
mod window;
mod world;
