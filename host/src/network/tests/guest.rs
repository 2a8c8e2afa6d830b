//! A guest without a machine: the image's TCP/IP on the other end of the link, in a thread, with small
//! services on it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ring::digest::{Context, SHA256};
use rustix::event::epoll::EventFlags;
use stockade_net::{
    Config, Event, Ipv4Config, Ipv6Config, Limits, QueryId, ResolveError, Role, Stack, Status,
    Stream, StreamError, StreamId,
};

use crate::network::link::Link;
use crate::network::poller::{Interest, Poller, Token};
use crate::network::{
    GATEWAY_IPV4, GATEWAY_IPV6, GUEST_IPV4, GUEST_IPV6, GUEST_MAC, PREFIX_V4, PREFIX_V6,
    RESOLVER_IPV4, wake,
};

/// Bytes of each buffer of a connection: about what the image has.
const BUFFER: usize = 64 * 1024;

/// What a port of the guest does.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    /// Sends back what comes, and ends after the peer has.
    Echo,
    /// Says who has connected, and ends.
    Who,
    /// Takes everything in, and answers with its length and SHA-256 once the peer has ended.
    Digest,
    /// Sends that many bytes of [`byte`], and ends.
    Source(usize),
    /// Ends its direction at once, and takes in what comes.
    EndFirst,
    /// Resets once something comes.
    Reset,
    /// Sends one byte, and reads nothing.
    Deaf,
}

/// What became of a connection of the guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub received: Vec<u8>,
    pub error: Option<StreamError>,
}

/// What a connection of the guest does.
#[derive(Debug)]
pub struct Call {
    pub to: SocketAddr,
    pub send: Vec<u8>,
    /// Whether it ends its direction after that, or waits for the peer's end first.
    pub ends: bool,
    /// Whether it resets once it has received something.
    pub resets: bool,
}

type Resolved = Result<Vec<IpAddr>, ResolveError>;

enum Command {
    Listen(u16, Service),
    Call(Call, Sender<Outcome>),
    Resolve(String, Sender<Resolved>),
    Datagram(SocketAddr, Vec<u8>),
    Ended(u16, Sender<Vec<(usize, Option<StreamError>)>>),
}

