//! What came of a notice, and its form.

use alloc::string::String;
use alloc::vec::Vec;

use super::{MOST_FRAME, TAG, cut};

/// Most hosts that an outcome names as troubles; it counts the others.
pub const MOST_TROUBLES: usize = 64;

/// Most bytes of one text.
const MOST_TEXT: usize = 512;

/// Most bytes of what is written here: a frame's, without its length, kind, time and tag.
const MOST: usize = MOST_FRAME - 2 - 1 - 8 - TAG;

/// What came of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store was read.
    Done {
        /// How many hosts are served.
        hosts: u32,
        /// Hosts that are not served, or not as their files say; the first of them, where there are
        /// many.
        troubles: Vec<Trouble>,
        /// How many more there are.
        more: u32,
    },
    /// The store could not be read: why. What was served is served on.
    Failed(String),
}

/// A host that is not served, or not as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its name.
    pub host: String,
    /// Why.
    pub why: String,
}

impl Outcome {
    /// Its bytes. Texts that are too long are cut, and troubles that find no room are counted.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Outcome::Failed(why) => {
                let mut bytes = alloc::vec![1];
                write_text(&mut bytes, why);
                bytes
            }
            Outcome::Done {
                hosts,
                troubles,
                more,
            } => {
                let mut list = Vec::new();
                let mut count = 0_u16;
                for trouble in troubles.iter().take(MOST_TROUBLES) {
                    let mut item = Vec::new();
                    write_text(&mut item, &trouble.host);
                    write_text(&mut item, &trouble.why);
                    if 1 + 4 + 4 + 2 + list.len() + item.len() > MOST {
                        break;
                    }
                    list.append(&mut item);
                    count += 1;
                }
                let left = troubles.len() - usize::from(count);
                let more = more.saturating_add(u32::try_from(left).unwrap_or(u32::MAX));
                let mut bytes = alloc::vec![0];
                bytes.extend_from_slice(&hosts.to_be_bytes());
                bytes.extend_from_slice(&more.to_be_bytes());
                bytes.extend_from_slice(&count.to_be_bytes());
                bytes.append(&mut list);
                bytes
            }
        }
    }

    /// Reads what [`encode`](Self::encode) has written, and nothing else; `None`: it is something else.
    pub fn decode(bytes: &[u8]) -> Option<Outcome> {
        let mut reader = Reader(bytes);
        let outcome = match reader.array()? {
            [0] => {
                let hosts = u32::from_be_bytes(reader.array()?);
                let more = u32::from_be_bytes(reader.array()?);
                let count = usize::from(u16::from_be_bytes(reader.array()?));
                if count > MOST_TROUBLES {
                    return None;
                }
                let mut troubles = Vec::new();
                for _ in 0..count {
                    let (host, why) = (reader.text()?, reader.text()?);
                    troubles.push(Trouble { host, why });
                }
                Outcome::Done {
                    hosts,
                    troubles,
                    more,
                }
            }
            [1] => Outcome::Failed(reader.text()?),
            _ => return None,
        };
        reader.0.is_empty().then_some(outcome)
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    let text = cut(text, MOST_TEXT);
    let length = u16::try_from(text.len()).unwrap_or_default();
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > MOST_TEXT {
            return None;
        }
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(text).ok().map(String::from)
    }
}
