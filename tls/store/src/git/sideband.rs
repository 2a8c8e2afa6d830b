//! Bands: what a packet carries, by its first byte (gitprotocol-pack(5), "Packfile Data").

use super::Error;
use super::packet::words;

/// What a packet carries.
pub(super) enum Band<'a> {
    /// Data.
    Data(&'a [u8]),
    /// Words for a person who waits.
    Progress,
}

/// Looks into a packet.
pub(super) fn band(line: &[u8]) -> Result<Band<'_>, Error> {
    match line.split_first() {
        Some((1, data)) => Ok(Band::Data(data)),
        Some((2, _)) => Ok(Band::Progress),
        Some((3, text)) => Err(Error::Server(words(text))),
        _ => Err(Error::Unexpected("a band")),
    }
}