/// A running guest. Dropping it is as the end of its machine.
pub struct Guest {
    commands: Option<Sender<Command>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Guest {
    pub fn start(link: OwnedFd) -> Guest {
        let (commands, queue) = channel();
        let wake = Arc::new(wake::new().unwrap());
        let signal = Arc::clone(&wake);
        let thread = thread::spawn(move || World::new(link, &signal).run(&queue, &signal));
        Guest {
            commands: Some(commands),
            wake,
            thread: Some(thread),
        }
    }

    pub fn listen(&self, port: u16, service: Service) {
        self.tell(Command::Listen(port, service));
    }

    /// Connects, and waits for the end.
    pub fn call(&self, call: Call) -> Outcome {
        self.begin(call).recv().unwrap()
    }

    /// Connects; the outcome comes later.
    pub fn begin(&self, call: Call) -> Receiver<Outcome> {
        self.ask(|reply| Command::Call(call, reply))
    }

    pub fn resolve(&self, name: &str) -> Resolved {
        self.ask(|reply| Command::Resolve(name.to_owned(), reply))
            .recv()
            .unwrap()
    }

    pub fn datagram(&self, to: SocketAddr, payload: &[u8]) {
        self.tell(Command::Datagram(to, payload.to_vec()));
    }

    /// Of each connection to this port that has ended: how many bytes came, and how it ended.
    pub fn ended(&self, port: u16) -> Vec<(usize, Option<StreamError>)> {
        self.ask(|reply| Command::Ended(port, reply))
            .recv()
            .unwrap()
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Receiver<T> {
        let (reply, answer) = channel();
        self.tell(command(reply));
        answer
    }

    fn tell(&self, command: Command) {
        self.commands.as_ref().unwrap().send(command).unwrap();
        wake::signal(&self.wake);
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.commands = None;
        wake::signal(&self.wake);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The byte at this place of every long transfer.
pub fn byte(place: usize) -> u8 {
    (place.wrapping_mul(0x9e37_79b1) >> 11) as u8
}

enum Task {
    Serve(u16, Service, Context),
    Call(Call, Sender<Outcome>),
}

struct Connection {
    task: Task,
    received: Vec<u8>,
    received_count: usize,
    sent: usize,
}

struct World {
    link: Link,
    stack: Stack,
    poller: Poller,
    started: Instant,
    services: HashMap<u16, Service>,
    connections: HashMap<StreamId, Connection>,
    queries: HashMap<QueryId, Sender<Resolved>>,
    ended: Vec<(u16, usize, Option<StreamError>)>,
}

impl World {
    fn new(link: OwnedFd, wake: &OwnedFd) -> World {
        let mut link = Link::over(link).unwrap();
        let config = Config {
            mac: GUEST_MAC,
            ipv4: Ipv4Config::Static {
                address: GUEST_IPV4,
                prefix: PREFIX_V4,
                gateway: Some(GATEWAY_IPV4),
            },
            ipv6: Some(Ipv6Config {
                address: GUEST_IPV6,
                prefix: PREFIX_V6,
                gateway: Some(GATEWAY_IPV6),
            }),
            dns: vec![RESOLVER_IPV4.into()],
            seed: [7; 32],
            limits: Limits {
                streams: 4_096,
                half_open: 4_096,
                recv_buffer: BUFFER,
                send_buffer: BUFFER,
            },
            role: Role::Published,
        };
        let mut stack = Stack::new(config, &mut link, stockade_net::Instant::ZERO).unwrap();
        stack.set_admission(4_096);
        let poller = Poller::new().unwrap();
        poller
            .add(&link, Token::Link(0), Interest::Changes)
            .unwrap();
        poller.add(wake, Token::Wake, Interest::Readable).unwrap();
        World {
            link,
            stack,
            poller,
            started: Instant::now(),
            services: HashMap::new(),
            connections: HashMap::new(),
            queries: HashMap::new(),
            ended: Vec::new(),
        }
    }

    fn now(&self) -> stockade_net::Instant {
        stockade_net::Instant::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn run(mut self, queue: &Receiver<Command>, wake: &OwnedFd) {
        let mut events = Vec::new();
        loop {
            if self.link.fill().is_err() {
                return;
            }
            let now = self.now();
            let more = self.stack.poll(&mut self.link, now);
            while let Some(event) = self.stack.poll_event() {
                self.event(event);
            }
            let now = self.now();
            self.stack.flush(&mut self.link, now);
            if self.link.drain().is_err() {
                return;
            }
            let busy = more || self.link.readable || self.link.has_frame();
            let timeout = match (busy, self.stack.poll_at()) {
                (true, _) => Some(Duration::ZERO),
                (false, at) => at.map(|at| at.saturating_duration_since(self.now())),
            };
            self.poller.wait(timeout, &mut events).unwrap();
            for (token, flags) in events.drain(..) {
                if token == Token::Wake {
                    wake::clear(wake);
                    continue;
                }
                let ended = EventFlags::HUP | EventFlags::ERR;
                let readable = flags.intersects(EventFlags::IN | ended);
                self.link.note(readable, flags.contains(EventFlags::OUT));
            }
            loop {
                match queue.try_recv() {
                    Ok(command) => self.command(command),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(_) => return,
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Listen(port, service) => {
                self.services.insert(port, service);
                self.stack.listen(None, port).unwrap();
            }
            Command::Call(call, reply) => {
                let id = self.stack.connect(call.to, now).unwrap();
                self.add(id, Task::Call(call, reply));
            }
            Command::Resolve(name, reply) => {
                let query = self.stack.resolve(&name, now).unwrap();
                self.queries.insert(query, reply);
            }
            Command::Datagram(to, payload) => {
                self.stack.send_datagram(to, &payload, now).unwrap();
            }
            Command::Ended(port, reply) => {
                let of_port = self.ended.iter().filter(|(at, ..)| *at == port);
                reply
                    .send(of_port.map(|(_, count, error)| (*count, *error)).collect())
                    .unwrap();
            }
        }
    }

    fn add(&mut self, id: StreamId, task: Task) {
        self.connections.insert(
            id,
            Connection {
                task,
                received: Vec::new(),
                received_count: 0,
                sent: 0,
            },
        );
    }

    fn event(&mut self, event: Event) {
        let id = match event {
            Event::Accepted { stream, .. } => {
                let port = self.stack.stream(stream).unwrap().local().port();
                let service = self.services[&port];
                self.add(stream, Task::Serve(port, service, Context::new(&SHA256)));
                stream
            }
            Event::Ready(stream) => stream,
            Event::Resolved { query, result } => {
                let reply = self.queries.remove(&query).unwrap();
                return reply.send(result).unwrap_or_default();
            }
            _ => return,
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let mut stream = self.stack.stream(id).unwrap();
        connection.step(&mut stream);
        let Status::Closed(error) = stream.status() else {
            return;
        };
        self.stack.release(id);
        let connection = self.connections.remove(&id).unwrap();
        match connection.task {
            Task::Serve(port, ..) => self.ended.push((port, connection.received_count, error)),
            Task::Call(_, reply) => {
                let _ = reply.send(Outcome {
                    received: connection.received,
                    error,
                });
            }
        }
    }
}

impl Connection {
    fn step(&mut self, stream: &mut Stream<'_>) {
        match &mut self.task {
            Task::Serve(_, service, digest) => match service {
                Service::Echo => {
                    while stream.recv_len() > 0 && stream.send_room() > 0 {
                        let room = stream.send_room();
                        let piece = stream.with_recv(|bytes| {
                            let count = bytes.len().min(room);
                            (count, bytes[..count].to_vec())
                        });
                        self.received_count += piece.len();
                        assert_eq!(stream.send(&piece), piece.len());
                    }
                    end_after_peer(stream);
                }
                Service::Who => {
                    if self.sent == 0 {
                        let text = stream.remote().to_string();
                        self.sent = stream.send(text.as_bytes());
                        stream.finish();
                    }
                    self.received_count += discard(stream, |_| ());
                }
                Service::Digest => {
                    self.received_count += discard(stream, |bytes| digest.update(bytes));
                    if stream.recv_finished() && self.sent == 0 {
                        let answer = summary(self.received_count, digest);
                        self.sent = stream.send(answer.as_bytes());
                        stream.finish();
                    }
                }
                Service::Source(total) => {
                    let total = *total;
                    while self.sent < total && stream.send_room() > 0 {
                        let start = self.sent;
                        self.sent += stream.with_send(|space| {
                            let count = space.len().min(total - start);
                            for (place, to) in space[..count].iter_mut().enumerate() {
                                *to = byte(start + place);
                            }
                            (count, count)
                        });
                    }
                    if self.sent == total {
                        stream.finish();
                    }
                    self.received_count += discard(stream, |_| ());
                }
                Service::EndFirst => {
                    if self.sent == 0 {
                        stream.finish();
                        self.sent = 1;
                    }
                    self.received_count += discard(stream, |_| ());
                }
                Service::Reset => {
                    if stream.recv_len() > 0 {
                        stream.reset();
                    }
                }
                Service::Deaf => {
                    if self.sent == 0 {
                        self.sent = stream.send(b"!");
                    }
                }
            },
            Task::Call(call, _) => {
                if self.sent < call.send.len() {
                    self.sent += stream.send(&call.send[self.sent..]);
                }
                discard(stream, |bytes| self.received.extend_from_slice(bytes));
                if call.resets && !self.received.is_empty() {
                    stream.reset();
                }
                let ends = call.ends || stream.recv_finished();
                if self.sent == call.send.len() && ends && stream.status() == Status::Open {
                    stream.finish();
                }
            }
        }
    }
}

/// The answer of [`Service::Digest`].
pub fn summary(count: usize, digest: &Context) -> String {
    let digest = digest.clone().finish();
    let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("{count} {hex}")
}

fn end_after_peer(stream: &mut Stream<'_>) {
    if stream.recv_finished() {
        stream.finish();
    }
}

fn discard(stream: &mut Stream<'_>, mut each: impl FnMut(&[u8])) -> usize {
    let mut count = 0;
    while stream.recv_len() > 0 {
        count += stream.with_recv(|bytes| {
            each(bytes);
            (bytes.len(), bytes.len())
        });
    }
    count
}
