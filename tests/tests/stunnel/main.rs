//! A `stunnel.conf` unchanged: the tunnel in stunnel's place, against stunnels that are still real.
//!
//! Each scenario is told what serves: the tunnel as a process ([`hosted`]), the image in a virtual
//! machine ([`booted`]), the same run by the program on the rootless network ([`launched`]), or Debian's stunnel4 ([`reference`]), which shows that the scenario asks
//! for what stunnel does.

mod fixtures;
mod mutations;
#[path = "../boot/name_server.rs"]
mod name_server;
mod ocsp;
mod options;
mod peers;
mod psk;
mod refusals;
mod services;
mod unix;
mod verification;
mod wild_web;

use stockade_tests::stunnel::subject::Kind;
use stockade_tests::vm::Machine;

/// The tunnel as a process.
const HOSTED: Kind = Kind::Hosted(env!("CARGO_BIN_EXE_stockade-hosted"));
/// The image as its users run it, on the rootless network.
const LAUNCHED: Kind = Kind::Launched(env!("CARGO_BIN_EXE_stockade-launched"));
/// The image on the smallest machine.
const BOOTED: Kind = Kind::Booted(Machine::Microvm);

/// One test per scenario and subject: `reference::peers::client_tls_1_2` and so on.
macro_rules! scenarios {
    ($subject:ident $kind:expr; $($module:ident: $($scenario:ident),+;)+) => {
        mod $subject {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    crate::$module::$scenario($kind);
                })+
            })+
        }
    };
}

/// What stunnel does too.
macro_rules! as_stunnel {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            peers: server_tls_1_2, server_tls_1_3, server_with_client_certificates_tls_1_2,
                server_with_client_certificates_tls_1_3, client_tls_1_2, client_tls_1_3,
                client_with_certificate_tls_1_2, client_with_certificate_tls_1_3,
                server_resumes_by_ticket_tls_1_2, server_resumes_by_session_id_tls_1_2,
                server_resumes_by_ticket_tls_1_3, client_resumes_by_ticket_tls_1_2,
                client_resumes_by_session_id_tls_1_2, client_resumes_by_ticket_tls_1_3;
            verification: of_servers, of_clients;
            ocsp: of_servers, of_clients, revoked_clients_are_redirected;
            services: of_both_sides, virtual_by_name, failover_by_priority,
                resumed_sessions_keep_their_backend, redirection_is_kept_with_the_session,
                the_log_at_start;
            refusals: in_stunnel_s_words;
            fixtures: xapi_pinned, xapi_named, efs, docker, off;
            wild_web: redis;
            psk: server, client, both, in_turn, keys_that_do_not_fit, files_of_keys;
            options: endpoints, certificates, verification, negotiation, sessions, timeouts,
                the_rest;
        }
    };
}

/// What is the tunnel's own.
macro_rules! of_its_own {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            services: delayed_names, syslog;
            ocsp: of_servers_in_doubt, of_clients_in_doubt, answers_are_shared, stapled,
                staples_are_heeded;
            psk: beside_a_certificate, old_peers;
        }
    };
}

as_stunnel!(scenarios!(reference crate::Kind::Debian;));

as_stunnel!(scenarios!(hosted crate::HOSTED;));
of_its_own!(scenarios!(hosted_more crate::HOSTED;));

as_stunnel!(scenarios!(launched crate::LAUNCHED;));
of_its_own!(scenarios!(launched_more crate::LAUNCHED;));

// Without a launcher there is nothing of the host's.
scenarios! {
    reference_paths crate::Kind::Debian;
    unix: paths_and_free_ports;
}
scenarios! {
    launched_paths crate::LAUNCHED;
    unix: paths_and_free_ports;
}

scenarios! {
    hosted_alone crate::HOSTED;
    mutations: of_configurations;
}

scenarios! {
    booted crate::BOOTED;
    peers: server_with_client_certificates_tls_1_3, client_with_certificate_tls_1_3,
        server_resumes_by_session_id_tls_1_2, client_resumes_by_ticket_tls_1_3;
    services: virtual_by_name, the_log_at_start;
    wild_web: redis;
    psk: server, client;
}
