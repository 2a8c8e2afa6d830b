//! The boot tests' conversations with a tunnel that is a Linux process: the same scenarios, at
//! native speed, with checksums and segmentation left to the kernel.

mod channel;
#[path = "../boot/clients.rs"]
mod clients;
#[path = "../boot/closing.rs"]
mod closing;
#[path = "../boot/cryptography.rs"]
mod cryptography;
#[path = "../boot/hostile.rs"]
mod hostile;
mod setup;
#[path = "../boot/transfer.rs"]
mod transfer;

/// The scenarios that the boot tests run on every machine.
macro_rules! table {
    ($($module:ident: $($scenario:ident),+;)+) => {
        mod table {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    // Any machine: there is none.
                    crate::$module::$scenario(stockade_tests::vm::Machine::Microvm);
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
}

/// Over IPv6, where the stack cuts segments itself.
#[test]
fn ten_megabytes_each_way_over_ipv6() {
    let running = setup::Setup::new(stockade_tests::vm::Machine::Microvm)
        .link(setup::Link::Ipv6)
        .start();
    transfer::download(&running, 10 << 20);
    transfer::upload(&running, 10 << 20);
}
