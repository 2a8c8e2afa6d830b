//! Answers to the guest's questions.

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};

use simple_dns::Name;

use super::*;

const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// What a host knows that has name servers.
fn host(name: &str, family: Family) -> Result<Vec<IpAddr>, Failure> {
    match (name, family) {
        ("both", Family::Any) => Ok(vec![SIX, FOUR]),
        ("both" | "four", Family::Ipv4) | ("four", Family::Any) => Ok(vec![FOUR]),
        ("six", Family::Any) => Ok(vec![SIX]),
        ("own", Family::Ipv4) => Ok(vec![Ipv4Addr::new(127, 0, 1, 1).into()]),
        ("own", Family::Any) => Ok(vec![Ipv6Addr::LOCALHOST.into()]),
        // As a name of /etc/hosts when no name server can be reached.
        ("six" | "down", _) => Err(Failure::Later),
        ("many", _) => Ok((1..=200)
            .map(|last| Ipv4Addr::new(192, 0, 2, last).into())
            .collect()),
        _ => Err(Failure::Unknown),
    }
}

fn question(name: &str, qtype: QTYPE) -> Vec<u8> {
    let mut query = Packet::new_query(0x1234);
    query.set_flags(PacketFlag::RECURSION_DESIRED);
    let class = QCLASS::CLASS(CLASS::IN);
    let name = Name::new(name).unwrap();
    query
        .questions
        .push(Question::new(name, qtype, class, false));
    query.build_bytes_vec().unwrap()
}

/// The answer's code and addresses, in words.
fn check(name: &str, qtype: TYPE, expected: &str) {
    check_among(Families::Both, name, qtype, expected);
}

/// The same where the guest is to have these addresses alone.
fn check_among(families: Families, name: &str, qtype: TYPE, expected: &str) {
    let bytes = answer(&question(name, QTYPE::TYPE(qtype)), families, host).unwrap();
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.id(), 0x1234);
    assert!(reply.has_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_AVAILABLE));
    assert!(reply.has_flags(PacketFlag::RECURSION_DESIRED));
    assert_eq!(reply.questions.len(), 1);
    assert_eq!(reply.questions[0].qname.to_string(), name);
    let mut shown = format!("{:?}", reply.rcode());
    for record in &reply.answers {
        assert_eq!((record.name.to_string().as_str(), record.ttl), (name, TTL));
        shown += &match &record.rdata {
            RData::A(a) => format!(" {}", Ipv4Addr::from(a.address)),
            RData::AAAA(aaaa) => format!(" {}", Ipv6Addr::from(aaaa.address)),
            other => format!(" {other:?}"),
        };
    }
    assert_eq!(shown, expected, "{name} {qtype:?}");
}

#[test]
fn each_question_gets_the_addresses_of_its_family() {
    check("both", TYPE::A, "NoError 192.0.2.1");
    check("both", TYPE::AAAA, "NoError 2001:db8::1");
}

/// A name is asked for by both families; what is left out is no error, so that the other counts.
#[test]
fn families_can_be_left_out() {
    check_among(Families::Ipv4, "both", TYPE::A, "NoError 192.0.2.1");
    check_among(Families::Ipv4, "both", TYPE::AAAA, "NoError");
    check_among(Families::Ipv6, "both", TYPE::A, "NoError");
    check_among(Families::Ipv6, "both", TYPE::AAAA, "NoError 2001:db8::1");
    check_among(Families::Ipv4, "nobody", TYPE::A, "NameError");
}

#[test]
fn the_loopback_is_the_gateway() {
    check("own", TYPE::A, "NoError 10.0.2.2");
    check("own", TYPE::AAAA, "NoError fd00:5374:6f63:6b61::2");
}

#[test]
fn a_name_with_the_other_family_alone_is_known_all_the_same() {
    check("four", TYPE::AAAA, "NoError");
    check("six", TYPE::A, "NoError");
    check("six", TYPE::AAAA, "NoError 2001:db8::1");
}

#[test]
fn an_unknown_name_and_one_that_can_t_be_told_differ() {
    for qtype in [TYPE::A, TYPE::AAAA] {
        check("nobody.example", qtype, "NameError");
        check("down", qtype, "ServerFailure");
    }
}

#[test]
fn other_questions_are_not_implemented() {
    check("both", TYPE::MX, "NotImplemented");
    let bytes = answer(&question("both", QTYPE::ANY), Families::Both, host).unwrap();
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.rcode(), RCODE::NotImplemented);
}

#[test]
fn answers_are_cut_to_what_a_datagram_may_hold() {
    let bytes = answer(
        &question("many", QTYPE::TYPE(TYPE::A)),
        Families::Both,
        host,
    )
    .unwrap();
    assert!(bytes.len() <= LONGEST_ANSWER);
    assert!(Packet::parse(&bytes).unwrap().answers.len() > 20);
}

#[test]
fn what_is_no_question_is_not_answered() {
    let mut reply = question("both", QTYPE::TYPE(TYPE::A));
    reply[2] |= 0x80;
    for bytes in [&b""[..], &[0; 11], &[0xff; 64], &reply] {
        assert_eq!(answer(bytes, Families::Both, host), None, "{bytes:x?}");
    }
}

#[test]
fn no_spoiled_question_panics() {
    let good = question("a.name.of.several.labels", QTYPE::TYPE(TYPE::A));
    let asked = RefCell::new(0);
    let count = |_: &str, _: Family| {
        *asked.borrow_mut() += 1;
        Err(Failure::Unknown)
    };
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut spoiled = good.clone();
            spoiled[at] ^= 1 << bit;
            let _ = answer(&spoiled, Families::Both, count);
        }
        let _ = answer(&good[..at], Families::Both, count);
    }
    assert!(asked.into_inner() > 0);
}

#[test]
fn this_host_knows_its_own_loopback() {
    // RFC 6761 §6.3: whatever the host's sources are.
    let found = look_up("localhost", Family::Ipv4).unwrap();
    assert_eq!(found, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let resolver = &mut Resolver::new(Arc::new(wake::new().unwrap()));
    let payload = question("localhost", QTYPE::TYPE(TYPE::A));
    let datagram = Datagram {
        from: "10.0.2.15:49152".parse().unwrap(),
        to: "10.0.2.3:53".parse().unwrap(),
        payload,
    };
    resolver.ask(7, datagram);
    let answer = resolver.answers.1.recv().unwrap();
    assert_eq!(
        (answer.plug, answer.to.port(), answer.from.port()),
        (7, 49152, 53)
    );
    let reply = Packet::parse(&answer.payload).unwrap();
    let expected = RData::A(A::from(GATEWAY_IPV4));
    assert_eq!(reply.answers[0].rdata, expected);
}
