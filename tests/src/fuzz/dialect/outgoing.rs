//! What a PROXY header that is sent tells its reader.

use stockade_tunnel::dialect::proxy::incoming::read;
use stockade_tunnel::dialect::{End, Wire};

use super::owner::{Owner, State};
use super::plan::{BACKEND, Plan};

/// Checked: the header is all that the backend gets, and tells of the plan's addresses; of none
/// where they are of two families, or of one that holds both.
pub fn check(plan: &Plan, ended: &Owner<'_>) {
    assert!(!matches!(ended.state, State::Failed(_)), "nobody is asked");
    if ended.state != State::Relaying {
        return;
    }
    let header = ended.sent()[BACKEND];
    let mut output = Vec::new();
    let mut wire = Wire::new(End::Client, header, false, &mut output);
    let told = read(&mut wire).expect("a sound header");
    let told = told.expect("a whole header");
    assert!(wire.rest().is_empty(), "something follows the header");
    let is_mixed = plan.client.is_ipv4() != plan.local.is_ipv4();
    match told.source {
        Some((client, local)) => {
            let same = |one: std::net::SocketAddr, other: std::net::SocketAddr| {
                (one.ip().to_canonical(), one.port()) == (other.ip().to_canonical(), other.port())
            };
            assert!(same(client, plan.client), "{client}, not {}", plan.client);
            assert!(same(local, plan.local), "{local}, not {}", plan.local);
            if !is_mixed {
                assert_eq!((client, local), (plan.client, plan.local));
            }
        }
        None => assert!(is_mixed, "it tells nothing"),
    }
}
