//! Both ends of the tunnel: the side-car beside the application, and the terminator before the
//! database.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;

use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::daemon::Daemon;
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::{PATIENCE, vm, wait_until};

use crate::mariadb::server::Database;

/// The authority's certificate, as `openssl req -x509` makes it.
const AUTHORITY: &str = include_str!("../../../fixtures/mutual/authority.pem");
/// X.509 version 1, CN only, as `openssl x509 -req` makes them on Debian 12. Kept as files because
/// newer versions of OpenSSL make version 3 instead. Valid to 2119.
const SERVER: [&str; 2] = [
    include_str!("../../../fixtures/mutual/server.pem"),
    include_str!("../../../fixtures/mutual/server.key"),
];
const CLIENT: [&str; 2] = [
    include_str!("../../../fixtures/mutual/client.pem"),
    include_str!("../../../fixtures/mutual/client.key"),
];
/// The common name in the server's certificate, under which no address is known.
const NAME: &str = "dbproxy";

/// What stands beside the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideCar {
    /// A `stunnel.conf`.
    Stunnel(Kind),
    /// Debian's socat.
    Socat,
    /// `stockade proxy`.
    Proxy(&'static str),
    /// The program under socat's name, with the words that socat is given.
    CalledSocat(&'static str),
}

/// What stands before the database and demands a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// A `stunnel.conf`.
    Stunnel(Kind),
    /// Debian's socat.
    Socat,
}

/// What stands at either end of the tunnel.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub side_car: SideCar,
    pub terminator: Terminator,
}

/// What a side-car is told.
#[derive(Clone)]
pub struct Wishes {
    /// The name that the certificate must bear.
    pub name: &'static str,
    /// The folder's files with its own certificate and key, if it has any.
    pub identity: Option<[&'static str; 2]>,
    /// The file of the authority that it trusts.
    pub authority: &'static str,
    /// After how many seconds without a byte it ends a connection.
    pub idle: u32,
}

impl Wishes {
    /// What leads to the database.
    pub const USUAL: Wishes = Wishes {
        name: NAME,
        identity: Some(["client.x509", "client.pem"]),
        authority: "ca.x509",
        idle: 50,
    };
}

/// A database, and the way to it.
pub struct Stage {
    pub database: Database,
    terminator: Terminator,
    /// The terminator's place.
    scene: Scene,
    /// Where the database serves.
    pub server: SocketAddr,
    /// Where the terminator accepts TLS.
    pub front: SocketAddr,
}

impl Stage {
    pub fn new(ends: Ends) -> Stage {
        let terminator = ends.terminator;
        let kind = match terminator {
            Terminator::Stunnel(kind) => kind,
            Terminator::Socat => Kind::Debian,
        };
        let scene = Scene::new(kind);
        write_certificates(&scene);
        Stage {
            database: Database::create(),
            terminator,
            server: SocketAddr::new(scene.host().into(), ports::next()),
            front: scene.subject(ports::next()),
            scene,
        }
    }

    /// Serves the database.
    pub fn serve(&self) -> Daemon {
        self.database.serve(self.server)
    }

    /// Starts the terminator.
    pub fn terminate(&self) -> Running {
        let path = |name: &str| self.scene.files.path(name);
        let [cert, key, authority] = ["server.x509", "server.pem", "ca.x509"].map(path);
        match self.terminator {
            // The launcher reaches what only this host has.
            Terminator::Stunnel(kind) => Running::Stunnel(self.scene.start(&format!(
                "{GLOBALS}[server]\naccept = {}:{}\nconnect = {}\ncert = {cert}\nkey = {key}\n\
                 CAfile = {authority}\nverifyChain = yes\n",
                self.front.ip(),
                self.front.port(),
                match kind {
                    Kind::Launched(_) => self.database.direct.clone(),
                    _ => format!("{}:{}", self.server.ip(), self.server.port()),
                },
            ))),
            Terminator::Socat => {
                let mut command = self.database.place.command("socat");
                command.args(["-d", "-d", "-d", "-t", "50"]);
                command.arg(format!(
                    "OPENSSL-LISTEN:{},bind={},reuseaddr,fork,certificate={cert},key={key},\
                     cafile={authority},verify=1",
                    self.front.port(),
                    self.front.ip()
                ));
                command.arg(format!("TCP:{}", self.server));
                let daemon = self.database.place.serve(&mut command, self.front.port());
                Running::Socat(daemon)
            }
        }
    }

