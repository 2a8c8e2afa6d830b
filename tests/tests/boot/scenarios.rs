//! Which scenarios run where: each list is a macro that hands the names to another one.

/// What is asked of every machine.
macro_rules! on_every_machine {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            clients: openssl_tls_1_3, openssl_tls_1_2, curl_gets_and_posts;
            transfer: bodies_of_0_and_1_byte, bodies_around_record_boundaries,
                a_body_of_100_mb_down, a_body_of_100_mb_up, a_card_without_offloads;
            closing: the_client_ends_first, the_backend_ends_first,
                the_backend_is_down_and_comes_back;
            hostile: garbage, a_client_hello_byte_by_byte, connections_200_at_once;
        }
    };
}

/// What does not depend on the machine: one of them is enough.
macro_rules! on_one_machine {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            clients: clients_with_any_server_name_are_served, openssl_resumes_a_tls_1_3_session,
                openssl_resumes_a_tls_1_2_session;
            closing: a_close_notify_alone_ends_the_client_s_direction,
                a_fin_without_close_notify_is_passed_on_as_a_reset,
                a_reset_of_the_client_in_mid_transfer_reaches_the_backend,
                a_reset_of_a_silent_client_reaches_the_backend,
                a_reset_of_the_backend_reaches_the_client,
                a_backend_that_closes_at_once_ends_the_client_in_order,
                a_backend_that_speaks_first_is_heard, a_backend_that_does_not_answer;
            cryptography: ring_serves, rustcrypto_serves, rustcrypto_serves_rsa,
                without_the_option_ring_serves, x25519mlkem768_is_preferred_with_both_providers,
                our_client_resumes, rsa_certificates_are_served, ed25519_certificates_are_served,
                version_1_certificates_are_served, keys_are_updated_in_mid_conversation,
                every_suite_and_group_with_openssl, tls_1_1_is_refused;
            hostile: a_silent_client_is_cut_off, admission_at_the_smallest_memory,
                connections_that_end_badly_leave_room, many_connections_in_turn_leave_room,
                a_client_that_does_not_read_holds_up_nobody_else;
            transfer: both_directions_at_once, many_transfers_at_once,
                http_requests_in_turn_on_one_connection;
        }
    };
}

/// What needs frames of the test's own making: there must be a TAP device to put them on.
macro_rules! on_a_tap {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            hostile: a_syn_flood;
        }
    };
}
