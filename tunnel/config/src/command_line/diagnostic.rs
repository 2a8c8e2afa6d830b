//! What can be wrong with a command line, and how it is said.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use super::options::{OPTIONS, OptionSpec};
use super::{MAX_LINE, MAX_NAME_SERVERS};
use crate::archive::NameError;

/// Most errors that are kept; the rest is only counted. A line can have a hundred thousand.
const MAX_ERRORS: usize = 64;
/// Longest text that a message repeats whole, in bytes: no right value but a name is longer.
const MAX_SHOWN: usize = 64;
/// How much it repeats of a longer one, in bytes: too little to be of use if it was a secret.
const MAX_CUT: usize = 24;

/// Every error of one command line, in the order of the line; options that are missing last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    list: Vec<Diagnostic>,
    uncounted: usize,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The option's name with its dashes, or the stray word; cut short when long.
    pub option: Cow<'static, str>,
    /// Where the option's word begins; `None` when the option is missing.
    pub position: Option<Position>,
    /// What is wrong.
    pub problem: Problem,
}

/// Where a word begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Number of the word, from 1.
    pub word: usize,
    /// Byte in the line, from 1.
    pub column: usize,
}

/// What is wrong with an option or word. Never holds a byte of a key or of base64 text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The whole line is longer than [`MAX_LINE`].
    LineTooLong {
        /// How long it is, in bytes.
        length: usize,
    },
    /// The word is not UTF-8.
    NotUtf8 {
        /// The first byte that can't be, counted from 1 in the line.
        column: usize,
    },
    /// No option has this name.
    UnknownOption {
        /// The option that may be meant.
        suggestion: Option<&'static str>,
    },
    /// The word is neither an option nor a machine's.
    StrayWord {
        /// The option that may be meant.
        suggestion: Option<&'static str>,
    },
    /// An option of contruno that there is none of here.
    Foreign {
        /// What is to be known or done instead.
        instead: &'static str,
    },
    /// Words follow the value of an option that takes a text, which mostly is wrapped base64 text, or
    /// a text with blanks.
    StrayText {
        /// How many.
        words: usize,
        /// Whether the text may stand there as it is.
        is_plain: bool,
    },
    /// The option ends the line, or another option follows.
    NoValue {
        /// What is wrong with none: what the option takes.
        expected: &'static OptionSpec,
    },
    /// The option takes no value, and one is there.
    Value,
    /// The option is there beside another one that takes its place.
    Beside {
        /// The other one.
        other: &'static str,
        /// Where the other one is.
        position: Position,
    },
    /// The option is there beside another one that says the contrary.
    Against {
        /// The other one.
        other: &'static str,
        /// Where the other one is.
        position: Position,
    },
    /// The option is there before.
    Repeated {
        /// Where.
        first: Position,
    },
    /// The value is not of the option's form.
    Malformed {
        /// What the option takes.
        expected: &'static OptionSpec,
        /// What stands there.
        found: Found,
    },
    /// The number of a port is not one.
    Port {
        /// What stands there.
        found: Found,
    },
    /// Two things would listen on this port.
    SamePort {
        /// The option that has the port, too.
        other: &'static str,
        /// The port.
        port: u16,
    },
    /// The number of seconds is none, or out of bounds.
    Seconds {
        /// Most that can be given.
        most: u32,
        /// What stands there.
        found: Found,
    },
    /// The key is one of RSA, grown from a seed as awa does it, or of another kind that is not taken.
    ForeignKey,
    /// The authority's address is not one of HTTPS.
    NotHttps {
        /// What stands there.
        found: Found,
    },
    /// The length of a prefix is not one.
    Prefix {
        /// The longest prefix of the address's family.
        longest: u8,
        /// What stands there.
        found: Found,
    },
    /// An IPv6 address and a port are not told apart.
    Brackets {
        /// What stands there.
        found: Found,
    },
    /// The text after `base64:` is damaged.
    Base64 {
        /// How.
        fault: Base64Fault,
    },
    /// The text after `base64:` does not hold the PEM section that the option takes.
    NotPem {
        /// What the section's label ends with.
        label: &'static str,
    },
    /// The name after `file:` is not one.
    FileName {
        /// Why.
        error: NameError,
    },
    /// More than [`MAX_NAME_SERVERS`] name servers.
    TooManyServers,
    /// An option that can't be left out is.
    Missing {
        /// What it takes.
        expected: &'static OptionSpec,
        /// The option that needs it, if that one is given: the other of `--cert` and `--key`.
        partner: Option<(&'static str, Position)>,
    },
    /// The option means nothing without another one.
    Needs {
        /// The other one.
        other: &'static OptionSpec,
    },
    /// The option means nothing without hosts that are served by name.
    NeedsHosts,
    /// The address can't be what it is given as.
    Address {
        /// The address.
        address: IpAddr,
        /// Why.
        fault: AddressFault,
    },
    /// The image has no address of this family.
    FamilyOff {
        /// The address that needs the family.
        address: IpAddr,
    },
    /// A gateway that is not on the image's network.
    OffLink {
        /// The gateway.
        gateway: IpAddr,
        /// The network's address.
        network: IpAddr,
        /// The network's prefix.
        prefix: u8,
    },
    /// A peer's address is the image's own.
    OwnAddress {
        /// The address.
        address: IpAddr,
    },
    /// An address to listen on that the image does not have.
    NotOurs {
        /// The address.
        address: IpAddr,
        /// The image's.
        own: Vec<IpAddr>,
    },
    /// An address off the image's network, and no gateway.
    NoRoute {
        /// The address.
        address: IpAddr,
    },
    /// A name to look up, and no name server or gateway to ask.
    NoNameServer,
    /// A backend that is the gateway, and no gateway.
    NoGateway,
    /// A backend that is `localhost` or a loopback address.
    Loopback,
    /// A store or an authority that is.
    LoopbackPeer,
}