    /// Starts a side-car.
    pub fn start(&self, side_car: SideCar, wishes: &Wishes) -> Side {
        let scene = match side_car {
            SideCar::Stunnel(kind) => Scene::new(kind),
            _ => Scene::new(Kind::Debian),
        };
        write_certificates(&scene);
        let socket = scene.files.path("mysqld.sock");
        let running = match side_car {
            SideCar::Stunnel(_) => {
                let folder = scene.files.folder();
                let identity = wishes.identity.map_or(String::new(), |[cert, key]| {
                    format!("cert = {folder}/{cert}\nkey = {folder}/{key}\n")
                });
                // To a client with a certificate socat's server resumes no session, but breaks off, as
                // it has never set a session id context (SSL_CTX_set_session_id_context(3)).
                let resume = match self.terminator {
                    Terminator::Socat => "no",
                    Terminator::Stunnel(_) => "yes",
                };
                Running::Stunnel(scene.start(&format!(
                    "{GLOBALS}[client]\nclient = yes\naccept = {socket}\nconnect = {}:{}\n{identity}\
                     CAfile = {folder}/{}\nverifyChain = yes\ncheckHost = {name}\nsni = {name}\n\
                     TIMEOUTidle = {}\nsessionResume = {resume}\n",
                    self.front.ip(),
                    self.front.port(),
                    wishes.authority,
                    wishes.idle,
                    name = wishes.name,
                )))
            }
            SideCar::Socat => {
                let mut command = self.database.place.command("socat");
                command.args(socat(&scene, &socket, self.front, wishes));
                Running::Socat(listening(&mut command))
            }
            SideCar::Proxy(program) => {
                let mut command = Command::new(program);
                command.args(proxy(&scene, &socket, self.front, wishes));
                command.args(["--accel", "tcg", "--image"]).arg(vm::image());
                // Where its control socket goes, too.
                command.env("RUNTIME_DIRECTORY", scene.files.folder());
                Running::Proxy(listening(&mut command))
            }
            SideCar::CalledSocat(program) => {
                let link = scene.files.path("socat");
                symlink(program, &link).unwrap_or_else(|error| panic!("{link}: {error}"));
                let mut command = Command::new(link);
                command.args(socat(&scene, &socket, self.front, wishes));
                let options = format!("--accel tcg --image {}", vm::image().display());
                command.env("STOCKADE_OPTIONS", options);
                // Where its control socket goes, too.
                command.env("RUNTIME_DIRECTORY", scene.files.folder());
                Running::Proxy(listening(&mut command))
            }
        };
        Side {
            socket,
            running,
            _scene: scene,
        }
    }
}

/// The words by which socat's users call it.
fn socat(scene: &Scene, socket: &str, front: SocketAddr, wishes: &Wishes) -> Vec<String> {
    let folder = scene.files.folder();
    let identity = wishes.identity.map_or(String::new(), |[cert, key]| {
        format!("certificate={folder}/{cert},key={folder}/{key},")
    });
    let idle = wishes.idle.to_string();
    let words = ["-d", "-d", "-d", "-D", "-t", "50", "-T", &idle];
    let mut words = words.map(str::to_owned).to_vec();
    words.push(format!(
        "UNIX-LISTEN:{socket},fork,user=root,group=root,mode=0660,unlink-early"
    ));
    words.push(format!(
        "OPENSSL:{front},{identity}cafile={folder}/{},verify=1,cipher=TLSv1.2,pf=ip4,commonname={}",
        wishes.authority, wishes.name
    ));
    words
}

/// The words of `stockade proxy`.
fn proxy(scene: &Scene, socket: &str, front: SocketAddr, wishes: &Wishes) -> Vec<String> {
    let folder = scene.files.folder();
    let mut words = vec!["proxy".to_owned()];
    let mut add = |name: &str, value: String| words.extend([name.to_owned(), value]);
    add(
        "--listen",
        format!("unix:{socket},mode=0660,user=root,group=root"),
    );
    add("--connect", front.to_string());
    if let Some([cert, key]) = wishes.identity {
        add("--cert", format!("{folder}/{cert}"));
        add("--key", format!("{folder}/{key}"));
    }
    add("--cafile", format!("{folder}/{}", wishes.authority));
    add("--verify", "1".to_owned());
    add("--commonname", wishes.name.to_owned());
    add("--idle", wishes.idle.to_string());
    add("--half-close", "50".to_owned());
    words.push("--ip4".to_owned());
    words
}

/// Starts one that says when it listens.
fn listening(command: &mut Command) -> Daemon {
    let mut daemon = Daemon::spawn(command);
    let listens = wait_until(PATIENCE, || {
        let listens = daemon.log.find(0, "listening on").is_some();
        (listens || !daemon.is_running()).then_some(listens)
    });
    assert_eq!(listens, Some(true), "{}", daemon.log.text());
    daemon
}

/// A side-car that serves. Ended when dropped.
pub struct Side {
    /// The application's way to the database.
    pub socket: String,
    pub running: Running,
    /// Its place, which goes with it.
    _scene: Scene,
}

/// Either end at work.
pub enum Running {
    /// With a `stunnel.conf`.
    Stunnel(Subject),
    /// Debian's socat.
    Socat(Daemon),
    /// The image, as a proxy or under socat's name.
    Proxy(Daemon),
}

/// What an end may have to say.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A connection was silent for too long.
    Idle,
    /// The server's certificate bears another name.
    OtherName,
    /// Nobody that is trusted vouches for the server's certificate.
    UnknownAuthority,
    /// The server does not take the client's certificate.
    CertificateRefused,
    /// The server demands a certificate.
    CertificateRequired,
    /// Nobody listens where the server should be.
    Refused,
}

