//! One table of what people do with stunnel: a file, what its clients do, what is sent to it. Each row
//! is done with Debian's stunnel and then with this program, with the very same file on the same
//! ports; what clients saw, the statuses and the logs are compared.
//!
//! A row writes debug = 7, and of that everything is compared up to level 6, and of level 7 what a
//! connection's life consists of ([`lines`]).

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;
use stockade_tests::PATIENCE;
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::launcher::program::Program;
use stockade_tests::process::Finished;
use stockade_tests::stunnel::authority::{Authority, Leaf, self_signed};
use stockade_tests::stunnel::debian::Debian;
use stockade_tests::stunnel::log::written;
use stockade_tests::stunnel::ports;

use super::lines::{self, Level};
use super::{Kind, LOG, Seen};
use crate::scene::{LOOPBACK, Scene};

mod clients;
mod rows;
mod services;
mod wrong;

/// One row of the table.
pub struct Row {
    /// What it is about.
    pub name: &'static str,
    /// The file. `{A}` to `{H}` are ports of this row; for other words in braces see [`Ground`].
    pub conf: &'static str,
    /// What happens, one after the other.
    pub steps: &'static [Step],
    /// Lines that must be among those that are the same.
    pub lines: &'static [&'static str],
    /// What a client must have seen, with both.
    pub seen: &'static [&'static str],
}

/// A step that each does in its own way.
pub struct Apart {
    /// What a client does.
    pub step: Step,
    /// What Debian's log, or its client, has of it.
    pub debian: &'static str,
    /// The same of ours.
    pub ours: &'static str,
    /// Why it is so.
    pub why: &'static str,
}

