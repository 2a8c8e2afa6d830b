//! Messages as bytes.
//!
//! Numbers are little-endian. A text, a list and a byte string begin with their length in four
//! bytes; a message begins with a byte that says which one it is.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use zeroize::Zeroizing;

use crate::certificate::{CertificateProblem, CertificateReason};
use crate::event::{Event, Kind};
use crate::message::{
    BadMessage, ConnectionStatus, HostStatus, Listening, MOST_CONNECTIONS, MOST_HOSTS, Message,
    ServiceStatus, Status, ToGuest, ToHost,
};

const CONFIGURE: u8 = 1;
const STATUS: u8 = 2;
const STOP: u8 = 3;

const HELLO: u8 = 1;
const READY: u8 = 2;
const EVENT: u8 = 3;
const LOST: u8 = 4;
const CONFIGURED: u8 = 5;
/// Of protocol 1: without connections.
const OLD_STATUS_IS: u8 = 6;
const STOPPING: u8 = 7;
/// An event with more in it than a line of the log.
const DETAILED_EVENT: u8 = 8;
/// Of protocol 2: without hosts.
const STATUS_WITHOUT_HOSTS: u8 = 9;
const STATUS_IS: u8 = 10;

/// Bytes of a `Configure` before its archive: what it is, and the revision.
const BEFORE_ARCHIVE: usize = 5;

impl Message for ToGuest {
    const DIRECTION: u8 = b'G';
    const SECRET: bool = true;

    fn encode(&self, out: &mut dyn FnMut(&[u8])) {
        let mut writer = Writer(out);
        match self {
            Self::Configure { revision, archive } => {
                writer.u8(CONFIGURE);
                writer.u32(*revision);
                writer.0(archive);
            }
            Self::Status { request } => {
                writer.u8(STATUS);
                writer.u32(*request);
            }
            Self::Stop { drain_ms } => {
                writer.u8(STOP);
                writer.u32(*drain_ms);
            }
        }
    }

    fn decode(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadMessage> {
        let mut reader = Reader(&bytes);
        match reader.u8()? {
            CONFIGURE => {
                let revision = reader.u32()?;
                // The archive stays where it is, so that there is no second one.
                bytes.drain(..BEFORE_ARCHIVE);
                Ok(Self::Configure {
                    revision,
                    archive: bytes,
                })
            }
            STATUS => {
                let request = reader.u32()?;
                reader.end(Self::Status { request })
            }
            STOP => {
                let drain_ms = reader.u32()?;
                reader.end(Self::Stop { drain_ms })
            }
            unknown => Err(BadMessage::Unknown(unknown)),
        }
    }
}

impl Message for ToHost {
    const DIRECTION: u8 = b'H';
    const SECRET: bool = false;

    fn encode(&self, out: &mut dyn FnMut(&[u8])) {
        let mut writer = Writer(out);
        match self {
            Self::Hello {
                protocol,
                version,
                archive_most,
            } => {
                writer.u8(HELLO);
                writer.u16(*protocol);
                writer.text(version);
                writer.u32(*archive_most);
            }
            Self::Ready {
                revision,
                listening,
                boot_ms,
            } => {
                writer.u8(READY);
                writer.u32(*revision);
                writer.list(listening, |writer, listening| {
                    writer.text(&listening.service);
                    writer.address(listening.address);
                    writer.text(&listening.backend);
                });
                writer.u32(*boot_ms);
            }
            Self::Event(event) if event.beyond_log || !event.problems.is_empty() => {
                writer.u8(DETAILED_EVENT);
                writer.event(event);
                writer.details(event);
            }
            Self::Event(event) => {
                writer.u8(EVENT);
                writer.event(event);
            }
            Self::Lost { events } => {
                writer.u8(LOST);
                writer.u64(*events);
            }
            Self::Configured { revision, result } => {
                writer.u8(CONFIGURED);
                writer.u32(*revision);
                match result {
                    Ok(()) => writer.u8(0),
                    Err(lines) => {
                        writer.u8(1);
                        writer.list(lines, |writer, line| writer.text(line));
                    }
                }
            }
            Self::Status { request, status } => {
                writer.u8(STATUS_IS);
                writer.u32(*request);
                writer.status(status);
            }
            Self::Stopping { status } => {
                writer.u8(STOPPING);
                writer.u8(*status);
            }
        }
    }