impl Event {
    /// Stunnel's words, and ours.
    fn of_stunnel(self) -> &'static str {
        match self {
            Event::Idle => "TIMEOUTidle exceeded",
            Event::OtherName => "CERT: Subject checks failed",
            Event::UnknownAuthority => "certificate verify failed",
            Event::CertificateRefused => "alert unknown ca",
            Event::CertificateRequired => "alert certificate required",
            Event::Refused => "Connection refused (111)",
        }
    }

    /// Socat's, if it has any: in TLS 1.3 a server judges the client when that takes itself for
    /// connected, and socat keeps silent about it.
    fn of_socat(self) -> Option<&'static str> {
        match self {
            Event::Idle => Some("inactivity timeout triggered"),
            Event::OtherName => Some("commonName does not match hostname"),
            Event::UnknownAuthority => Some("certificate verify failed"),
            Event::CertificateRefused | Event::CertificateRequired => None,
            Event::Refused => Some("Connection refused"),
        }
    }
}

impl Running {
    /// How many lines it has said.
    pub fn lines(&self) -> usize {
        match self {
            Running::Stunnel(subject) => subject.lines(),
            Running::Socat(daemon) | Running::Proxy(daemon) => daemon.log.len(),
        }
    }

    /// Waits for a line from number `from` on that tells of this, if there is to be one.
    pub fn wait_for_after(&self, from: usize, event: Event) {
        match self {
            Running::Stunnel(subject) => {
                subject.wait_for_after(from, event.of_stunnel());
            }
            Running::Proxy(daemon) => {
                daemon.log.wait_for_after(from, event.of_stunnel());
            }
            Running::Socat(daemon) => {
                let words = event.of_socat();
                words.map(|words| daemon.log.wait_for_after(from, words));
            }
        }
    }

    /// How many lines tell of this.
    pub fn count(&self, event: Event) -> usize {
        match self {
            Running::Stunnel(subject) => subject.count(event.of_stunnel()),
            Running::Proxy(daemon) => daemon.log.count(event.of_stunnel()),
            Running::Socat(daemon) => {
                let words = event.of_socat();
                words.map_or(0, |words| daemon.log.count(words))
            }
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        match self {
            Running::Stunnel(subject) => subject.is_running(),
            Running::Socat(daemon) | Running::Proxy(daemon) => daemon.is_running(),
        }
    }
}

/// Everybody's certificates, under names that users give them.
fn write_certificates(scene: &Scene) {
    let stranger = Authority::new("Nobody's authority");
    let pair = stranger.issue(&Leaf::named("db_client"));
    for (name, contents) in [
        ("ca.x509", AUTHORITY),
        ("server.x509", SERVER[0]),
        ("server.pem", SERVER[1]),
        ("client.x509", CLIENT[0]),
        ("client.pem", CLIENT[1]),
        ("stranger-ca.x509", &stranger.certificate()),
        ("stranger.x509", &pair.certificate),
        ("stranger.pem", &pair.key),
    ] {
        scene.files.add(name, contents);
    }
}
