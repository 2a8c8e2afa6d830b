//! The management channel of a tunnel that is a Linux process: a socket instead of a console.

use base64ct::{Base64, Encoding};
use stockade_channel::{ToGuest, ToHost};
use stockade_host::Channel;
use stockade_tests::PATIENCE;
use stockade_tests::certificates::Identity;
use stockade_tests::hosted::guest::Guest;
use stockade_tests::hosted::{MEMORY_MIB, Options};
use stockade_tests::tap::Tap;

#[test]
fn a_tunnel_answers_over_its_channel_and_ends_when_told() {
    let tap = Tap::create();
    let options = Options {
        tap: tap.name().to_owned(),
        memory_mib: MEMORY_MIB,
        offload: true,
        clock_ahead: 0,
    };
    let identity = Identity::ecdsa();
    let base64 = |text: &str| Base64::encode_string(text.as_bytes());
    let line = format!(
        "--ipv4={}/{} --connect={}:80 --cert=base64:{} --key=base64:{}",
        tap.guest(),
        Tap::PREFIX,
        tap.host(),
        base64(&identity.chain),
        base64(&identity.key),
    );
    let program = env!("CARGO_BIN_EXE_stockade-hosted");
    let (mut guest, socket) = Guest::start_managed(program, &options, None, &line);
    let mut channel = Channel::new(socket).expect("any socket can be made non-blocking");
    let mut find = |wanted: fn(&ToHost) -> bool, answer: Option<ToGuest>| {
        let found = std::iter::from_fn(|| channel.next_message(PATIENCE))
            .any(|message| wanted(&message.expect("the tunnel sends what it should")));
        assert!(found, "the message does not come: {}", guest.log());
        if let Some(answer) = answer {
            channel.send(&answer).expect("there is room");
        }
    };
    let ask = ToGuest::Status { request: 3 };
    let stop = ToGuest::Stop { drain_ms: 0 };
    find(|message| matches!(message, ToHost::Hello { .. }), Some(ask));
    find(
        |message| matches!(message, ToHost::Status { request: 3, .. }),
        Some(stop),
    );
    find(|message| matches!(message, ToHost::Stopping { .. }), None);
    // The last word waits to be acknowledged.
    channel.pump(&mut Vec::new());
    assert!(guest.wait_for_end().success(), "{}", guest.log());
}