    fn decode(bytes: Zeroizing<Vec<u8>>) -> Result<Self, BadMessage> {
        let mut reader = Reader(&bytes);
        let message = match reader.u8()? {
            HELLO => Self::Hello {
                protocol: reader.u16()?,
                version: reader.text()?,
                archive_most: reader.u32()?,
            },
            READY => Self::Ready {
                revision: reader.u32()?,
                listening: reader.list(|reader| {
                    Ok(Listening {
                        service: reader.text()?,
                        address: reader.address()?,
                        backend: reader.text()?,
                    })
                })?,
                boot_ms: reader.u32()?,
            },
            EVENT => Self::Event(reader.event()?),
            DETAILED_EVENT => Self::Event(reader.detailed_event()?),
            LOST => Self::Lost {
                events: reader.u64()?,
            },
            CONFIGURED => Self::Configured {
                revision: reader.u32()?,
                result: match reader.u8()? {
                    0 => Ok(()),
                    1 => Err(reader.list(Reader::text)?),
                    _ => return Err(BadMessage::Malformed),
                },
            },
            OLD_STATUS_IS => Self::Status {
                request: reader.u32()?,
                status: reader.status()?,
            },
            kind @ (STATUS_WITHOUT_HOSTS | STATUS_IS) => {
                let request = reader.u32()?;
                let mut status = reader.status()?;
                status.connections = reader.connections()?;
                if kind == STATUS_IS {
                    status.hosts = reader.hosts()?;
                    status.hosts_total = reader.u32()?;
                }
                Self::Status { request, status }
            }
            STOPPING => Self::Stopping {
                status: reader.u8()?,
            },
            unknown => return Err(BadMessage::Unknown(unknown)),
        };
        reader.end(message)
    }
}

/// Writes values; see the module's text for their form.
struct Writer<'a>(&'a mut dyn FnMut(&[u8]));

impl Writer<'_> {
    fn u8(&mut self, value: u8) {
        (self.0)(&[value]);
    }

    fn u16(&mut self, value: u16) {
        (self.0)(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        (self.0)(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        (self.0)(&value.to_le_bytes());
    }

    /// Nothing in memory that is sent has four gigabytes; no queue would take it.
    fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        (self.0)(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }

    fn optional<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.u8(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// The version, the address, the port. IPv6's zone and flow label mean nothing elsewhere.
    fn address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                (self.0)(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                (self.0)(&ip.octets());
            }
        }
        self.u16(address.port());
    }

    fn event(&mut self, event: &Event) {
        self.u64(event.number);
        self.u64(event.unix_micros);
        self.u8(event.severity);
        self.text(&event.service);
        self.text(&event.connection);
        self.u8(event.kind.number());
        self.text(&event.text);
    }

    fn details(&mut self, event: &Event) {
        self.u8(event.beyond_log.into());
        self.list(&event.problems, |writer, problem| {
            writer.u8(problem.depth);
            writer.u8(problem.reason.number());
            writer.text(&problem.subject);
        });
    }

    fn status(&mut self, status: &Status) {
        self.u64(status.uptime_ms);
        self.u32(status.revision);
        self.u32(status.sessions);
        self.u32(status.old_sessions);
        self.u32(status.half_open);
        self.u32(status.admission);
        self.u64(status.accepted_total);
        self.u64(status.failed_total);
        self.u64(status.bytes_to_clients);
        self.u64(status.bytes_to_backends);
        self.u64(status.events_lost);
        self.u64(status.heap_free);
        self.u64(status.heap_size);
        self.list(&status.services, |writer, service| {
            writer.text(&service.name);
            writer.list(&service.listening, |writer, address| {
                writer.address(*address);
            });
            writer.u32(service.sessions);
            writer.u64(service.accepted_total);
            writer.list(&service.backends, |writer, backend| writer.text(backend));
        });
        self.list(&status.connections, |writer, connection| {
            writer.text(&connection.service);
            writer.text(&connection.id);
            writer.u64(connection.age_ms);
            writer.u64(connection.bytes_to_tls);
            writer.u64(connection.bytes_to_socket);
        });
        self.list(&status.hosts, |writer, host| {
            writer.text(&host.name);
            writer.optional(host.not_after.as_ref(), |writer, at| writer.u64(*at));
            writer.optional(host.next.as_ref(), |writer, at| writer.u64(*at));
            writer.optional(host.trouble.as_ref(), |writer, why| writer.text(why));
        });
        self.u32(status.hosts_total);
    }
}

