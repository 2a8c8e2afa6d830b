//! Boots the image and holds conversations with it.
//!
//! Every test has a machine, a link and a backend of its own. What is asked of every machine, what
//! of one alone, and what needs a TAP device is listed in `scenarios`; all but the last run on the
//! rootless network too.

mod channel;
mod clients;
mod closing;
mod configuration;
mod cryptography;
mod hostile;
mod machine;
mod name_server;
mod plain_qemu;
#[macro_use]
mod scenarios;
mod setup;
mod transfer;

use setup::{Link, Place};
use stockade_tests::vm::Machine;

/// One test per scenario: `q35::clients::curl_gets_and_posts` and so on.
macro_rules! tests_at {
    ($name:ident $machine:ident $link:ident $($module:ident: $($scenario:ident),+;)+) => {
        mod $name {
            $(mod $module {
                $(#[test]
                fn $scenario() {
                    crate::$module::$scenario(crate::Place {
                        machine: crate::Machine::$machine,
                        link: crate::Link::$link,
                    });
                })+
            })+
        }
    };
}

on_every_machine!(tests_at!(microvm Microvm Ipv4));
on_every_machine!(tests_at!(q35 Q35 Ipv4));
on_every_machine!(tests_at!(q35_qboot Q35Qboot Ipv4));
on_every_machine!(tests_at!(pc Pc Ipv4));
on_every_machine!(tests_at!(pc_qboot PcQboot Ipv4));
on_one_machine!(tests_at!(once Microvm Ipv4));
on_a_tap!(tests_at!(tap Microvm Ipv4));

on_every_machine!(tests_at!(rootless Microvm Rootless));
on_every_machine!(tests_at!(rootless_q35 Q35 Rootless));
on_one_machine!(tests_at!(rootless_once Microvm Rootless));

/// What is asked of the machine itself, of its configuration, and of the launcher.
macro_rules! more_tests_at {
    ($($name:ident $machine:ident $link:ident),+;) => {
        $(tests_at! { $name $machine $link
            machine: no_entropy_source, an_idle_guest_uses_no_processor;
            channel: a_host_that_pauses_misses_no_event, the_largest_message_comes_in,
                an_idle_channel_uses_no_processor;
            configuration: a_malformed_command_line;
        })+
    };
}

more_tests_at! {
    microvm_itself Microvm Ipv4, q35_itself Q35 Ipv4, q35_qboot_itself Q35Qboot Ipv4,
    pc_itself Pc Ipv4, pc_qboot_itself PcQboot Ipv4, rootless_itself Microvm Rootless;
}

/// The same, where one machine is enough.
macro_rules! last_tests_at {
    ($($name:ident $link:ident),+;) => {
        $(tests_at! { $name Microvm $link
            machine: a_virtio_rng_device_is_an_entropy_source, rdrand_is_an_entropy_source;
            channel: a_guest_whose_channel_was_closed_serves_on;
            configuration: a_missing_file_is_named, a_key_of_another_certificate_is_refused,
                a_boot_archive_of_another_version_is_refused,
                a_key_on_the_command_line_is_served_and_not_shown, the_log_never_shows_the_key,
                the_log_is_as_talkative_as_asked, defaults, a_backend_by_name;
        })+
    };
}

last_tests_at! { once_itself Ipv4, rootless_once_itself Rootless; }
