//! The client with sunset's own server at the other end, without a network.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use sunset::{ChanData, ChanHandle, Event, Runner, ServEvent, Server, SignKey};

use super::*;

const HOST_SEED: [u8; 32] = [1; 32];
const USER_SEED: [u8; 32] = [2; 32];

fn host_key() -> HostKey {
    let key = SigningKey::from_bytes(&HOST_SEED);
    HostKey::from_bytes(key.verifying_key().to_bytes())
}

fn login(user_seed: [u8; 32], host_key: Option<HostKey>) -> Login {
    Login {
        user: "git".into(),
        key: LoginKey::from_seed(user_seed),
        host_key,
        command: "git-upload-pack 'a'".into(),
    }
}

/// A machine on which every command answers with what it is told, and complains.
struct Host {
    runner: Box<Runner<'static, Server>>,
    channel: Option<ChanHandle>,
    command: Option<String>,
    told: Vec<u8>,
    answered: usize,
    has_complained: bool,
}

impl Host {
    fn new() -> Host {
        Host {
            runner: Box::new(Runner::new_server_owned()),
            channel: None,
            command: None,
            told: Vec::new(),
            answered: 0,
            has_complained: false,
        }
    }

    /// Takes bytes from the network as far as it can, and gives those for it.
    fn turn(&mut self, arrived: &mut Vec<u8>) -> Vec<u8> {
        let mut departing = Vec::new();
        for _ in 0..1000 {
            let mut moved = self.event();
            moved |= self.serve();
            let bytes = self.runner.output_buf().to_vec();
            self.runner.consume_output(bytes.len());
            moved |= !bytes.is_empty();
            departing.extend(bytes);
            if !arrived.is_empty() && self.runner.is_input_ready() {
                let taken = self.runner.input(arrived).unwrap();
                arrived.drain(..taken);
                moved |= taken > 0;
            }
            if !moved {
                break;
            }
        }
        departing
    }

    fn event(&mut self) -> bool {
        let event = match self.runner.progress().unwrap() {
            Event::Serv(event) => event,
            Event::Progressed => return true,
            _ => return false,
        };
        match event {
            ServEvent::Hostkeys(request) => {
                let key = SignKey::Ed25519(SigningKey::from_bytes(&HOST_SEED));
                request.hostkeys(&[&key]).unwrap();
            }
            ServEvent::FirstAuth(mut request) => request.enable_pubkey_auth(true).unwrap(),
            ServEvent::PubkeyAuth(request) => {
                let expected = SigningKey::from_bytes(&USER_SEED)
                    .verifying_key()
                    .to_bytes();
                let is_known = match request.pubkey().unwrap() {
                    PubKey::Ed25519(key) => key.key.0 == expected,
                    _ => false,
                };
                match is_known && request.username().unwrap() == "git" {
                    true => request.allow().unwrap(),
                    false => request.reject().unwrap(),
                }
            }
            ServEvent::OpenSession(request) => self.channel = Some(request.accept().unwrap()),
            ServEvent::SessionExec(request) => {
                self.command = Some(request.command().unwrap().to_string());
                request.succeed().unwrap();
            }
            _ => {}
        }
        true
    }

    fn serve(&mut self) -> bool {
        let Some(channel) = self.channel.as_ref().filter(|_| self.command.is_some()) else {
            return false;
        };
        let mut moved = false;
        if let Some((_, _, count)) = self.runner.read_channel_ready() {
            let mut bytes = alloc::vec![0; count];
            let (read, _) = self
                .runner
                .read_channel_either(channel, &mut bytes)
                .unwrap();
            self.told.extend_from_slice(&bytes[..read]);
            moved = read > 0;
        }
        if !self.has_complained {
            let complaint = b"warning:\nnone\n";
            let kind = ChanData::Stderr;
            self.has_complained = self
                .runner
                .write_channel(channel, kind, complaint)
                .is_ok_and(|count| count > 0);
            moved |= self.has_complained;
        }
        let rest = &self.told[self.answered..];
        if let Ok(count) = self.runner.write_channel(channel, ChanData::Normal, rest) {
            self.answered += count;
            moved |= count > 0;
        }
        moved
    }
}

/// Lets both talk in pieces of this size until `ssh` fails or `done` is.
fn talk(
    ssh: &mut Ssh,
    host: &mut Host,
    size: usize,
    mut done: impl FnMut(&mut Ssh) -> bool,
) -> Result<(), SshError> {
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for _ in 0..200_000 {
        there.extend(ssh.departing());
        back.extend(host.turn(&mut there));
        let count = size.min(back.len());
        let piece: Vec<u8> = back.drain(..count).collect();
        ssh.receive(&piece)?;
        if done(ssh) {
            return Ok(());
        }
    }
    panic!("they talk for ever");
}

#[test]
fn a_command_is_told_everything_and_everything_it_says_comes() {
    let data: Vec<u8> = (0..100_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    for size in [100, 100_000] {
        let mut host = Host::new();
        let mut ssh = Ssh::new(login(USER_SEED, Some(host_key()))).unwrap();
        ssh.send(&data).unwrap();
        let mut output = Vec::new();
        talk(&mut ssh, &mut host, size, |ssh| {
            output.extend(ssh.output().unwrap());
            output.len() >= data.len()
        })
        .unwrap();
        assert!(output == data);
        assert_eq!(host.command.as_deref(), Some("git-upload-pack 'a'"));
        assert_eq!(ssh.words(), "warning: none");
        assert_eq!(ssh.receive_end(), Err(SshError::Ended), "no status yet");
    }
}

#[test]
fn another_host_s_key_is_told_and_nothing_is_said_to_it() {
    let other = HostKey::from_bytes([7; 32]);
    for trusted in [None, Some(other)] {
        let mut host = Host::new();
        let mut ssh = Ssh::new(login(USER_SEED, trusted)).unwrap();
        let refused = talk(&mut ssh, &mut host, 1000, |_| false);
        assert_eq!(refused, Err(SshError::HostKey(Some(host_key()))));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(&host_key().to_string()), "{text}");
        assert!(host.command.is_none());
    }
}

#[test]
fn a_key_that_is_not_known_lets_nobody_in() {
    let mut host = Host::new();
    let mut ssh = Ssh::new(login([9; 32], Some(host_key()))).unwrap();
    let refused = talk(&mut ssh, &mut host, 1000, |_| false);
    assert_eq!(refused, Err(SshError::Refused));
    assert!(host.command.is_none());
}

#[test]
fn what_is_not_ssh_is_refused() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut ssh = Ssh::new(login(USER_SEED, Some(host_key()))).unwrap();
        let mut refused = ssh.receive(bytes);
        for _ in 0..100 {
            refused = refused.and_then(|()| ssh.receive(&[0xff; 4096]));
        }
        assert!(
            matches!(refused, Err(SshError::Protocol(_))),
            "{refused:?}: {bytes:?}"
        );
    }
}