/// Something that happens. A connection is over, and its last line written, before the next begins.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A plain connection that asks for five bytes.
    Plain(char),
    /// One that sends these bytes, and reads what comes.
    Says(char, &'static str),
    /// One that is opened, and says nothing until the other side ends it.
    Silent(char),
    /// One that is ended at once.
    Leaves(char),
    /// A TLS connection with an echo, which the client ends.
    Echo(char),
    /// The same, which the client ends by a reset.
    EchoThenReset(char),
    /// The same, which the client ends by FIN without close_notify.
    EchoThenFin(char),
    /// A TLS connection whose backend resets it.
    BackendResets(char),
    /// `openssl s_client` with these words, which asks for five bytes.
    Openssl(char, &'static str),
    /// A signal.
    Send(Signal),
    /// Waits for so many lines with this text.
    Wait(&'static str, usize),
    /// Another file in place of the first.
    Write(&'static str),
    /// Another file of the row's folder.
    Add(&'static str, &'static str),
    /// An open connection while this signal is sent and these lines come.
    OpenWhile(char, Signal, &'static str),
}

/// What stands around both: certificates, backends, and servers for client mode. In files:
///
/// | words | what |
/// | --- | --- |
/// | `{dir}` | the folder: `ca.pem`, `other-ca.pem`; `server`, `client`, `stranger`, `expired`, `self`, each with `.pem` and `.key`; `psk`, `other-psk` |
/// | `{backend}` | a plain server on the loopback |
/// | `{backend6}` | the same on IPv6's |
/// | `{dead}` | where nobody listens |
/// | `{full}` | who never answers |
/// | `{good}`, `{self}`, `{expired}`, `{mutual}`, `{psk}` | Debian's stunnel with such a certificate |
pub struct Ground {
    scene: Scene,
    backend6: Backend,
    dead: SocketAddr,
    full: Full,
    names: Vec<(&'static str, SocketAddr)>,
    _peer: Debian,
}

/// A listener whose backlog is full: it answers no SYN.
struct Full {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    fn new() -> Full {
        use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
        let made = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(&made, &SocketAddr::new(LOOPBACK, 0)).expect("a free port");
        listen(&made, 0).expect("a bound socket");
        let listener = TcpListener::from(made);
        let address = listener.local_addr().expect("bound above");
        // One more than the backlog waits; the next is not answered.
        let waiting = (0..1).map(|_| TcpStream::connect(address).expect("room for one"));
        Full {
            _waiting: waiting.collect(),
            listener,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("bound above")
    }
}

impl Ground {
    /// Starts what stands around.
    pub fn new() -> Ground {
        let scene = Scene::new();
        let files = &scene.place.files;
        let authority = Authority::new("Drop-in CA");
        let stranger = Authority::new("Other CA");
        let pair = |name: &str, pair: &stockade_tests::stunnel::authority::Pair| {
            files.add(&format!("{name}.pem"), &pair.certificate);
            files.add(&format!("{name}.key"), &pair.key);
            for end in ["key", "pem"] {
                private(&files.path(&format!("{name}.{end}")));
            }
        };
        files.add("ca.pem", authority.certificate());
        files.add("other-ca.pem", stranger.certificate());
        pair(
            "server",
            &authority.issue(&Leaf::named("localhost").dns("localhost")),
        );
        pair("client", &authority.issue(&Leaf::named("a client")));
        pair("stranger", &stranger.issue(&Leaf::named("a stranger")));
        pair(
            "expired",
            &authority.issue(&Leaf::named("localhost").dns("localhost").expired()),
        );
        pair(
            "self",
            &self_signed(&Leaf::named("localhost").dns("localhost")),
        );
        for (name, key) in [
            ("psk", "one:0123456789abcdef0123456789abcdef\n"),
            ("other-psk", "one:ffffffffffffffffffffffffffffffff\n"),
            ("unknown-psk", "two:0123456789abcdef0123456789abcdef\n"),
        ] {
            private(&files.add(name, key));
        }
        let words = ["good", "self", "expired", "mutual", "psk"];
        let names = words.map(|name| (name, SocketAddr::new(LOOPBACK, ports::next())));
        let mut conf = String::from("foreground = yes\nsyslog = no\ndebug = 7\npid =\n");
        for (name, address) in &names {
            let own = match *name {
                "self" => "cert = {dir}/self.pem\nkey = {dir}/self.key\n",
                "expired" => "cert = {dir}/expired.pem\nkey = {dir}/expired.key\n",
                "mutual" => {
                    "cert = {dir}/server.pem\nkey = {dir}/server.key\nCAfile = {dir}/ca.pem\n\
                     verifyChain = yes\n"
                }
                "psk" => "PSKsecrets = {dir}/psk\n",
                _ => "cert = {dir}/server.pem\nkey = {dir}/server.key\n",
            };
            let own = own.replace("{dir}", &files.folder());
            let backend = scene.backend.address();
            conf += &format!("[{name}]\naccept = {address}\nconnect = {backend}\n{own}");
        }
        let peer = Debian::start(&files.add("peer.conf", conf));
        Ground {
            backend6: Backend::start(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), Mode::Commands),
            dead: SocketAddr::new(LOOPBACK, ports::next()),
            full: Full::new(),
            names: names.to_vec(),
            _peer: peer,
            scene,
        }
    }

    /// A text with the words in braces filled in.
    fn fill(&self, text: &str, ports: &[u16]) -> String {
        let mut text = text.replace("{dir}", &self.scene.place.files.folder());
        for (letter, port) in ('A'..).zip(ports) {
            text = text.replace(&format!("{{{letter}}}"), &port.to_string());
        }
        let backend = self.scene.backend.address();
        let around = [
            ("backend", backend),
            ("backend6", self.backend6.address()),
            ("dead", self.dead),
            ("full", self.full.address()),
        ];
        for (name, address) in around.iter().chain(&self.names) {
            text = text.replace(&format!("{{{name}}}"), &written(*address));
        }
        text
    }

    /// Does a row with both; tells what differs.
    fn check(&self, row: &Row) -> Result<(), String> {
        let ports: Vec<u16> = (0..8).map(|_| ports::next()).collect();
        let [debian, ours] =
            [Kind::Debian, Kind::Ours].map(|kind| Run::of(self, row, &ports, kind));
        let mut differ = String::new();
        for (debian, ours) in debian.clients.iter().zip(&ours.clients) {
            if debian != ours {
                differ += &format!("Debian's {debian}\nours     {ours}\n");
            }
        }
        differ += &lines::difference(&debian.log, &ours.log);
        if debian.status != Some(0) || ours.status != Some(0) {
            differ += &format!("statuses {:?} and {:?}\n", debian.status, ours.status);
        }
        for line in row.lines {
            let line = lines::plain(&self.fill(line, &ports));
            if !ours.log.iter().any(|own| own.contains(&line)) {
                differ += &format!("neither has {line:?}\n");
            }
        }
        for seen in row.seen {
            if !ours.clients.iter().any(|own| own.contains(seen)) {
                differ += &format!("nobody has seen {seen:?} in {:#?}\n", ours.clients);
            }
        }
        match differ.is_empty() {
            true => Ok(()),
            false => Err(format!("{}:\n{differ}", row.name)),
        }
    }

    /// Does these rows; panics with all that differs.
    fn check_all(rows: &[Row]) {
        let ground = Ground::new();
        let differ = rows.iter().filter_map(|row| ground.check(row).err());
        let differ: Vec<String> = differ.collect();
        assert!(differ.is_empty(), "\n{}", differ.join("\n"));
    }

    /// A file that is refused: the status, and every line on the terminal.
    fn refused(&self, kind: Kind, conf: &str, ports: &[u16]) -> Seen {
        let conf = self.scene.write(&self.fill(conf, ports));
        let finished: Finished<Vec<u8>> = kind.call(&self.scene, &[&conf]);
        Seen::new(&self.scene, finished.status, &finished.stderr)
    }
}

/// Only its owner may read it.
fn private(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
}

/// One row, done with one of them.
struct Run {
    clients: Vec<String>,
    log: Vec<String>,
    status: Option<i32>,
}

impl Run {
    fn of(ground: &Ground, row: &Row, ports: &[u16], kind: Kind) -> Run {
        let scene = &ground.scene;
        let _ = fs::remove_file(scene.place.files.path(LOG));
        let _ = fs::remove_dir_all(scene.place.files.path("more"));
        let write = |conf: &str| {
            let global = "foreground = yes\nsyslog = no\npid =\ndebug = 7\n";
            scene.write(&format!("{global}{}", ground.fill(conf, ports)))
        };
        // What is there at the start.
        for step in row.steps {
            let Step::Add(name, text) = step else {
                break;
            };
            scene.place.files.add(name, ground.fill(text, ports));
        }
        let mut program = kind.start(scene, &[&write(row.conf)]);
        let mut clients = Vec::new();
        for step in row.steps {
            let before = ended(&program);
            let to = |letter: char| {
                let index = (u32::from(letter) - u32::from('A')) as usize;
                SocketAddr::new(LOOPBACK, ports[index])
            };
            let saw = clients::act(ground, *step, &to);
            if let Some(saw) = saw {
                clients.push(format!("{step:?}: {saw}"));
                wait_for_end(&program, before);
                continue;
            }
            match *step {
                Step::Send(signal) => program.signal(signal),
                Step::Wait(text, times) => {
                    wait_for_lines(&program, &ground.fill(text, ports), times);
                }
                Step::Write(conf) => drop(write(conf)),
                Step::Add(name, text) => {
                    scene.place.files.add(name, ground.fill(text, ports));
                }
                Step::OpenWhile(letter, signal, line) => {
                    let open = clients::open(ground, to(letter));
                    program.signal(signal);
                    program.log.wait_for(&ground.fill(line, ports));
                    clients.push(format!("{step:?}: {}", open.close()));
                    wait_for_end(&program, before);
                }
                _ => {}
            }
        }
        program.signal(Signal::TERM);
        let status = program.finish();
        program.expect_no_family();
        program.log.wait_for("erminated");
        Run {
            clients,
            log: lines::of_connections(&program.log.text(), Level::Debug),
            status: status.code(),
        }
    }
}

/// How many connections have had their last line.
fn ended(program: &Program) -> usize {
    program.log.count(" finished (")
}

fn wait_for_end(program: &Program, before: usize) {
    let over = || (ended(program) > before).then_some(());
    let over = stockade_tests::wait_until(PATIENCE, over);
    assert!(
        over.is_some(),
        "no connection ended: {}",
        program.log.text()
    );
}

fn wait_for_lines(program: &Program, text: &str, times: usize) {
    let there = || (program.log.count(text) >= times).then_some(());
    let there = stockade_tests::wait_until(PATIENCE, there);
    assert!(
        there.is_some(),
        "no {times} × {text:?}: {}",
        program.log.text()
    );
}

#[test]
fn servers_are_the_same() {
    Ground::check_all(services::SERVERS);
}

#[test]
fn clients_are_the_same() {
    Ground::check_all(services::CLIENTS);
}

#[test]
fn ways_to_backends_are_the_same() {
    Ground::check_all(rows::BACKENDS);
}

#[test]
fn files_and_signals_are_the_same() {
    Ground::check_all(rows::FILES);
}

/// Where both differ, they differ as it is meant.
#[test]
fn what_differs_is_known() {
    let ground = Ground::new();
    let ports: Vec<u16> = (0..8).map(|_| ports::next()).collect();
    let steps: Vec<Step> = services::APART.iter().map(|apart| apart.step).collect();
    let row = Row {
        name: "what differs",
        conf: services::APART_CONF,
        steps: Box::leak(steps.into_boxed_slice()),
        lines: &[],
        seen: &[],
    };
    for kind in [Kind::Debian, Kind::Ours] {
        let run = Run::of(&ground, &row, &ports, kind);
        for (number, apart) in services::APART.iter().enumerate() {
            let expected = match kind {
                Kind::Debian => apart.debian,
                Kind::Ours => apart.ours,
            };
            let own = format!("[{number}]: ");
            let log = run.log.iter().filter(|line| line.contains(&own));
            let mut saw = log.chain(run.clients.get(number));
            assert!(
                saw.any(|line| line.contains(expected)),
                "{kind:?} {:?} ({}): no {expected:?} in {:#?} {:?}",
                apart.step,
                apart.why,
                run.log,
                run.clients
            );
        }
    }
}

#[test]
fn wrong_files_are_refused_in_the_same_words() {
    let ground = Ground::new();
    let ports: Vec<u16> = (0..8).map(|_| ports::next()).collect();
    let _taken = TcpListener::bind((LOOPBACK, ports[7])).expect("a port of our own");
    let mut wrong = Vec::new();
    for (name, conf, line) in wrong::WRONG {
        let conf = format!("foreground = yes\nsyslog = no\npid =\n{conf}");
        let [debian, ours] =
            [Kind::Debian, Kind::Ours].map(|kind| ground.refused(kind, &conf, &ports));
        let line = ground.fill(line, &ports);
        let differ = lines::difference(&debian.terminal, &ours.terminal);
        let told = ours.terminal.iter().any(|own| own.contains(&line));
        if !differ.is_empty() || debian.status != Some(1) || ours.status != Some(1) || !told {
            let statuses = (debian.status, ours.status);
            wrong.push(format!("{name}: {statuses:?}, {line:?} {told}\n{differ}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
