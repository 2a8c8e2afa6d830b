//! What most scenarios of proxies have in common: certificates, a TLS client that trusts them, and
//! an ear at the backend's place.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use stockade_tests::client::{self, TlsStream};
use stockade_tests::stunnel::authority::{Authority, Leaf};
use stockade_tests::stunnel::debian::GLOBALS;
use stockade_tests::stunnel::subject::{Kind, Scene, Subject};
use stockade_tests::tap::Tap;
use stockade_tests::{PATIENCE, namespace, wait_until};
use stockade_tls::{ClientOptions, Identity, Provider, WallClock};

/// What clients say in these scenarios once they may.
pub const WORDS: &[u8] = b"words of the client";

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// A scene with the certificates `ca.pem`, `server.pem` (for `localhost`) and `client.pem`.
pub struct Setting {
    pub scene: Scene,
    pub authority: Authority,
    client: String,
}

impl Setting {
    pub fn new(kind: Kind) -> Setting {
        let scene = Scene::new(kind);
        let scene = match kind {
            Kind::Hosted(_) | Kind::Booted(_) => {
                let address = format!("--ipv6={}/{}", scene.tap.guest_v6(), Tap::PREFIX_V6);
                scene.option(address)
            }
            Kind::Debian | Kind::Launched(_) => scene,
        };
        let authority = Authority::new("Authority of the scene");
        let server = authority.issue(
            &Leaf::named("server")
                .dns("localhost")
                .address(scene.subject(0).ip())
                .address(scene.host().into()),
        );
        let client = authority.issue(&Leaf::named("client")).both();
        scene.files.add("ca.pem", authority.certificate());
        scene.files.add("server.pem", server.both());
        scene.files.add("client.pem", &client);
        Setting {
            scene,
            authority,
            client,
        }
    }

    /// With one more option on the command line of a tunnel or image.
    pub fn option(mut self, option: String) -> Setting {
        self.scene = self.scene.option(option);
        self
    }

    /// Starts the subject with these sections; `{dir}` is the folder of its files.
    pub fn start(&self, sections: &str) -> Subject {
        let sections = sections.replace("{dir}", &self.scene.files.folder());
        self.scene.start(&format!("{GLOBALS}{sections}"))
    }

    /// Where backends and peers listen.
    pub fn host(&self) -> IpAddr {
        self.scene.host().into()
    }

    /// Where the subject is reached.
    pub fn subject(&self, family: Family, port: u16) -> SocketAddr {
        let ipv4 = self.scene.subject(port);
        match family {
            Family::Ipv4 => ipv4,
            Family::Ipv6 if ipv4.ip() == self.host() => (self.scene.tap.host_v6(), port).into(),
            Family::Ipv6 => (self.scene.tap.guest_v6(), port).into(),
        }
    }

    /// Whether clients reach the subject at an address of its own, which it then knows.
    pub fn knows_its_address(&self) -> bool {
        !matches!(self.scene.kind, Kind::Launched(_))
    }

    /// The options of a client that verifies chain and name.
    pub fn options(&self) -> ClientOptions {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = WallClock::new(now.map_or(0, |time| time.as_secs()));
        ClientOptions::new(vec![self.authority.certificate().into_bytes()], clock)
    }

    /// The same with a certificate.
    pub fn options_with_certificate(&self) -> ClientOptions {
        let pem = self.client.as_bytes();
        let identity = Identity::from_pem(pem, pem, Provider::Ring);
        ClientOptions {
            identity: Some(identity.unwrap_or_else(|error| panic!("{error}"))),
            ..self.options()
        }
    }

    /// A connection of such a client, its handshake complete.
    pub fn connect(&self, server: SocketAddr, options: ClientOptions) -> TlsStream {
        let client = client::build(options);
        TlsStream::connect(server, &client).unwrap_or_else(|error| panic!("{server}: {error}"))
    }
}

/// A TCP port that listens to who connects, and says nothing.
pub struct Ear {
    listener: TcpListener,
}

impl Ear {
    pub fn listen(host: IpAddr) -> Ear {
        namespace::require();
        let listener = TcpListener::bind((host, 0)).unwrap_or_else(|error| panic!("{error}"));
        listener.set_nonblocking(true).expect("an open socket");
        Ear { listener }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// The next connection.
    pub fn accept(&self) -> TcpStream {
        let accepted = wait_until(PATIENCE, || self.listener.accept().ok());
        let (stream, _) = accepted.expect("somebody connects");
        stream.set_nonblocking(false).expect("an open socket");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("an open socket");
        stream.set_write_timeout(patience).expect("an open socket");
        stream
    }

    /// All that the next connection brings up to [`WORDS`]; then ends it.
    pub fn hear(&self) -> Vec<u8> {
        let mut stream = self.accept();
        let mut heard = Vec::new();
        while !heard.ends_with(WORDS) {
            let mut byte = [0];
            let read = stream.read_exact(&mut byte);
            read.unwrap_or_else(|error| panic!("{error} behind {}", heard.escape_ascii()));
            heard.extend(byte);
        }
        heard
    }

    /// Whether nobody has connected.
    pub fn has_heard_nothing(&self) -> bool {
        self.listener.accept().is_err()
    }
}

/// Says [`WORDS`].
pub fn say(stream: &mut TlsStream) {
    stream.write_all(WORDS).expect("the words are taken");
}
