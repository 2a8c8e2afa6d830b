//! SOCKS inside TLS: versions 4, 4a and 5 (RFC 1928).
//!
//! A server lets its client name the backend, and answers when the backend has. A client asks the
//! proxy behind TLS for `protocolHost`, in version 5.

use alloc::boxed::Box;
use core::net::IpAddr;

use super::{
    About, Destination, Dialect, End, Ends, Fault, Host, Progress, Setup, Stage, Unreachable, Wire,
};

mod client;
mod v4;
mod v5;

#[cfg(test)]
mod tests;

/// For connections that are led where `protocolHost` says.
pub(super) fn client(setup: &Setup) -> Box<dyn Dialect> {
    Box::new(client::Client::new(setup))
}

/// For connections that are led where their clients say.
pub(super) fn server(_setup: &Setup) -> Box<dyn Dialect> {
    Box::new(Server::default())
}

#[derive(Default)]
struct Server {
    /// Version 5: there was a method that both know.
    agreed: bool,
    /// Who waits for an answer.
    asked: Option<Asked>,
}

/// What an answer repeats of its request, as stunnel's do.
enum Asked {
    /// Port and address.
    V4([u8; 6]),
    V5(Destination),
}

impl Dialect for Server {
    fn poll(
        &mut self,
        stage: Stage,
        ends: &mut Ends<'_>,
        _about: &About<'_>,
    ) -> Result<Progress, Fault> {
        match stage {
            Stage::Clear => Ok(Progress::Next),
            Stage::Secured => self.request(&mut ends.client),
            Stage::Connected => {
                self.answer(&mut ends.client, None);
                Ok(Progress::Next)
            }
        }
    }

    fn unreachable(&mut self, client: &mut Wire<'_>, why: Unreachable) {
        self.answer(client, Some(why));
    }
}

impl Server {
    fn request(&mut self, client: &mut Wire<'_>) -> Result<Progress, Fault> {
        if !self.agreed {
            match client.rest().first() {
                None => return Ok(Progress::Wait),
                Some(4) => {
                    let Some((destination, repeated)) = v4::request(client)? else {
                        return Ok(Progress::Wait);
                    };
                    self.asked = Some(Asked::V4(repeated));
                    return Ok(Progress::Connect(destination));
                }
                Some(5) => {
                    if !v5::methods(client)? {
                        return Ok(Progress::Wait);
                    }
                    self.agreed = true;
                }
                Some(version) => {
                    let text = "Unsupported SOCKS version";
                    return Err(Fault::with(End::Client, text, &[*version]));
                }
            }
        }
        let Some(destination) = v5::request(client)? else {
            return Ok(Progress::Wait);
        };
        self.asked = Some(Asked::V5(destination.clone()));
        Ok(Progress::Connect(destination))
    }

    fn answer(&mut self, client: &mut Wire<'_>, why: Option<Unreachable>) {
        match self.asked.take() {
            Some(Asked::V4(repeated)) => v4::answer(client, why.is_none(), repeated),
            Some(Asked::V5(destination)) => v5::answer(client, why, &destination),
            None => {}
        }
    }
}

/// A host by what a client calls it: a name, or an address in text.
fn named(text: &[u8]) -> Option<Host> {
    let text = core::str::from_utf8(text).ok()?;
    match text.parse::<IpAddr>() {
        Ok(address) => Some(Host::Address(address)),
        Err(_) => config::command_line::host(text),
    }
}
