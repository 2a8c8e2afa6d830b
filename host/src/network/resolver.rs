//! The guest's name server (RFC 1035): it answers what getaddrinfo(3) says on this host, so that
//! names of `/etc/hosts` and of every other source of this host are known.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{
    CLASS, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};
use stockade_net::Datagram;

use super::{Families, GATEWAY_IPV4, GATEWAY_IPV6, wake};

/// Threads that ask, each one name at a time: getaddrinfo(3) waits.
const THREADS: usize = 4;

/// Questions that may wait for a thread; one more is dropped, and asked again by the guest.
const WAITING: usize = 256;

/// Longest question that is looked at, in bytes: a header, a name, and an OPT record with options.
const LONGEST: usize = 1_024;

/// Longest answer, in bytes, of a server that is not told more (RFC 1035 §4.2.1).
const LONGEST_ANSWER: usize = 512;

/// How long the guest may remember an answer, in seconds. getaddrinfo does not tell; `/etc/hosts`
/// may change at any time.
const TTL: u32 = 10;

/// A question, on its way to a thread.
struct Job {
    plug: u64,
    datagram: Datagram,
    families: Families,
}

/// An answer, on its way to the guest.
pub(super) struct Answer {
    /// The link on which it was asked.
    pub(super) plug: u64,
    /// The name server's end.
    pub(super) from: SocketAddr,
    /// The guest's end.
    pub(super) to: SocketAddr,
    pub(super) payload: Vec<u8>,
}

/// The threads, started with the first question.
pub(super) struct Resolver {
    /// Which addresses there are for the guest.
    pub(super) families: Families,
    jobs: Option<SyncSender<Job>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    wake: Arc<OwnedFd>,
}

impl Resolver {
    /// A resolver that signals `wake`, an eventfd(2), when there is an answer.
    pub(super) fn new(wake: Arc<OwnedFd>) -> Resolver {
        Resolver {
            families: Families::default(),
            jobs: None,
            answers: channel(),
            wake,
        }
    }

    /// Takes a question in. Too many at once, and what is no question, are dropped.
    pub(super) fn ask(&mut self, plug: u64, datagram: Datagram) {
        if datagram.payload.len() > LONGEST {
            return;
        }
        let Some(jobs) = self.jobs.take().or_else(|| self.start()) else {
            return;
        };
        let job = Job {
            plug,
            datagram,
            families: self.families,
        };
        if let Ok(()) | Err(TrySendError::Full(_)) = jobs.try_send(job) {
            self.jobs = Some(jobs);
        }
    }

    /// The next answer.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answers.1.try_recv().ok()
    }

    fn start(&self) -> Option<SyncSender<Job>> {
        let (jobs, queue) = sync_channel::<Job>(WAITING);
        let queue = Arc::new(Mutex::new(queue));
        let mut started = 0;
        for _ in 0..THREADS {
            let queue = Arc::clone(&queue);
            let answers = self.answers.0.clone();
            let wake = Arc::clone(&self.wake);
            let thread = thread::Builder::new().name("names".to_owned());
            let run = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Job {
                        plug,
                        datagram,
                        families,
                    }) = job
                    else {
                        return;
                    };
                    let Some(payload) = answer(&datagram.payload, families, look_up) else {
                        continue;
                    };
                    let answer = Answer {
                        plug,
                        from: datagram.to,
                        to: datagram.from,
                        payload,
                    };
                    if answers.send(answer).is_err() {
                        return;
                    }
                    wake::signal(&wake);
                }
            };
            started += usize::from(thread.spawn(run).is_ok());
        }
        (started > 0).then_some(jobs)
    }
}

/// Which addresses getaddrinfo is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Ipv4,
    Any,
}

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// Nobody knows the name, or none of that family.
    Unknown,
    /// It can't be told now.
    Later,
}

/// Asks this host.
fn look_up(name: &str, family: Family) -> Result<Vec<IpAddr>, Failure> {
    let hints = AddrInfoHints {
        address: match family {
            Family::Ipv4 => AddrFamily::Inet.into(),
            // AF_UNSPEC.
            Family::Any => 0,
        },
        // One entry for each address.
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    match getaddrinfo(Some(name), None, Some(hints)) {
        Ok(found) => Ok(found
            .filter_map(|entry| Some(entry.ok()?.sockaddr.ip()))
            .collect()),
        Err(error) => Err(match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData | LookupErrorKind::Family => {
                Failure::Unknown
            }
            _ => Failure::Later,
        }),
    }
}

