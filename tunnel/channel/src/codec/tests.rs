//! Messages as bytes, and bytes that are none.

use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::message::PROTOCOL;

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut |piece| bytes.extend_from_slice(piece));
    bytes
}

fn decoded<M: Message>(bytes: &[u8]) -> Result<M, BadMessage> {
    M::decode(Zeroizing::new(bytes.to_vec()))
}

/// What is written reads the same; every beginning of it, and it with more behind, is refused.
#[track_caller]
fn check<M: Message + PartialEq + core::fmt::Debug>(message: &M) {
    let mut bytes = encoded(message);
    assert_eq!(decoded::<M>(&bytes).as_ref(), Ok(message));
    for length in 0..bytes.len() {
        assert_eq!(decoded::<M>(&bytes[..length]), Err(BadMessage::Malformed));
    }
    bytes.push(0);
    assert_eq!(decoded::<M>(&bytes), Err(BadMessage::Malformed));
}

fn event() -> Event {
    Event {
        number: 1 << 40,
        unix_micros: 1_795_330_800_000_000,
        severity: 5,
        service: "https".into(),
        connection: "17".into(),
        kind: Kind::BackendRefused,
        text: "s_connect: connect 192.0.2.1:80: Connection refused (111)".into(),
        beyond_log: false,
        problems: Vec::new(),
    }
}

fn status() -> Status {
    let v4: SocketAddr = "192.0.2.1:443".parse().unwrap();
    let v6: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
    Status {
        uptime_ms: 1,
        revision: 2,
        sessions: 3,
        old_sessions: 4,
        half_open: 5,
        admission: 6,
        accepted_total: 7,
        failed_total: 8,
        bytes_to_clients: 9,
        bytes_to_backends: 10,
        events_lost: 11,
        heap_free: 12,
        heap_size: 13,
        services: vec![
            ServiceStatus {
                name: "https".into(),
                listening: vec![v4, v6],
                sessions: 14,
                accepted_total: 15,
                backends: vec!["one".into(), "two".into()],
            },
            ServiceStatus::default(),
        ],
        connections: vec![
            ConnectionStatus {
                service: "https".into(),
                id: "17".into(),
                age_ms: 16,
                bytes_to_tls: 17,
                bytes_to_socket: 18,
            },
            ConnectionStatus::default(),
        ],
        hosts: vec![
            HostStatus {
                name: "a.example".into(),
                not_after: Some(19),
                next: Some(20),
                trouble: Some("nobody answers".into()),
            },
            HostStatus::default(),
        ],
        hosts_total: 21,
    }
}

/// An image of protocol 1 tells no connections, and one of protocol 2 no hosts.
#[test]
fn an_older_status_is_read() {
    let mut status = status();
    let request = 5;
    (status.hosts, status.hosts_total) = (Vec::new(), 0);
    // What the last of it counts: connections, hosts, hosts in all.
    for (kind, counts) in [(STATUS_WITHOUT_HOSTS, 2), (OLD_STATUS_IS, 3)] {
        if kind == OLD_STATUS_IS {
            status.connections.clear();
        }
        let status = status.clone();
        let message = ToHost::Status { request, status };
        let mut bytes = encoded(&message);
        bytes.truncate(bytes.len() - counts * size_of::<u32>());
        bytes[0] = kind;
        assert_eq!(decoded(&bytes), Ok(message));
    }
}

#[test]
fn a_status_has_so_many_hosts_at_most() {
    let with = |count| {
        let status = Status {
            hosts: vec![HostStatus::default(); count],
            ..Status::default()
        };
        let request = 0;
        encoded(&ToHost::Status { request, status })
    };
    assert!(decoded::<ToHost>(&with(MOST_HOSTS)).is_ok());
    let more = decoded::<ToHost>(&with(MOST_HOSTS + 1));
    assert_eq!(more, Err(BadMessage::Malformed));
}

#[test]
fn a_status_has_so_many_connections_at_most() {
    let with = |count| {
        let status = Status {
            connections: vec![ConnectionStatus::default(); count],
            ..Status::default()
        };
        let request = 0;
        encoded(&ToHost::Status { request, status })
    };
    assert!(decoded::<ToHost>(&with(MOST_CONNECTIONS)).is_ok());
    let more = decoded::<ToHost>(&with(MOST_CONNECTIONS + 1));
    assert_eq!(more, Err(BadMessage::Malformed));
}

