//! Hundreds of spoilt configurations: each is refused with the line at fault, or accepted, and
//! then it serves.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use stockade_config::stunnel::{self, Accept, Configuration, Service};
use stockade_tests::backend::{Backend, Mode};
use stockade_tests::client;
use stockade_tests::pattern::Pattern;
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::disk::Disk;
use stockade_tests::stunnel::shake::Shake;
use stockade_tests::stunnel::subject::{Kind, Scene};

const COUNT: u64 = 300;

/// What is spoilt. Ports are the subject's own: it has its address to itself.
const BASES: [&str; 3] = [
    "foreground = yes\ndebug = 5\npid = /run/off.pid\nsyslog = no\n; one server\n[web]\n\
     accept = 443\nconnect = {backend}\ncert = {dir}/server.pem\nCAfile = {dir}/ca.pem\n\
     verify = 1\nsslVersionMin = TLSv1.2\nciphers = HIGH:!aNULL\nTIMEOUTclose = 0\n",
    "foreground = yes\noutput = /dev/stdout\nsocket = l:TCP_NODELAY=1\n[out]\nclient = yes\n\
     accept = 8080\nconnect = {backend}\nCAfile = {dir}/ca.pem\nverifyChain = yes\n\
     checkHost = www.example\nsni = www.example\noptions = NO_SSLv3\nsession = 300\n",
    "cert = {dir}/server.pem\nTIMEOUTidle = 60\n[main]\naccept = 443\naccept = 8443\n\
     connect = {backend}\nconnect = 127.0.0.1:9\nfailover = rr\n[name]\nsni = main:*.example\n\
     connect = {backend}\n[plain]\nclient = yes\naccept = 80\nconnect = {backend}\n",
];

/// Lines and values that stand where they should not.
const LINES: [&str; 29] = [
    "accept = 443",
    "accept = 99999",
    "accept =",
    "connect = nowhere",
    "connect = [::1]:1",
    "client = yes",
    "client = no",
    "cert = {dir}/missing.pem",
    "key = {dir}/ca.pem",
    "verifyChain = yes",
    "verifyPeer = yes",
    "verify = 4",
    "checkHost = x",
    "checkIP = x",
    "curves = X25519",
    "ciphers = NULL",
    "ciphersuites = TLS_AES_128_GCM_SHA256",
    "sslVersionMax = TLSv1.1",
    "options = NO_TLSv1_3",
    "ticketKeySecret = 00",
    "engine = dynamic",
    "protocol = smtp",
    "protocol = socks",
    "protocolHost = far.example:443",
    "protocolHeader = A",
    "alpn = h2,,x",
    "acceptProxy = yes",
    "[web]",
    "retry = yes",
];
const VALUES: [&str; 16] = [
    "yes",
    "no",
    "",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "4294967296",
    "{dir}/ca.pem",
    "{dir}",
    "TLSv1.3",
    "127.0.0.1:80",
    "*:443",
    "a b c",
    "\u{fffd}",
    "rr",
];

/// A stream of numbers from a seed.
struct Dice(Pattern);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes).expect("it is long enough");
        u32::from_le_bytes(bytes) as usize % sides
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

/// A base with one to three faults.
fn spoil(dice: &mut Dice) -> String {
    let base = dice.pick(&BASES);
    let mut lines: Vec<String> = base.lines().map(str::to_owned).collect();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(lines.len());
        match dice.roll(8) {
            0 if lines.len() > 1 => drop(lines.remove(at)),
            1 => lines.insert(at, lines[at].clone()),
            2 => {
                let other = dice.roll(lines.len());
                lines.swap(at, other);
            }
            3 => lines.insert(at, dice.pick(&LINES).to_owned()),
            4 => {
                let name = lines[at].split('=').next().unwrap_or_default();
                lines[at] = format!("{name}= {}", dice.pick(&VALUES));
            }
            5 => {
                let length = dice.roll(lines[at].chars().count() + 1);
                lines[at] = lines[at].chars().take(length).collect();
            }
            6 => {
                let mut characters: Vec<char> = lines[at].chars().collect();
                if !characters.is_empty() {
                    let place = dice.roll(characters.len());
                    characters[place] = char::from(b' ' + dice.roll(95) as u8);
                }
                lines[at] = characters.into_iter().collect();
            }
            _ => lines[at] = lines[at].to_uppercase(),
        }
    }
    lines.join("\n") + "\n"
}

