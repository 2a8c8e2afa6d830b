//! Clients that show certificates, or none, and where they get.

use tls::{ClientAuth, ClientVerify, NameCheck, PathOptions};

use super::*;

/// A service that knows one client's certificate, and that client.
fn guarded(redirect: Option<u16>) -> (Service, Client) {
    let (chain, key) = certificate("client");
    let verify = ClientVerify::Path {
        roots: vec![chain.as_bytes().to_vec()],
        options: PathOptions {
            names: NameCheck::Nobody,
            ..PathOptions::default()
        },
    };
    let mut service = service("tls", &[443], &[80]);
    service.redirect = redirect.map(|port| backend(&[port], Failover::Priority));
    service.tls = Tls::Server(
        tls::Server::new(ServerOptions {
            client_auth: match redirect {
                Some(_) => ClientAuth::Note(verify),
                None => ClientAuth::Require(verify),
            },
            ..server_options("tls")
        })
        .unwrap(),
    );
    let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes(), tls::Provider::Ring);
    let client = Client::new(ClientOptions {
        identity: Some(identity.unwrap()),
        ..client_options()
    });
    (service, client.unwrap())
}

fn stranger() -> Client {
    Client::new(ClientOptions {
        identity: Some(identity("stranger")),
        ..client_options()
    })
    .unwrap()
}

fn serve(world: &mut World, client: &Client) -> usize {
    let connection = client.connect(Some("localhost")).unwrap();
    let customer = world.connect_with(443, Some(connection), b"hello");
    world.run(60);
    customer
}

#[test]
fn only_the_known_client_reaches_the_backend() {
    let (service, known) = guarded(None);
    let mut world = world_of(10, vec![service]).with_backends(&[80]);
    world.run(5);
    let nobody = Client::new(client_options()).unwrap();
    for client in [&stranger(), &nobody] {
        let customer = serve(&mut world, client);
        assert!(world.customers[customer].failure.is_some());
        assert!(world.dialled().is_empty());
    }
    let customer = serve(&mut world, &known);
    assert_eq!(world.customers[customer].received, b"hello");
    assert_eq!(world.dialled(), [80]);
}

#[test]
fn a_client_that_fails_goes_to_the_other_backend_and_so_does_its_resumed_session() {
    let (service, known) = guarded(Some(81));
    let mut world = world_of(20, vec![service]).with_backends(&[80, 81]);
    world.run(5);
    let nobody = Client::new(client_options()).unwrap();
    for (client, port) in [(&stranger(), 81), (&nobody, 81), (&known, 80)] {
        for resumed in [false, true] {
            let customer = serve(&mut world, client);
            let party = &world.customers[customer];
            assert_eq!(party.received, b"hello");
            let handshake = party.connection.as_ref().unwrap().handshake();
            assert_eq!(handshake.unwrap().resumed, resumed);
            assert_eq!(world.dialled().last(), Some(&port));
        }
    }
    assert_eq!(world.dialled(), [81, 81, 81, 81, 80, 80]);
}

#[test]
fn a_client_that_fails_is_not_led_where_it_wants() {
    let (mut service, known) = guarded(Some(81));
    service.dialect = Some(around::setup(crate::dialect::Protocol::Socks));
    let mut world = world_of(20, vec![service]).with_backends(&[80, 81]);
    world.run(5);
    // SOCKS 4 for 10.9.0.1, port 80, and data behind it.
    let request = b"\x04\x01\x00\x50\x0a\x09\x00\x01\x00hello";
    for (client, port) in [(&stranger(), 81), (&known, 80)] {
        let connection = client.connect(Some("localhost")).unwrap();
        let customer = world.connect_with(443, Some(connection), request);
        world.run(80);
        assert_eq!(world.dialled().last(), Some(&port));
        assert!(world.customers[customer].received.ends_with(b"hello"));
    }
}
