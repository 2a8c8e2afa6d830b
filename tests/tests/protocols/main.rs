//! What is spoken around TLS, between real servers and clients of each protocol.
//!
//! Each scenario is told what serves, as the stunnel tests are. Debian's stunnel ([`reference`])
//! shows that the scenario asks for what stunnel does.

mod database;
mod directory;
mod mail;
mod news;
mod proxies;
mod socks;
mod starttls;

use stockade_tests::stunnel::subject::Kind;
use stockade_tests::vm::Machine;

/// The tunnel as a process.
const HOSTED: Kind = Kind::Hosted(env!("CARGO_BIN_EXE_stockade-hosted"));
/// The image as its users run it, on the rootless network.
const LAUNCHED: Kind = Kind::Launched(env!("CARGO_BIN_EXE_stockade-launched"));
/// The image on the smallest machine.
const BOOTED: Kind = Kind::Booted(Machine::Microvm);

/// One test per scenario and subject: `reference::mail::delivery` and so on.
macro_rules! scenarios {
    ($subject:ident $kind:expr; $($module:ident: $($scenario:ident),+;)*) => {
        mod $subject {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    crate::$module::$scenario($kind);
                })+
            })*
        }
    };
}

/// What stunnel does too.
macro_rules! as_stunnel {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            mail: server_of_curl, server_of_a_client_in_the_clear, server_of_openssl, server_of_exim, server_of_stunnel, client_of_servers, client_of_another_server;
            starttls: server_refuses_injections, client_refuses_injections, client_of_servers_without_tls;
        }
    };
}

/// What is the tunnel's own.
macro_rules! of_its_own {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            mail: client_with_credentials;
        }
    };
}

as_stunnel!(scenarios!(reference crate::Kind::Debian;));

as_stunnel!(scenarios!(hosted crate::HOSTED;));
of_its_own!(scenarios!(hosted_more crate::HOSTED;));

as_stunnel!(scenarios!(launched crate::LAUNCHED;));
of_its_own!(scenarios!(launched_more crate::LAUNCHED;));

scenarios! {
    hosted_alone crate::HOSTED;
}

scenarios! {
    booted crate::BOOTED;
    mail: server_of_curl, client_of_servers;
    starttls: server_refuses_injections;
}
