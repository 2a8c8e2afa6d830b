//! What is said around TLS, in every protocol that a service may have: STARTTLS, proxies' requests,
//! PROXY headers.
//!
//! One target for each protocol, all of them alike. An input is a service's configuration and a
//! conversation ([`plan`]); [`owner`] plays the session that leads a dialect through its stages.
//!
//! Checked for every input:
//! - Nothing is said to an end that isn't there, and no more than is good for it.
//! - Where a dialect waits, it has done all that it can with what is there; it doesn't wait while no
//!   end could say any more, and not without end: whoever goes on talking is refused at last.
//! - Where something was said before TLS begins, nothing waits any more from the end that begins it.
//! - How the peers' words are cut into pieces changes nothing, but for what comes too early: cut
//!   differently it may belong to TLS, but in one piece it is refused.
//! - In server mode the backend gets nothing but a good-bye or a PROXY header: nothing that a client
//!   says in the clear.
//! - No password is in what is sent in the clear, nor in an error, where the peers don't know it.
//!   To an HTTP proxy it is sent by design, encoded.
//! - A PROXY header that is sent tells a reader of ours the same addresses.

mod outgoing;
mod owner;
mod plan;
mod secured;

#[cfg(test)]
mod tests;

use stockade_tunnel::dialect::{self, Dialect, Protocol, Setup};
use stockade_tunnel::session::Mode;

use owner::{Owner, State};
use plan::Plan;

/// Steps of a conversation that is cut into small pieces, at most: long ones are cut into larger
/// pieces, as a reader of lines looks at its beginning again with every piece.
const CUTS_MOST: usize = 2048;

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident: $($protocol:ident),+;)+) => {
        $($(#[$doc])* pub fn $name(bytes: &[u8]) {
            run(&[$(Protocol::$protocol),+], bytes);
        })+
    };
}

targets! {
    /// SMTP STARTTLS on both sides, and AUTH under TLS.
    dialect_smtp: Smtp;
    /// IMAP STARTTLS on both sides.
    dialect_imap: Imap;
    /// POP3 STLS on both sides.
    dialect_pop3: Pop3;
    /// NNTP STARTTLS in client mode.
    dialect_nntp: Nntp;
    /// LDAP StartTLS in client mode.
    dialect_ldap: Ldap;
    /// PostgreSQL's SSLRequest on both sides.
    dialect_pgsql: Pgsql;
    /// HTTP CONNECT: to a proxy in client mode, as a proxy in server mode.
    dialect_connect: Connect;
    /// SOCKS inside TLS on both sides.
    dialect_socks: Socks;
}

/// PROXY headers of both versions that are sent, and read again.
pub fn dialect_proxy(bytes: &[u8]) {
    let Some(plan) = Plan::read(&[Protocol::Proxy, Protocol::Proxy2], bytes) else {
        return;
    };
    if let Some(mut ended) = converse(&plan, &begin) {
        outgoing::check(&plan, &ended);
        ended.flood();
    }
}

fn run(protocols: &[Protocol], bytes: &[u8]) {
    let Some(plan) = Plan::read(protocols, bytes) else {
        return;
    };
    if let Some(mut ended) = converse(&plan, &begin) {
        ended.flood();
    }
}

fn begin(setup: &Setup, mode: Mode) -> Option<Box<dyn Dialect>> {
    dialect::begin(setup, mode)
}

/// Makes the state machine of a connection; `None` where there is none in this mode.
type Begin<'a> = &'a dyn Fn(&Setup, Mode) -> Option<Box<dyn Dialect>>;

/// Leads a conversation twice, in the input's pieces and in small ones, and gives the first.
fn converse<'a>(plan: &'a Plan, begin: Begin<'_>) -> Option<Owner<'a>> {
    let length: usize = plan.pieces().map(<[u8]>::len).sum();
    let mut whole = Owner::new(plan, begin(&plan.setup, plan.mode)?);
    whole.lead(usize::MAX);
    let mut cut = Owner::new(plan, begin(&plan.setup, plan.mode)?);
    cut.lead(1 + length / CUTS_MOST);
    compare(&whole, &cut);
    Some(whole)
}

fn compare(whole: &Owner<'_>, cut: &Owner<'_>) {
    if whole.was_held_up || cut.was_held_up {
        // What both ends have said in the meantime may be taken in another order.
        return;
    }
    if cut.is_early {
        let State::Failed(fault) = &whole.state else {
            panic!("what came before TLS is not refused: {:?}", whole.state);
        };
        assert_eq!(fault.end, whole.secured_end(), "whose fault is it: {fault}");
        return;
    }
    match (&whole.state, &cut.state) {
        (State::Failed(one), State::Failed(other)) => {
            assert_eq!(
                (one.end, one.text),
                (other.end, other.text),
                "another fault"
            );
        }
        (one, other) => {
            assert_eq!(one, other, "it ends in another way");
            assert_eq!(whole.taken(), cut.taken(), "another part is taken");
        }
    }
    assert_eq!(whole.stage, cut.stage, "another stage");
    for (one, other) in whole.sent().into_iter().zip(cut.sent()) {
        let (one, other) = (one.escape_ascii(), other.escape_ascii());
        assert_eq!(one.to_string(), other.to_string(), "something else is sent");
    }
}
