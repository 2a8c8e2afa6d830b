//! The servers and clients of the protocol, certificate and HTTP tests: Debian's, unpacked and not
//! installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::{self, Pointer, Wanted};
use crate::{Result, process};

/// Where the tests find the folder in which the packages are unpacked.
pub(super) const VARIABLE: &str = "STOCKADE_PEERS";

/// Packages of one stage, and where below `target` they are unpacked. Not one folder for all: what
/// a system lacks for one stage is nothing to the others.
pub(super) struct Peers {
    folder: &'static str,
    wanted: Wanted<'static>,
}

/// What the protocol tests run.
pub(super) const PROTOCOLS: Peers = Peers {
    folder: "target/peers",
    wanted: OF_PROTOCOLS,
};

/// What the certificate tests run: 35 MB of downloads.
pub(super) const CERTIFICATES: Peers = Peers {
    folder: "target/peers-of-certificates",
    wanted: OF_CERTIFICATES,
};

/// What the HTTP tests run: 145 MB of downloads, of which the browser and its libraries are 110.
pub(super) const HTTP: Peers = Peers {
    folder: "target/peers-of-http",
    wanted: OF_HTTP,
};

const OF_HTTP: Wanted<'static> = Wanted {
    packages: &[
        // nginx (BSD)
        "nginx",
        "libnginx-mod-stream",
        // apache2, its modules (Apache-2)
        "apache2-bin",
        // curl (its own, like MIT's)
        "curl",
        // h2load (MIT)
        "nghttp2-client",
        // a WebSocket server and client (BSD); it is Python
        "python3-websockets",
        // certutil, by which a browser trusts an authority (MPL-2)
        "libnss3-tools",
        // What programs know of a file by its name
        "media-types",
        // sh, by which some of them start others
        "dash",
    ],
    pointers: &[
        // The interpreter, and its library in its own words
        Pointer {
            names: &["python3-minimal"],
            prefix: "python3.",
        },
        Pointer {
            names: &["libpython3-stdlib"],
            prefix: "libpython3.",
        },
    ],
    // Chromium without its windows (BSD); Ubuntu has none as a package
    optional: &["chromium-headless-shell", "chromium-common"],
    // What it would draw and speak with.
    without: &["libllvm", "libz3-"],
    otherwise: "`cargo xtask test` with --unit, --hosted, --stunnel, --protocols, --certificates, \
                --boot, --launcher and --library runs everything else",
};

const OF_CERTIFICATES: Wanted<'static> = Wanted {
    packages: &[
        // sshd (BSD licences); ssh-keygen, ssh
        "openssh-server",
        "openssh-client",
        // git, git-shell (GPL-2)
        "git",
        // pebble, pebble-challtestsrv (MPL-2): an authority for tests, and its name server
        "pebble",
        // caddy (Apache-2): its module acme_server is another authority
        "caddy",
        // sh, by which git starts its other half
        "dash",
    ],
    pointers: &[],
    optional: &[],
    // Caddy puts its root into browsers with these.
    without: &["libnss3"],
    otherwise: "`cargo xtask test` with --unit, --hosted, --stunnel, --protocols, --http, --boot, \
                --launcher and --library runs everything else",
};

/// The protocol tests' packages.
const OF_PROTOCOLS: Wanted<'static> = Wanted {
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
        // socat, as a side-car and in front of a server
        "socat",
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
        // mariadbd; Ubuntu 22.04 has a version in the name
        Pointer {
            names: &["mariadb-server", "mariadb-server-10.6"],
            prefix: "mariadb-server-core",
        },
        // mariadb
        Pointer {
            names: &["mariadb-client", "mariadb-client-10.6"],
            prefix: "mariadb-client-core",
        },
    ],
    optional: &[],
    // PostgreSQL compiles long queries with these, and nnrpd offers them to its filters.
    without: &["libllvm", "libz3-"],
    otherwise: "`cargo xtask test` with --unit, --hosted, --stunnel, --certificates, --http, \
                --boot, --launcher and --library runs everything else",
};

/// The folder that these packages are unpacked in: downloaded once, if `download` allows.
pub(super) fn unpacked(peers: &Peers, root: &Path, download: bool) -> Result<PathBuf> {
    let folder = root.join(peers.folder);
    let tree = debian::tree(&folder, &peers.wanted, download)?;
    for name in ["bin", "sbin", "lib", "lib64"] {
        merge(&tree.root, name)?;
    }
    Ok(tree.root)
}

/// Makes a folder a link to its namesake below `usr`, and moves there what is in it.
///
/// Programs name their loader and their shell by the folder (`/lib64`, `/bin`); which of the two is
/// in a package changes from release to release, and the links are in none of those that we unpack.
fn merge(root: &Path, name: &str) -> Result<()> {
    let (old, new) = (root.join(name), root.join("usr").join(name));
    if old.is_symlink() {
        return Ok(());
    }
    fs::create_dir_all(&new)?;
    if old.is_dir() {
        let mut command = Command::new("cp");
        process::run(command.arg("-a").arg(old.join(".")).arg(&new))?;
        fs::remove_dir_all(&old)?;
    }
    symlink(Path::new("usr").join(name), &old)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_merged_once() {
        let name = format!("stockade-xtask-merge-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for (path, text) in [("lib/a/one", "1"), ("usr/lib/a/two", "2")] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for name in ["lib", "lib", "lib64"] {
            merge(&root, name).unwrap();
        }
        for (path, text) in [("lib/a/one", "1"), ("lib/a/two", "2")] {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), text);
        }
        assert!(root.join("lib").is_symlink() && root.join("lib64").is_dir());
        fs::remove_dir_all(&root).unwrap();
    }
}