/// A value as a message shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This text, cut short when long.
    Text(String),
    /// A text of this length in bytes that may be secret.
    Hidden(usize),
}

/// How base64 text is damaged. Offsets count from 0 after `base64:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base64Fault {
    /// There is no text.
    Empty,
    /// A byte that no base64 text has.
    Character {
        /// Where.
        offset: usize,
    },
    /// Padding that is not at the end or of the wrong length.
    Padding {
        /// Where it begins.
        offset: usize,
    },
    /// The text ends within a group of four characters, or its last character is damaged.
    End {
        /// How many characters there are.
        offset: usize,
    },
}

/// Why an address can't be an image's or a peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// 0.0.0.0 or ::.
    Unspecified,
    /// A loopback address.
    Loopback,
    /// A multicast address.
    Multicast,
    /// 255.255.255.255, or the last of its network.
    Broadcast,
    /// The first of its network (IPv6: the subnet-router anycast address, RFC 4291 §2.6.1).
    Network,
    /// In 0.0.0.0/8 or 240.0.0.0/4, or an IPv4 address written as an IPv6 one.
    Reserved,
}

impl Errors {
    /// The errors, in the order of the line.
    pub fn iter(&self) -> core::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are; at least one in every `Err` of this crate.
    pub fn len(&self) -> usize {
        self.list.len() + self.uncounted
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < MAX_ERRORS {
            self.list.push(diagnostic);
        } else {
            self.uncounted += 1;
        }
    }

    pub(super) fn sort(&mut self) {
        crate::sort::sort_by_key(&mut self.list, |error| {
            (error.position.is_none(), error.position)
        });
    }
}

impl Found {
    /// A value to be shown; base64 and PEM text is hidden wherever it stands.
    pub(super) fn new(text: &str) -> Found {
        if looks_secret(text) {
            Found::Hidden(text.len())
        } else {
            Found::Text(shorten(text))
        }
    }
}

/// Whether a text is, or holds, what may be a private key.
pub(super) fn looks_secret(text: &str) -> bool {
    text.contains("base64:") || text.contains("-----")
}

/// The first bytes of a text, whole characters, with an ellipsis in place of the rest.
pub(super) fn shorten(text: &str) -> String {
    if text.len() <= MAX_SHOWN {
        return text.into();
    }
    let end = text.floor_char_boundary(MAX_CUT);
    let mut short = String::from(text.get(..end).unwrap_or_default());
    short.push('…');
    short
}

