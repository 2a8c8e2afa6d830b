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
#[macro_use]
#[path = "../boot/scenarios.rs"]
mod scenarios;
mod setup;
#[path = "../boot/transfer.rs"]
mod transfer;

use setup::{Link, Place};

/// One test per scenario.
macro_rules! tests_here {
    ($name:ident $($module:ident: $($scenario:ident),+;)+) => {
        mod $name {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    crate::$module::$scenario(crate::Place { link: crate::Link::Ipv4 });
                })+
            })+
        }
    };
}

on_every_machine!(tests_here!(table));
on_one_machine!(tests_here!(once));
on_a_tap!(tests_here!(tap));

/// Over IPv6, where the stack cuts segments itself.
#[test]
fn ten_megabytes_each_way_over_ipv6() {
    let running = setup::Setup::new(Place { link: Link::Ipv6 }).start();
    transfer::download(&running, 10 << 20);
    transfer::upload(&running, 10 << 20);
}
