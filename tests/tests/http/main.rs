//! HTTP mode with real parts around it: web servers behind the tunnel, clients and a browser before
//! it.
//!
//! Nearly all of it runs with the tunnel as a process ([`setting::Kind::Hosted`]); a few scenarios
//! run with the image, too.

mod basics;
mod browser;
mod clients;
mod differential;
mod ends;
mod forwarded;
mod hosts;
mod large;
mod pool;
mod raw;
mod rig;
mod script;
mod setting;
mod websocket;