impl fmt::Display for Errors {
    /// One line per error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        match self.uncounted {
            0 => Ok(()),
            1 => f.write_str("\nand 1 error more"),
            more => write!(f, "\nand {more} errors more"),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.option)?;
        if let Some(position) = self.position {
            write!(f, " ({position})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {}, column {}", self.word, self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong { length } => {
                write!(f, "{length} bytes long, of at most {MAX_LINE}")
            }
            Self::NotUtf8 { column } => write!(f, "not UTF-8 text at column {column}"),
            Self::UnknownOption { suggestion } => match suggestion {
                Some(name) => write!(f, "unknown option; did you mean {name}?"),
                None => {
                    f.write_str("unknown option; expected one of")?;
                    OPTIONS
                        .iter()
                        .try_for_each(|option| write!(f, " {}", option.name))
                }
            },
            Self::StrayWord { suggestion } => {
                f.write_str("not an option")?;
                match suggestion {
                    Some(name) => write!(f, "; did you mean {name}?"),
                    None => f.write_str(", options begin with --"),
                }
            }
            Self::Foreign { instead } => write!(f, "not taken: {instead}"),
            Self::StrayText { words, is_plain } => write!(
                f,
                "{words} stray word{} after the value; {}",
                if *words == 1 { "" } else { "s" },
                match is_plain {
                    true => "a text with blanks goes as file:NAME or base64:TEXT, one word",
                    false => "base64 text must be one word (base64 -w0)",
                }
            ),
            Self::NoValue { expected } => write!(f, "no value; expected {}", expected.expected()),
            Self::Value => f.write_str("takes no value"),
            Self::Beside { other, position } => {
                write!(f, "can't stand beside {other} ({position}), which takes its place")
            }
            Self::Against { other, position } => {
                write!(f, "can't stand beside {other} ({position}), which says the contrary")
            }
            Self::Repeated { first } => write!(f, "given before ({first}); expected once"),
            Self::Malformed { expected, found } => {
                write!(f, "expected {}, found {found}", expected.expected())
            }
            Self::Port { found } => {
                write!(f, "expected a port from 1 to 65535, found {found}")
            }
            Self::SamePort { other, port } => {
                write!(f, "port {port} is that of {other}, too; expected another one")
            }
            Self::Seconds { most, found } => {
                write!(f, "expected a number of seconds from 1 to {most}, found {found}")
            }
            Self::ForeignKey => f.write_str(
                "a key of this kind is not taken, nor a seed of awa's; make one with stockade keygen, \
                 add its line to authorized_keys, and give the text that begins with ed25519: (not shown)",
            ),
            Self::NotHttps { found } => {
                write!(f, "expected an address that begins with https://, found {found}")
            }
            Self::Prefix { longest, found } => {
                write!(f, "expected a prefix from 1 to {longest}, found {found}")
            }
            Self::Brackets { found } => write!(
                f,
                "expected an IPv6 address in brackets such as [2001:db8::1]:443, found {found}"
            ),
            Self::Base64 { fault } => fault.fmt(f),
            Self::NotPem { label } => write!(
                f,
                "expected the base64 of PEM text with a section {label}, found none in it"
            ),
            Self::FileName { error } => write!(f, "the name after file: {error}"),
            Self::TooManyServers => {
                write!(f, "expected at most {MAX_NAME_SERVERS} name servers, found more")
            }
            Self::Missing { expected, partner } => {
                f.write_str("missing")?;
                if let Some((name, position)) = partner {
                    write!(f, " while {name} ({position}) is given")?;
                }
                write!(f, "; expected {}", expected.expected())
            }
            Self::Needs { other } => {
                write!(f, "needs {} with {}", other.name, other.expected())
            }
            Self::NeedsHosts => {
                f.write_str("needs hosts by name, from --remote or --hosts")
            }
            Self::Address { address, fault } => {
                write!(f, "expected a host's address, found {address}, {fault}")
            }
            Self::FamilyOff { address } => match address {
                IpAddr::V4(_) => write!(
                    f,
                    "{address} needs IPv4, which only --ipv6 turned off; give --ipv4, too"
                ),
                IpAddr::V6(_) => write!(f, "{address} needs IPv6; give --ipv6"),
            },
            Self::OffLink {
                gateway,
                network,
                prefix,
            } => write!(
                f,
                "expected an address on the network {network}/{prefix}, found {gateway}"
            ),
            Self::OwnAddress { address } => {
                write!(
                    f,
                    "expected another host's address, found the image's own, {address}"
                )
            }
            Self::NotOurs { address, own } => {
                f.write_str("expected a port alone or an address of the image")?;
                for (index, address) in own.iter().enumerate() {
                    write!(f, "{}{address}", if index == 0 { ", " } else { " or " })?;
                }
                write!(f, "; found {address}")
            }
            Self::NoRoute { address } => {
                let option = match address {
                    IpAddr::V4(_) => "--ipv4-gateway",
                    IpAddr::V6(_) => "--ipv6-gateway",
                };
                write!(f, "{address} is not on the image's network; give {option}")
            }
            Self::NoNameServer => f.write_str("a name needs --dns or a gateway to look it up"),
            Self::NoGateway => f.write_str(
                "no gateway to connect to; give --connect=HOST:PORT, --ipv4-gateway or --ipv6-gateway",
            ),
            Self::Loopback => f.write_str(
                "the image is a machine of its own, where loopback reaches nothing; \
                 without a host it connects to the gateway",
            ),
            Self::LoopbackPeer => f.write_str(
                "the image is a machine of its own, where loopback reaches nothing; give the other \
                 machine's address (that of the host of stockade run is 10.0.2.2, unless --net says \
                 otherwise)",
            ),
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Text(text) if text.is_empty() => f.write_str("nothing"),
            Found::Text(text) => write!(f, "{text:?}"),
            Found::Hidden(0) => f.write_str("nothing"),
            Found::Hidden(length) => write!(f, "{length} bytes (not shown)"),
        }
    }
}

impl fmt::Display for Base64Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base64Fault::Empty => f.write_str("no text after base64:"),
            Base64Fault::Character { offset } => write!(
                f,
                "damaged base64 text: no base64 character at byte {offset} after base64:"
            ),
            Base64Fault::Padding { offset } => write!(
                f,
                "damaged base64 text: wrong padding at byte {offset} after base64:"
            ),
            Base64Fault::End { offset } => {
                write!(
                    f,
                    "damaged base64 text: cut off at byte {offset} after base64:"
                )
            }
        }
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressFault::Unspecified => "the unspecified address",
            AddressFault::Loopback => "a loopback address",
            AddressFault::Multicast => "a multicast address",
            AddressFault::Broadcast => "a broadcast address",
            AddressFault::Network => "the address of the network itself",
            AddressFault::Reserved => "a reserved address",
        })
    }
}

impl core::error::Error for Errors {}
impl core::error::Error for Diagnostic {}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Diagnostic;
    type IntoIter = core::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
