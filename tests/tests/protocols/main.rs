//! What is spoken around TLS, between real servers and clients of each protocol.
//!
//! Each scenario is told what serves, as the stunnel tests are. Debian's stunnel ([`reference`])
//! shows that the scenario asks for what stunnel does.

mod alpn;
mod connect;
mod database;
mod directory;
mod header;
mod impostor;
mod mail;
mod mariadb;
#[path = "../boot/name_server.rs"]
mod name_server;
mod news;
mod proxied;
mod proxies;
mod setting;
mod socks;
mod starttls;

use stockade_tests::stunnel::subject::Kind;
use stockade_tests::vm::Machine;

use mariadb::{Ends, SideCar, Terminator};

/// The tunnel as a process.
const HOSTED: Kind = Kind::Hosted(env!("CARGO_BIN_EXE_stockade-hosted"));
/// The image as its users run it, on the rootless network.
const LAUNCHED: Kind = Kind::Launched(PROGRAM);
/// The program `stockade`.
const PROGRAM: &str = env!("CARGO_BIN_EXE_stockade-launched");
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
            mail: server_of_curl, server_of_a_client_in_the_clear, server_of_openssl,
                server_of_exim, server_of_stunnel, client_of_servers, client_of_another_server;
            starttls: server_refuses_injections, client_refuses_injections,
                client_of_servers_without_tls;
            proxies: version_1_to_haproxy, version_1_to_nginx, version_1_in_bytes;
            connect: client_of_tinyproxy, client_with_a_wrong_password, request_of_a_client,
                server_of_curl, server_of_stunnel, server_refuses_in_the_clear;
            socks: server_of_curl, server_refuses;
            directory: search, refusals, impostors, server_mode;
            news: reading, refusals, impostors, server_mode;
            database: server_mode, client_mode, refusals, intruders, impostors;
        }
    };
}

/// What is the tunnel's own.
macro_rules! of_its_own {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            mail: client_with_credentials;
            starttls: client_of_unwelcoming_servers;
            proxies: version_2_to_haproxy, version_2_to_nginx, version_2_records,
                version_2_as_of_haproxy, of_virtual_services;
            proxied: by_haproxy_and_nginx, in_pieces_and_together, of_nobody, wrong_headers,
                by_strangers, over_ipv6, before_a_client, before_a_dialect;
            connect: client_refuses_injections, server_under_tls, server_under_tls_in_pieces;
            socks: server_tells_the_truth, server_keeps_no_backend, server_in_pieces,
                client_of_stunnel, client_of_dante;
            alpn: chosen, unasked, routes, offered, with_keys;
            database: direct, too_early;
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
    socks: server_resolves_names;
}

scenarios! {
    booted crate::BOOTED;
    mail: server_of_curl, client_of_servers;
    starttls: server_refuses_injections;
    proxies: version_2_to_haproxy;
    proxied: by_haproxy_and_nginx;
    connect: client_of_tinyproxy;
    socks: server_of_curl;
    alpn: routes;
    directory: search;
    news: reading;
    database: server_mode, intruders;
}

/// What a side-car does for clients of MariaDB.
macro_rules! side_car {
    ($then:ident!($($first:tt)*)) => {
        $then! { $($first)*
            mariadb: transfers, many_short_ones, a_hundred_at_once, idle, restarts, refusals;
        }
    };
}

/// Debian's stunnel at both ends.
const STUNNELS: Ends = Ends {
    side_car: SideCar::Stunnel(Kind::Debian),
    terminator: Terminator::Stunnel(Kind::Debian),
};
/// Debian's socat at both ends.
const SOCATS: Ends = Ends {
    side_car: SideCar::Socat,
    terminator: Terminator::Socat,
};
/// The image with a `stunnel.conf` as the side-car.
const SIDE_CAR: Ends = Ends {
    side_car: SideCar::Stunnel(LAUNCHED),
    ..STUNNELS
};
/// The image as the side-car of the command line.
const PROXY: Ends = Ends {
    side_car: SideCar::Proxy(PROGRAM),
    ..STUNNELS
};
/// The image as socat.
const CALLED_SOCAT: Ends = Ends {
    side_car: SideCar::CalledSocat(PROGRAM),
    ..STUNNELS
};
/// The same before socat itself.
const CALLED_SOCAT_TO_SOCAT: Ends = Ends {
    terminator: Terminator::Socat,
    ..CALLED_SOCAT
};
/// The image at both ends.
const BOTH: Ends = Ends {
    terminator: Terminator::Stunnel(LAUNCHED),
    ..SIDE_CAR
};
/// Debian's socat before and behind the image.
const FROM_SOCAT: Ends = Ends {
    terminator: Terminator::Stunnel(HOSTED),
    ..SOCATS
};
const TO_SOCAT: Ends = Ends {
    terminator: Terminator::Socat,
    ..SIDE_CAR
};

side_car!(scenarios!(reference_stunnels crate::STUNNELS;));
// A hundred at once are more than the five that socat's listeners let wait: some are turned away.
scenarios! {
    reference_socats crate::SOCATS;
    mariadb: transfers, idle, restarts;
}
side_car!(scenarios!(launched_side_car crate::SIDE_CAR;));
scenarios! {
    launched_proxy crate::PROXY;
    mariadb: transfers, a_hundred_at_once, idle, refusals;
}
scenarios! {
    launched_as_socat crate::CALLED_SOCAT;
    mariadb: a_hundred_at_once, idle;
}
scenarios! {
    launched_as_socat_to_socat crate::CALLED_SOCAT_TO_SOCAT;
    mariadb: transfers, many_short_ones, restarts, refusals;
}
scenarios! {
    launched_both_ends crate::BOTH;
    mariadb: transfers, a_hundred_at_once, restarts;
}
scenarios! {
    from_socat crate::FROM_SOCAT;
    mariadb: transfers, refusals;
}
scenarios! {
    launched_to_socat crate::TO_SOCAT;
    mariadb: transfers, refusals;
}
