//! Established TLS connections for dialects to look at, made once for the whole run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use stockade_tls::{
    Client, ClientAuth, ClientOptions, ClientVerify, Connection, Identity, Provider, Server,
    ServerOptions, VerifyMode, WallClock,
};
use stockade_tunnel::session::Mode;

/// Unix seconds of 2026-01-01, within the validity of the committed certificates.
const NOW: u64 = 1_767_225_600;
/// Flights of a handshake at most.
const FLIGHTS_MOST: usize = 8;

thread_local! {
    static ENDS: RefCell<BTreeMap<&'static str, [Connection; 2]>> = const { RefCell::new(BTreeMap::new()) };
}

/// Lends the server's end, or the client's, of a connection with a name, an application protocol
/// and certificates on both sides.
pub fn with<R>(mode: Mode, alpn: &'static str, look: impl FnOnce(&Connection) -> R) -> R {
    ENDS.with_borrow_mut(|ends| {
        let [server, client] = ends.entry(alpn).or_insert_with(|| connect(alpn));
        look(match mode {
            Mode::Server => server,
            Mode::Client => client,
        })
    })
}

fn connect(alpn: &str) -> [Connection; 2] {
    let identity = Identity::from_pem(
        include_bytes!("../../../fixtures/version-1.pem"),
        include_bytes!("../../../fixtures/version-1.key"),
        Provider::Ring,
    )
    .expect("a sound certificate");
    let alpn = vec![alpn.as_bytes().to_vec()];
    let clock = WallClock::new(NOW);
    let server = Server::new(ServerOptions {
        alpn: alpn.clone(),
        client_auth: ClientAuth::Request(ClientVerify::Any),
        ..ServerOptions::new(identity.clone(), clock.clone())
    })
    .expect("sound options");
    let client = Client::new(ClientOptions {
        alpn,
        identity: Some(identity),
        verify: VerifyMode::None,
        ..ClientOptions::new(Vec::new(), clock)
    })
    .expect("sound options");
    let mut ends = [
        server.accept().expect("a connection"),
        client.connect(Some("localhost")).expect("a connection"),
    ];
    for flight in 0..FLIGHTS_MOST {
        let from = (flight + 1) % 2;
        let mut bytes = vec![0; ends[from].pending_output()];
        let length = ends[from].transmit(&mut bytes);
        bytes.truncate(length);
        ends[1 - from]
            .receive(&mut bytes, usize::MAX, &mut |_| {})
            .expect("a good handshake");
    }
    assert!(ends.iter().all(|end| !end.is_handshaking()));
    ends
}