/// What is left of a message. Every value that is not there is an error.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadMessage> {
        let (array, rest) = self.0.split_first_chunk().ok_or(BadMessage::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, BadMessage> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, BadMessage> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, BadMessage> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, BadMessage> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, BadMessage> {
        let length = usize::try_from(self.u32()?).map_err(|_| BadMessage::Malformed)?;
        let (text, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(BadMessage::Malformed)?;
        self.0 = rest;
        core::str::from_utf8(text)
            .map(String::from)
            .map_err(|_| BadMessage::Malformed)
    }

    /// The length is believed item by item only: each has a byte at least, so a list takes no more
    /// memory than a small multiple of its message.
    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, BadMessage>,
    ) -> Result<Vec<T>, BadMessage> {
        let mut items = Vec::new();
        for _ in 0..self.u32()? {
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn address(&mut self) -> Result<SocketAddr, BadMessage> {
        let ip = match self.u8()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return Err(BadMessage::Malformed),
        };
        Ok(SocketAddr::new(ip, self.u16()?))
    }

    fn event(&mut self) -> Result<Event, BadMessage> {
        Ok(Event {
            number: self.u64()?,
            unix_micros: self.u64()?,
            severity: self.u8()?,
            service: self.text()?,
            connection: self.text()?,
            kind: Kind::from_number(self.u8()?),
            text: self.text()?,
            beyond_log: false,
            problems: Vec::new(),
        })
    }

    fn detailed_event(&mut self) -> Result<Event, BadMessage> {
        let event = self.event()?;
        Ok(Event {
            beyond_log: match self.u8()? {
                0 => false,
                1 => true,
                _ => return Err(BadMessage::Malformed),
            },
            problems: self.list(|reader| {
                Ok(CertificateProblem {
                    depth: reader.u8()?,
                    reason: CertificateReason::from_number(reader.u8()?),
                    subject: reader.text()?,
                })
            })?,
            ..event
        })
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, BadMessage>,
    ) -> Result<Option<T>, BadMessage> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(BadMessage::Malformed),
        }
    }

    fn hosts(&mut self) -> Result<Vec<HostStatus>, BadMessage> {
        let hosts = self.list(|reader| {
            Ok(HostStatus {
                name: reader.text()?,
                not_after: reader.optional(Reader::u64)?,
                next: reader.optional(Reader::u64)?,
                trouble: reader.optional(Reader::text)?,
            })
        })?;
        match hosts.len() {
            0..=MOST_HOSTS => Ok(hosts),
            _ => Err(BadMessage::Malformed),
        }
    }

    fn connections(&mut self) -> Result<Vec<ConnectionStatus>, BadMessage> {
        let connections = self.list(|reader| {
            Ok(ConnectionStatus {
                service: reader.text()?,
                id: reader.text()?,
                age_ms: reader.u64()?,
                bytes_to_tls: reader.u64()?,
                bytes_to_socket: reader.u64()?,
            })
        })?;
        match connections.len() {
            0..=MOST_CONNECTIONS => Ok(connections),
            _ => Err(BadMessage::Malformed),
        }
    }

    /// All of it but its connections and hosts.
    fn status(&mut self) -> Result<Status, BadMessage> {
        Ok(Status {
            uptime_ms: self.u64()?,
            revision: self.u32()?,
            sessions: self.u32()?,
            old_sessions: self.u32()?,
            half_open: self.u32()?,
            admission: self.u32()?,
            accepted_total: self.u64()?,
            failed_total: self.u64()?,
            bytes_to_clients: self.u64()?,
            bytes_to_backends: self.u64()?,
            events_lost: self.u64()?,
            heap_free: self.u64()?,
            heap_size: self.u64()?,
            services: self.list(|reader| {
                Ok(ServiceStatus {
                    name: reader.text()?,
                    listening: reader.list(Reader::address)?,
                    sessions: reader.u32()?,
                    accepted_total: reader.u64()?,
                    backends: reader.list(Reader::text)?,
                })
            })?,
            connections: Vec::new(),
            hosts: Vec::new(),
            hosts_total: 0,
        })
    }

    /// A message has no more bytes than its values.
    fn end<T>(&self, message: T) -> Result<T, BadMessage> {
        match self.0 {
            [] => Ok(message),
            _ => Err(BadMessage::Malformed),
        }
    }
}

#[cfg(test)]
mod tests;
