//! Where a repository is, for those who are on a host with ssh(1) and git(1).

use std::path::{Path, PathBuf};
use std::str::FromStr;

use stockade_store::remote::Remote;

/// A repository, and one of its branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// As it was given.
    text: String,
    pub(super) kind: Kind,
}

/// How it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A folder of this host.
    Local {
        /// The folder.
        path: PathBuf,
        /// The branch.
        branch: String,
    },
    /// Another machine, over SSH.
    Ssh {
        /// The machine, the path there and the branch.
        remote: Remote,
        /// Whether the user was named; else it is whom ssh(1) takes.
        names_user: bool,
        /// Whether the port was named; else it is the one that ssh(1) takes.
        names_port: bool,
    },
}

/// Stands for a user that was not named.
const SOMEBODY: &str = "somebody";

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let kind = match local(text) {
            Some(path) => Kind::local(path)?,
            None => Kind::ssh(text)?,
        };
        Ok(Place {
            text: text.to_owned(),
            kind,
        })
    }
}

impl Place {
    /// The branch's name.
    pub(super) fn branch(&self) -> &str {
        match &self.kind {
            Kind::Local { branch, .. } => branch,
            Kind::Ssh { remote, .. } => &remote.branch,
        }
    }

    /// The branch as a reference: `refs/heads/main`.
    pub(super) fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch())
    }
}

impl Kind {
    fn local(text: &str) -> Result<Kind, String> {
        let (path, branch) = match text.rsplit_once('#') {
            Some((path, branch)) => (path, format!("#{branch}")),
            None => (text, String::new()),
        };
        // The branch's rules and the one that counts when none is named are Remote's.
        let remote = Remote::parse(&format!("{SOMEBODY}@localhost:repository{branch}"));
        let branch = remote.map_err(|error| error.reason)?.branch;
        if path.is_empty() {
            return Err("the path is missing".to_owned());
        }
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        Ok(Kind::Local { path, branch })
    }

    fn ssh(text: &str) -> Result<Kind, String> {
        let place = text.split('#').next().unwrap_or_default();
        let rest = place.strip_prefix("ssh://");
        // Of the short form what is before the path, of the long one what is before the first slash.
        let login = match rest {
            Some(rest) => rest.split('/').next(),
            None => place.split(':').next(),
        };
        let login = login.unwrap_or_default();
        let names_user = login.contains('@');
        let after = login.rsplit('@').next().unwrap_or_default();
        let behind = after.rsplit(']').next().unwrap_or_default();
        let names_port = rest.is_some() && behind.contains(':');
        let whole = match (names_user, rest) {
            (true, _) => text.to_owned(),
            (false, None) => format!("{SOMEBODY}@{text}"),
            (false, Some(_)) => text.replacen("ssh://", &format!("ssh://{SOMEBODY}@"), 1),
        };
        let remote = Remote::parse(&whole).map_err(|error| error.to_string())?;
        // ssh(1) would take them for options.
        if remote.user.starts_with('-') || remote.host.starts_with('-') {
            return Err("neither a user nor a host begins with -".to_owned());
        }
        Ok(Kind::Ssh {
            remote,
            names_user,
            names_port,
        })
    }
}

/// The path, where the text is one by git-clone(1)'s rule: there is no colon before the first slash.
fn local(text: &str) -> Option<&str> {
    if let Some(path) = text.strip_prefix("file://") {
        return Some(path);
    }
    if text.starts_with("ssh://") {
        return None;
    }
    let first = text.split('/').next().unwrap_or_default();
    let is_path = !first.contains(':') && !first.contains('@');
    (is_path || Path::new(text).starts_with(".") || Path::new(text).starts_with(".."))
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> (String, String, u16, String, bool, bool) {
        match text.parse::<Place>().unwrap().kind {
            Kind::Ssh {
                remote,
                names_user,
                names_port,
            } => {
                let Remote {
                    user,
                    host,
                    port,
                    branch,
                    ..
                } = remote;
                (user, host, port, branch, names_user, names_port)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn machines_are_named_as_git_does() {
        let one = |user: &str, host: &str, port, branch: &str, names_user, names_port| {
            let text = |text: &str| text.to_owned();
            (
                text(user),
                text(host),
                port,
                text(branch),
                names_user,
                names_port,
            )
        };
        for (text, expected) in [
            ("git@host:a.git#b", one("git", "host", 22, "b", true, false)),
            (
                "host:a.git",
                one(SOMEBODY, "host", 22, "main", false, false),
            ),
            (
                "git@[::1]:a:b.git",
                one("git", "::1", 22, "main", true, false),
            ),
            (
                "ssh://git@host/a@b:1.git",
                one("git", "host", 22, "main", true, false),
            ),
            (
                "ssh://host:22/a.git#x",
                one(SOMEBODY, "host", 22, "x", false, true),
            ),
            (
                "ssh://git@[::1]:23/a.git",
                one("git", "::1", 23, "main", true, true),
            ),
            (
                "ssh://git@[::1]/a.git",
                one("git", "::1", 22, "main", true, false),
            ),
        ] {
            assert_eq!(ssh(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_are_of_this_host() {
        for (text, path, branch) in [
            ("/srv/a.git", "/srv/a.git", "main"),
            ("/srv/a:b.git#x/y", "/srv/a:b.git", "x/y"),
            ("file:///srv/a#b.git#c", "/srv/a#b.git", "c"),
        ] {
            let place: Place = text.parse().unwrap();
            let Kind::Local {
                path: found,
                branch: named,
            } = place.kind
            else {
                panic!("{text}");
            };
            assert_eq!((found, named.as_str()), (PathBuf::from(path), branch));
        }
        for text in ["a.git", "./a:b.git", "../a@b.git", "x/y:z"] {
            let place: Place = text.parse().unwrap();
            assert!(matches!(place.kind, Kind::Local { .. }), "{text}");
            assert_eq!(place.reference(), "refs/heads/main");
        }
    }

    #[test]
    fn what_names_nothing_or_an_option_is_refused() {
        for text in [
            "",
            "file://",
            "#main",
            "/a#b c",
            "git@host",
            "git@host:",
            "-oProxyCommand:a",
            "git@-v:a.git",
            "-v@host:a.git",
            "ssh://-v/a.git",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
