//! The machine under a hosted tunnel: a Linux process.

use std::io::{self, BufRead, Read, StdinLock};
use std::os::fd::AsFd;
use std::process;
use std::time::{Instant as Clock, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stockade_net::Instant;
use stockade_tunnel::Machine;

use super::card::TapCard;
use super::channel::SocketChannel;

/// The Ethernet address of every hosted tunnel: each has a link of its own.
const MAC: [u8; 6] = [0x02, 0x53, 0x74, 0x6b, 0x64, 0x02];

/// A Linux process as machine. Its life hangs on its standard input: when that ends, whoever
/// started it is gone.
pub struct HostedMachine {
    card: TapCard,
    started: Clock,
    heap: usize,
    clock_ahead: i64,
    lifeline: StdinLock<'static>,
    channel: Option<SocketChannel>,
}

impl HostedMachine {
    /// A machine with this card and perhaps a management channel, which says it has `heap` bytes
    /// of memory, and whose clock is ahead by this many seconds.
    pub fn new(
        card: TapCard,
        heap: usize,
        clock_ahead: i64,
        channel: Option<SocketChannel>,
    ) -> HostedMachine {
        HostedMachine {
            card,
            channel,
            started: Clock::now(),
            heap,
            clock_ahead,
            lifeline: io::stdin().lock(),
        }
    }

    /// The line that standard input begins with: the tunnel's command line.
    ///
    /// # Errors
    /// Standard input cannot be read, or has ended.
    pub fn command_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.lifeline.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Machine for HostedMachine {
    type Nic = TapCard;

    fn nic(&mut self) -> &mut TapCard {
        &mut self.card
    }

    fn mac(&self) -> [u8; 6] {
        MAC
    }

    fn now(&self) -> Instant {
        // 584,942 years fit.
        Instant::from_micros(self.started.elapsed().as_micros() as u64)
    }

    fn wall_clock(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        now.saturating_add_signed(self.clock_ahead)
    }

    fn fill_entropy(&mut self, bytes: &mut [u8]) {
        SystemRandom::new()
            .fill(bytes)
            .expect("Linux has entropy once it is up");
    }

    fn heap_free(&self) -> usize {
        self.heap
    }

    fn flush(&mut self) {
        // Every frame, and everything for the channel, has been a system call of its own.
    }

    fn idle_until(&mut self, deadline: Option<Instant>) {
        let wait = deadline.map(|deadline| {
            let wait = deadline.saturating_duration_since(self.now());
            // Half a million years at most.
            Timespec {
                tv_sec: wait.as_secs() as i64,
                tv_nsec: wait.subsec_nanos().into(),
            }
        });
        let stdin = io::stdin();
        let mut watched = vec![
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::new(&self.card, PollFlags::IN),
        ];
        // A socket whose other end is gone would end every wait, whatever is asked of it.
        let channel = self.channel.as_ref();
        if let Some(channel) = channel.filter(|channel| !channel.interest().is_empty()) {
            watched.push(PollFd::new(channel, channel.interest()));
        }
        // A signal ends the wait early, which is allowed.
        let _ = poll(&mut watched, wait.as_ref());
        let lifeline = watched.first().map(PollFd::revents);
        if lifeline.is_some_and(|events| !events.is_empty())
            && matches!(self.lifeline.read(&mut [0; 64]), Ok(0) | Err(_))
        {
            process::exit(0);
        }
    }

    fn has_channel(&self) -> bool {
        self.channel.is_some()
    }

    fn channel_receive(&mut self, bytes: &mut [u8]) -> usize {
        let channel = self.channel.as_mut();
        channel.map_or(0, |channel| channel.receive(bytes))
    }

    fn channel_send(&mut self, bytes: &[u8]) -> usize {
        let channel = self.channel.as_mut();
        channel.map_or(0, |channel| channel.send(bytes))
    }
}