#[test]
fn every_message_to_the_host() {
    check(&ToHost::Hello {
        protocol: PROTOCOL,
        version: "0.1.0".into(),
        archive_most: 1 << 22,
    });
    check(&ToHost::Ready {
        revision: 0,
        listening: vec![Listening {
            service: "https".into(),
            address: "[::]:443".parse().unwrap(),
            backend: "10.0.2.2:80".into(),
        }],
        boot_ms: 40,
    });
    check(&ToHost::Event(event()));
    check(&ToHost::Event(Event {
        beyond_log: true,
        ..event()
    }));
    let problem = |depth, reason| CertificateProblem {
        depth,
        reason,
        subject: "CN=a.example".into(),
    };
    check(&ToHost::Event(Event {
        kind: Kind::VerificationFailed,
        problems: vec![
            problem(0, CertificateReason::Expired),
            problem(255, CertificateReason::UnknownIssuer),
        ],
        ..event()
    }));
    check(&ToHost::Lost { events: u64::MAX });
    check(&ToHost::Configured {
        revision: 1,
        result: Ok(()),
    });
    check(&ToHost::Configured {
        revision: 1,
        result: Err(vec!["line 1: ü".into(), "".into()]),
    });
    check(&ToHost::Status {
        request: 9,
        status: status(),
    });
    check(&ToHost::Stopping { status: 0x10 });
}

#[test]
fn every_message_to_the_guest() {
    check(&ToGuest::Status { request: 7 });
    check(&ToGuest::Stop { drain_ms: 30_000 });
    let configure = ToGuest::Configure {
        revision: 3,
        archive: Zeroizing::new(b"archive".to_vec()),
    };
    let bytes = encoded(&configure);
    assert_eq!(bytes, b"\x01\x03\0\0\0archive");
    assert_eq!(decoded(&bytes), Ok(configure));
    assert_eq!(decoded::<ToGuest>(&bytes[..4]), Err(BadMessage::Malformed));
}

#[test]
fn the_form_of_an_event() {
    let mut event = event();
    event.text = "x".into();
    let expect: &[&[u8]] = &[
        &[3],
        &[0, 0, 0, 0, 0, 1, 0, 0],
        &1_795_330_800_000_000u64.to_le_bytes(),
        &[5],
        b"\x05\0\0\0https",
        b"\x02\0\0\x0017",
        &[7],
        b"\x01\0\0\0x",
    ];
    assert_eq!(encoded(&ToHost::Event(event.clone())), expect.concat());
    event.problems = vec![CertificateProblem {
        depth: 1,
        reason: CertificateReason::SelfSigned,
        subject: "CN=b".into(),
    }];
    let details: &[u8] = b"\0\x01\0\0\0\x01\x02\x04\0\0\0CN=b";
    let mut expect = [expect, &[details]].concat();
    expect[0] = &[8];
    assert_eq!(encoded(&ToHost::Event(event)), expect.concat());
}

#[test]
fn unknown_messages_are_named() {
    assert_eq!(decoded::<ToGuest>(&[9]), Err(BadMessage::Unknown(9)));
    assert_eq!(decoded::<ToHost>(&[0, 1]), Err(BadMessage::Unknown(0)));
    // A kind that is new, and the rest as it was.
    let mut bytes = encoded(&ToHost::Event(event()));
    let place = bytes.iter().position(|byte| *byte == 7).unwrap();
    bytes[place] = 0xee;
    let ToHost::Event(read) = decoded(&bytes).unwrap() else {
        panic!("another message");
    };
    assert_eq!(read.kind, Kind::Line);
}

#[test]
fn texts_are_utf_8_and_lists_end() {
    let stream: &[&[u8]] = &[&[5], &[0; 4], &[1], &u32::MAX.to_le_bytes()];
    let endless = stream.concat();
    assert_eq!(decoded::<ToHost>(&endless), Err(BadMessage::Malformed));
    let texts = [&endless[..6], b"\x01\0\0\0", b"\x01\0\0\0\xff"].concat();
    assert_eq!(decoded::<ToHost>(&texts), Err(BadMessage::Malformed));
    let neither = [&endless[..5], &[2]].concat();
    assert_eq!(decoded::<ToHost>(&neither), Err(BadMessage::Malformed));
    let family = b"\x02\0\0\0\0\x01\0\0\0\0\0\0\0\x05";
    assert_eq!(decoded::<ToHost>(family), Err(BadMessage::Malformed));
}

#[test]
fn a_configuration_is_not_printed() {
    let configure = ToGuest::Configure {
        revision: 3,
        archive: Zeroizing::new(b"secret".to_vec()),
    };
    let text = alloc::format!("{configure:?}");
    assert_eq!(text, "Configure { revision: 3, bytes: 6 }");
    assert!(!BadMessage::Malformed.to_string().is_empty());
}
