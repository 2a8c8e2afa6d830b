//! The servers and clients of the protocol tests: Debian's, unpacked and not installed.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::debian::{self, Pointer, Wanted};

/// Where the protocol tests find the folder in which the packages are unpacked.
pub(super) const VARIABLE: &str = "STOCKADE_PEERS";

/// What the tests run, by package.
const WANTED: Wanted<'static> = Wanted {
    packages: &[
        // exim4
        "exim4-daemon-light",
        // dovecot, and what it starts for each protocol
        "dovecot-core",
        "dovecot-imapd",
        "dovecot-pop3d",
        // slapd; ldapsearch
        "slapd",
        "ldap-utils",
        // nnrpd, and its libraries
        "inn2",
        "inn2-inews",
        // haproxy
        "haproxy",
        // nginx, and what it carries connections with
        "nginx",
        "libnginx-mod-stream",
        // tinyproxy
        "tinyproxy-bin",
        // danted
        "dante-server",
        // sh, by which some of them start others
        "dash",
        // PostgreSQL's time zones
        "tzdata",
    ],
    pointers: &[
        // postgres, initdb
        Pointer {
            names: &["postgresql"],
            prefix: "postgresql-",
        },
        // psql
        Pointer {
            names: &["postgresql-client"],
            prefix: "postgresql-client-",
        },
    ],
    // PostgreSQL compiles long queries with these, and nnrpd offers them to its filters.
    without: &["libllvm", "libz3-"],
    otherwise: "`cargo xtask test` with --unit, --hosted, --stunnel, --boot and --launcher runs \
                everything else",
};

/// The folder that the packages are unpacked in: downloaded once, if `download` allows.
pub(super) fn unpacked(root: &Path, download: bool) -> Result<PathBuf> {
    let folder = root.join("target/peers");
    Ok(debian::tree(&folder, &WANTED, download)?.root)
}