/// The addresses of `name` that answer a question for IPv4 or IPv6. An empty list says that the name
/// is known and has none (RFC 2308 §2.2).
///
/// IPv4 addresses are asked for alone, so that they need not wait for a server that leaves questions
/// about IPv6 unanswered. IPv6 addresses are not: a name that `/etc/hosts` has with an IPv4 address
/// is not known there by the other family, so getaddrinfo would ask name servers, which may be out of
/// reach. Asked for any, it says at once what there is.
fn addresses(
    name: &str,
    ipv6: bool,
    look_up: impl Fn(&str, Family) -> Result<Vec<IpAddr>, Failure>,
) -> Result<Vec<IpAddr>, Failure> {
    if !ipv6
        && let Ok(found) = look_up(name, Family::Ipv4)
        && !found.is_empty()
    {
        return Ok(found);
    }
    let mut found = look_up(name, Family::Any)?;
    found.retain(|address| address.is_ipv6() == ipv6);
    Ok(found)
}

/// The answer to a message; `None` for what is no question, and must not be answered.
fn answer(
    question: &[u8],
    families: Families,
    look_up: impl Fn(&str, Family) -> Result<Vec<IpAddr>, Failure>,
) -> Option<Vec<u8>> {
    let query = Packet::parse(question).ok()?;
    if query.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let mut reply = Packet::new_reply(query.id());
    *reply.opcode_mut() = query.opcode();
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE);
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    let asked: [Question<'_>; 1] = match <[_; 1]>::try_from(query.questions) {
        Ok(one) if query_is_standard(&reply) => one,
        _ => {
            *reply.rcode_mut() = RCODE::NotImplemented;
            return reply.build_bytes_vec().ok();
        }
    };
    let [asked] = asked;
    let name = asked.qname.to_string();
    let ipv6 = match (asked.qclass, asked.qtype) {
        (QCLASS::CLASS(CLASS::IN), QTYPE::TYPE(TYPE::A)) => Some(false),
        (QCLASS::CLASS(CLASS::IN), QTYPE::TYPE(TYPE::AAAA)) => Some(true),
        _ => None,
    };
    let found = ipv6.map(|ipv6| match families.has(ipv6) {
        true => addresses(&name, ipv6, look_up),
        // As of a name without such addresses; the other question tells whether it is known.
        false => Ok(Vec::new()),
    });
    match found {
        Some(Ok(found)) => {
            for address in found {
                let data = match seen_by_the_guest(address) {
                    IpAddr::V4(address) => RData::A(A::from(address)),
                    IpAddr::V6(address) => RData::AAAA(AAAA::from(address)),
                };
                let record = ResourceRecord::new(asked.qname.clone(), CLASS::IN, TTL, data);
                reply.answers.push(record);
            }
        }
        Some(Err(Failure::Unknown)) => *reply.rcode_mut() = RCODE::NameError,
        Some(Err(Failure::Later)) => *reply.rcode_mut() = RCODE::ServerFailure,
        None => *reply.rcode_mut() = RCODE::NotImplemented,
    }
    reply.questions.push(asked);
    loop {
        let bytes = reply.build_bytes_vec_compressed().ok()?;
        if bytes.len() <= LONGEST_ANSWER || reply.answers.pop().is_none() {
            return Some(bytes);
        }
    }
}

/// What an address of this host's is for the guest. Its own loopback leads nowhere, and a name that is
/// this host's loopback, in `/etc/hosts` most often, means this host.
fn seen_by_the_guest(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_loopback() => GATEWAY_IPV4.into(),
        IpAddr::V6(address) if address.is_loopback() => GATEWAY_IPV6.into(),
        other => other,
    }
}

fn query_is_standard(reply: &Packet<'_>) -> bool {
    reply.opcode() == OPCODE::StandardQuery
}

#[cfg(test)]
mod tests;
