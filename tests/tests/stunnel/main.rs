//! A `stunnel.conf` unchanged: the tunnel in stunnel's place, against stunnels that are still real.
//!
//! Each scenario is told what serves: the tunnel as a process ([`hosted`]), the image in a virtual
//! machine ([`booted`]), or Debian's stunnel4 ([`reference`]), which shows that the scenario asks
//! for what stunnel does.

mod options;
mod peers;
mod verification;
mod wild_web;

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

scenarios! {
    reference stockade_tests::stunnel::subject::Kind::Debian;
    peers: server_tls_1_2, server_tls_1_3, server_with_client_certificates_tls_1_2,
        server_with_client_certificates_tls_1_3, client_tls_1_2, client_tls_1_3,
        client_with_certificate_tls_1_2, client_with_certificate_tls_1_3,
        server_resumes_by_ticket_tls_1_2, server_resumes_by_session_id_tls_1_2,
        server_resumes_by_ticket_tls_1_3, client_resumes_by_ticket_tls_1_2,
        client_resumes_by_session_id_tls_1_2, client_resumes_by_ticket_tls_1_3;
    verification: of_servers, of_clients;
    wild_web: redis;
    options: endpoints, certificates, verification, negotiation, sessions, timeouts, the_rest;
}

scenarios! {
    hosted stockade_tests::stunnel::subject::Kind::Hosted(env!("CARGO_BIN_EXE_stockade-hosted"));
    peers: server_tls_1_2, server_tls_1_3, server_with_client_certificates_tls_1_2,
        server_with_client_certificates_tls_1_3, client_tls_1_2, client_tls_1_3,
        client_with_certificate_tls_1_2, client_with_certificate_tls_1_3,
        server_resumes_by_ticket_tls_1_2, server_resumes_by_session_id_tls_1_2,
        server_resumes_by_ticket_tls_1_3, client_resumes_by_ticket_tls_1_2,
        client_resumes_by_session_id_tls_1_2, client_resumes_by_ticket_tls_1_3;
    verification: of_servers, of_clients;
    wild_web: redis;
    options: endpoints, certificates, verification, negotiation, sessions, timeouts, the_rest;
}
