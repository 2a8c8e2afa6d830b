//! Networks apart from the tests' own one: more namespaces, and the link between two of them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::tap::Tap;
use crate::{namespace, process};

/// A network namespace with nothing but its loopback interface, which routes what comes to it.
/// Goes when dropped, and with it all its interfaces.
pub struct Segment {
    holder: Child,
    /// The holder ends with this.
    _lifeline: ChildStdin,
    file: File,
}

impl Segment {
    /// A new namespace below the tests' own one.
    pub fn create() -> Segment {
        namespace::require();
        let mut holder = Command::new("unshare")
            .args(["--net", "--", "sh", "-c"])
            .arg("ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward && echo up && exec cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start unshare: {error}"));
        let lifeline = holder.stdin.take().expect("piped above");
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("piped above"));
        output.read_line(&mut line).expect("sh speaks UTF-8");
        assert_eq!(line, "up\n", "a network namespace cannot be made");
        let path = format!("/proc/{}/ns/net", holder.id());
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Segment {
            holder,
            _lifeline: lifeline,
            file,
        }
    }

    /// Runs `work` in this namespace: what it starts, opens and binds belongs there for good.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                // Of this thread alone, which ends here (setns(2)).
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
                    .unwrap_or_else(|error| panic!("setns: {error}"));
                work()
            });
            match worker.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs `ip` in this namespace.
    pub fn ip(&self, words: &str) {
        self.within(|| process::must(Command::new("ip").args(words.split(' '))));
    }

    /// Takes a TAP device out of the tests' own namespace, with its host end's address. Who has it
    /// open keeps it: a virtual machine stays where it was started, its cable is laid here.
    pub fn adopt(&self, tap: &Tap) {
        let (name, holder) = (tap.name(), self.holder.id().to_string());
        process::must(Command::new("ip").args(["link", "set", name, "netns", &holder]));
        self.ip(&format!(
            "addr add {}/{} dev {name}",
            tap.host(),
            Tap::PREFIX
        ));
        self.ip(&format!("link set {name} up"));
    }

    /// Lays a link to `other`: an interface `name` at each end, with these addresses and prefixes.
    pub fn link(&self, other: &Segment, name: &str, own: &str, others: &str) {
        let far = other.holder.id();
        self.ip(&format!(
            "link add {name} type veth peer name {name} netns {far}"
        ));
        for (segment, address) in [(self, own), (other, others)] {
            segment.ip(&format!("addr add {address} dev {name}"));
            segment.ip(&format!("link set {name} up"));
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
