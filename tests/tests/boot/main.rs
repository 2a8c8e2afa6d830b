//! Boots the image and holds conversations with it.
//!
//! Every test has a machine, a link and a backend of its own. Those in [`table`] run on every
//! machine, the others on the microvm alone: what they ask does not depend on the machine.

mod channel;
mod clients;
mod closing;
mod configuration;
mod cryptography;
mod hostile;
mod machine;
mod name_server;
mod plain_qemu;
mod setup;
mod transfer;

/// One test per scenario and machine: `microvm::clients::curl_gets_and_posts` and so on.
macro_rules! table {
    ($($module:ident: $($scenario:ident),+;)+) => {
        table!(@machine microvm Microvm $($module: $($scenario),+;)+);
        table!(@machine q35 Q35 $($module: $($scenario),+;)+);
        table!(@machine q35_qboot Q35Qboot $($module: $($scenario),+;)+);
        table!(@machine pc Pc $($module: $($scenario),+;)+);
        table!(@machine pc_qboot PcQboot $($module: $($scenario),+;)+);
    };
    (@machine $name:ident $machine:ident $($module:ident: $($scenario:ident),+;)+) => {
        mod $name {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    crate::$module::$scenario(stockade_tests::vm::Machine::$machine);
                })+
            })+
        }
    };
}

table! {
    clients: openssl_tls_1_3, openssl_tls_1_2, curl_gets_and_posts;
    transfer: bodies_of_0_and_1_byte, bodies_around_record_boundaries, a_body_of_100_mb_down,
        a_body_of_100_mb_up, a_card_without_offloads;
    closing: the_client_ends_first, the_backend_ends_first, the_backend_is_down_and_comes_back;
    hostile: garbage, a_client_hello_byte_by_byte, connections_200_at_once;
    machine: no_network_card, no_entropy_source, an_idle_guest_uses_no_processor;
    channel: a_host_that_pauses_misses_no_event, the_largest_message_comes_in,
        an_idle_channel_uses_no_processor;
    configuration: a_malformed_command_line, dhcp_on_the_user_network;
}