/// Each of the configurations.
pub fn of_configurations(kind: Kind) {
    let scene = Scene::new(kind);
    let authority = Authority::new("Wire authority");
    let pair = authority.issue(&Leaf::named("server").dns("www.example"));
    let certificate = scene.files.add("server.pem", pair.both());
    scene.files.add("ca.pem", authority.certificate());
    let backend = Backend::start(scene.host(), Mode::Commands);
    let mut dice = Dice(Pattern::new(2024, 1 << 20));
    let (mut refused, mut served, mut failures) = (0, 0, Vec::new());
    for number in 0..COUNT {
        let conf = spoil(&mut dice)
            .replace("{dir}", &scene.files.folder())
            .replace("{backend}", &backend.address().to_string());
        let tried = catch_unwind(AssertUnwindSafe(|| try_one(&scene, &conf, &certificate)));
        match tried {
            Ok(Ok(true)) => served += 1,
            Ok(Ok(false)) => refused += 1,
            Ok(Err(fault)) => failures.push(format!("{number}: {fault}\n{conf}")),
            Err(_) => failures.push(format!("{number}: panicked\n{conf}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n----\n"));
    // Neither half of the sentence is empty.
    assert!(
        refused >= 50 && served >= 50,
        "{refused} refused, {served} served"
    );
}

/// Whether it serves; what is wrong when it neither serves nor is refused as it should be.
fn try_one(scene: &Scene, conf: &str, certificate: &str) -> Result<bool, String> {
    let mut subject = match scene.try_start(conf) {
        Ok(subject) => subject,
        Err(words) => {
            return match words.lines().any(names_a_line) {
                true => Ok(false),
                false => Err(format!("refused without a line: {words}")),
            };
        }
    };
    let path = scene.files.path("stunnel.conf");
    let configuration = stunnel::read(&path, &mut Disk).expect("it was just taken");
    for service in &configuration.services {
        if let Some(port) = port(service) {
            serves(scene.subject(port), service, &configuration, certificate)?;
        }
    }
    match subject.is_running() {
        true => Ok(true),
        false => Err(format!("it has ended: {}", subject.log())),
    }
}

/// `…stunnel.conf:N: `, N from 1.
fn names_a_line(text: &str) -> bool {
    let behind = text.split_once("stunnel.conf:").map(|(_, behind)| behind);
    let number = behind.and_then(|behind| behind.split(':').next());
    number
        .and_then(|number| number.parse().ok())
        .is_some_and(|line: u32| line > 0)
}

/// The first TCP port of a service.
fn port(service: &Service) -> Option<u16> {
    service.accept.iter().find_map(|accept| match accept {
        Accept::Tcp { port, .. } => Some(*port),
        Accept::Unix(_) | Accept::Inherited => None,
    })
}

/// A server completes a handshake; a client takes the connection.
fn serves(
    port: SocketAddr,
    service: &Service,
    configuration: &Configuration,
    certificate: &str,
) -> Result<(), String> {
    if service.client {
        // Whom it dials may not speak TLS; then the connection has been taken, and ends.
        return match client::tcp(port) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                Err(format!("[{}] {port}: {error}", service.name))
            }
            _ => Ok(()),
        };
    }
    let shake = Shake::with(port, &["-cert", certificate, "-key", certificate]);
    // Who is not who the service wants is told so, which is a handshake's answer, too.
    let is_picky = service.verify.chain || service.verify.peer;
    let answered =
        shake.version().starts_with("TLS") || (is_picky && shake.words().contains("alert"));
    match answered {
        true => Ok(()),
        false => Err(format!(
            "[{}] of {} does not shake hands: {}",
            service.name,
            configuration.services.len(),
            shake.words()
        )),
    }
}
