//! A launcher at the other end of the management channel, and a machine that it has started.

use channel::{Bounds, Endpoint, ToGuest, ToHost};
use config::archive::Builder;

use super::*;
use crate::{limits::ChannelMemory, management::Management};

/// The channel's two directions, as the machine holds them.
#[derive(Default)]
pub(super) struct Pipes {
    pub(super) to_guest: VecDeque<u8>,
    pub(super) to_host: VecDeque<u8>,
}

impl Pipes {
    pub(super) fn take(&mut self, bytes: &mut [u8]) -> usize {
        let length = bytes.len().min(self.to_guest.len());
        for (to, from) in bytes.iter_mut().zip(self.to_guest.drain(..length)) {
            *to = from;
        }
        length
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        // As a device whose buffers are small.
        let length = bytes.len().min(1000);
        self.to_host.extend(&bytes[..length]);
        length
    }
}

/// A launcher, and what it has heard.
pub(super) struct Launcher {
    pub(super) endpoint: Endpoint<ToGuest, ToHost>,
    pub(super) heard: Vec<ToHost>,
    /// It does not read.
    pub(super) paused: bool,
}

impl Default for Launcher {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::new(Bounds {
                message: 1 << 20,
                queue: 4 << 20,
            }),
            heard: Vec::new(),
            paused: false,
        }
    }
}

impl Launcher {
    pub(super) fn attend(&mut self, pipes: &mut Pipes, now: Instant) {
        if self.paused {
            return;
        }
        let bytes: Vec<u8> = pipes.to_host.drain(..).collect();
        self.endpoint.receive(&bytes, now.as_micros());
        while let Some(message) = self.endpoint.poll_message() {
            self.heard.push(message.unwrap());
        }
        let mut piece = [0; 4096];
        loop {
            let length = self.endpoint.transmit(&mut piece, now.as_micros());
            if length == 0 {
                break;
            }
            pipes.to_guest.extend(&piece[..length]);
        }
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &channel::Event> {
        self.heard.iter().filter_map(|message| match message {
            ToHost::Event(event) => Some(event),
            _ => None,
        })
    }

    pub(super) fn kinds(&self) -> Vec<channel::Kind> {
        self.events().map(|event| event.kind).collect()
    }
}

/// The line that machines are started with here.
pub(super) const LINE: &[u8] =
    b"--ipv4=10.9.0.2/24 --ipv4-gateway=10.9.0.1 --dns=10.9.0.1 --conf=file:c.conf";

/// A boot archive of these files.
pub(super) fn archive(files: &[(&str, &str)]) -> config::Zeroizing<Vec<u8>> {
    let mut builder = Builder::new();
    for (name, text) in files {
        builder.file(name, text.as_bytes()).unwrap();
    }
    builder.finish()
}

/// Certificate and key for all services of these tests.
pub(super) struct Pair {
    pub(super) chain: String,
    pub(super) key: String,
}

impl Pair {
    pub(super) fn new() -> Self {
        let (chain, key) = certificate("localhost");
        Self { chain, key }
    }

    /// An archive with a configuration and this pair.
    pub(super) fn archive(&self, conf: &str) -> config::Zeroizing<Vec<u8>> {
        archive(&[
            ("c.conf", conf),
            ("cert.pem", &self.chain),
            ("key.pem", &self.key),
        ])
    }
}

/// A server's section.
pub(super) fn section(name: &str, rest: &str) -> String {
    std::format!("[{name}]\ncert = cert.pem\nkey = key.pem\n{rest}\n")
}

/// A machine that was started with a configuration, and its launcher.
pub(super) fn started(pair: &Pair, conf: &str) -> World {
    started_with(LINE, &pair.archive(conf))
}

pub(super) fn started_with(line: &[u8], archive: &[u8]) -> World {
    let (near, far) = wire();
    let mut machine = TestMachine {
        nic: near,
        now: Instant::ZERO,
        heap: 64 << 20,
        channel: Some(Pipes::default()),
    };
    let memory = ChannelMemory::for_heap(machine.heap, archive.len());
    let management = Management::new(memory, line, machine.heap);
    let mut management = Some(Box::new(management));
    let server = crate::start::assemble(&mut machine, line, Some(archive), &mut management);
    let server = server.unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut world = world_with(machine, server, far);
    world.launcher = Some(Launcher::default());
    world
}

impl World {
    pub(super) fn launcher(&mut self) -> &mut Launcher {
        self.launcher.as_mut().unwrap()
    }

    pub(super) fn order(&mut self, order: &ToGuest) {
        self.launcher().endpoint.send(order).unwrap();
    }

    /// Sends a configuration and waits for the answer.
    pub(super) fn reload(
        &mut self,
        revision: u32,
        archive: &config::Zeroizing<Vec<u8>>,
    ) -> Result<(), Vec<String>> {
        let archive = archive.clone();
        self.order(&ToGuest::Configure { revision, archive });
        for _ in 0..200 {
            self.run(1);
            let answer = self
                .launcher()
                .heard
                .iter()
                .find_map(|message| match message {
                    ToHost::Configured {
                        revision: answered,
                        result,
                    } if *answered == revision => Some(result.clone()),
                    _ => None,
                });
            if let Some(answer) = answer {
                return answer;
            }
        }
        panic!("no answer to configuration {revision}");
    }

    /// The answer to a question for the status.
    pub(super) fn ask(&mut self, request: u32) -> channel::Status {
        self.order(&ToGuest::Status { request });
        self.run(50);
        let heard = &self.launcher().heard;
        let answer = heard.iter().find_map(|message| match message {
            ToHost::Status {
                request: answered,
                status,
            } if *answered == request => Some(status.clone()),
            _ => None,
        });
        answer.expect("an answer")
    }

    /// One more customer of `port` is echoed.
    pub(super) fn is_served(&mut self, port: u16) -> usize {
        let connection = self.client.connect(Some("localhost")).unwrap();
        let customer = self.connect_with(port, Some(connection), b"hello");
        self.run(60);
        assert_eq!(self.customers[customer].received, b"hello");
        customer
    }

    /// A customer leaves in order.
    pub(super) fn leave(&mut self, customer: usize) {
        let party = &mut self.customers[customer];
        let mut stream = self.host.stream(party.stream).unwrap();
        if let Some(connection) = &mut party.connection {
            connection.close_notify();
            relay::transmit(connection, &mut stream);
        }
        stream.finish();
    }
}
