//! Where a repository is: `git@host:path#branch`.

use alloc::format;
use alloc::string::String;
use core::fmt;

/// SSH's port.
const DEFAULT_PORT: u16 = 22;

/// The branch where none is named, as contruno has it.
const DEFAULT_BRANCH: &str = "main";

/// A repository behind SSH, and one of its branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The user's name on the other machine.
    pub user: String,
    /// The machine's name or address, without brackets.
    pub host: String,
    /// Its port for SSH.
    pub port: u16,
    /// The repository's path there.
    pub path: String,
    /// The branch.
    pub branch: String,
}

/// Text that names no repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRemote {
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for NoRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: a repository is named like git@10.0.0.1:certificates.git#master or \
             ssh://git@10.0.0.1:2222/srv/certificates.git#master",
            self.reason
        )
    }
}

impl core::error::Error for NoRemote {}

impl Remote {
    /// Reads the two forms that git-clone(1) has for SSH, with a branch behind `#`: `main` when it
    /// is left out.
    ///
    /// # Errors
    ///
    /// It is of neither form, or a part can't be one.
    pub fn parse(text: &str) -> Result<Remote, NoRemote> {
        let error = |reason| NoRemote { reason };
        let (place, branch) = text.split_once('#').unwrap_or((text, DEFAULT_BRANCH));
        let (login, port, path) = match place.strip_prefix("ssh://") {
            Some(rest) => {
                let (authority, _) = rest.split_once('/').ok_or(error("the path is missing"))?;
                let path = rest.get(authority.len()..).unwrap_or_default();
                let (login, port) = with_port(authority).ok_or(error("the port is no port"))?;
                (login, port, path)
            }
            None => {
                let at = end_of_host(place).ok_or(error("there is no colon before the path"))?;
                let (login, path) = place.split_at(at);
                (login, DEFAULT_PORT, path.get(1..).unwrap_or_default())
            }
        };
        let (user, host) = login.split_once('@').ok_or(error("the user is missing"))?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if !is_name(user) {
            return Err(error("the user has characters that no user has"));
        }
        if host.is_empty() || !host.bytes().all(is_of_host) {
            return Err(error("the host is no name and no address"));
        }
        let is_odd = |letter: char| letter == '\'' || letter.is_control();
        if path.is_empty() || path.contains(is_odd) {
            return Err(error(
                "the path is empty, or has quotes or control characters",
            ));
        }
        if !is_branch(branch) {
            return Err(error("the branch is none (git-check-ref-format(1))"));
        }
        Ok(Remote {
            user: user.into(),
            host: host.into(),
            port,
            path: path.into(),
            branch: branch.into(),
        })
    }

    /// The branch as a reference: `refs/heads/master`.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The command that reads the repository.
    pub fn upload_pack(&self) -> String {
        format!("git-upload-pack '{}'", self.path)
    }

    /// The command that writes it.
    pub fn receive_pack(&self) -> String {
        format!("git-receive-pack '{}'", self.path)
    }
}

/// Where the colon is that ends the host: behind the brackets of an IPv6 address.
fn end_of_host(place: &str) -> Option<usize> {
    let from = place.find("]:").map_or(0, |bracket| bracket + 1);
    place.get(from..)?.find(':').map(|colon| from + colon)
}

fn with_port(authority: &str) -> Option<(&str, u16)> {
    let from = authority.rfind(']').unwrap_or(0);
    match authority.get(from..)?.rfind(':') {
        None => Some((authority, DEFAULT_PORT)),
        Some(colon) => {
            let (login, port) = authority.split_at_checked(from + colon)?;
            let digits = port.strip_prefix(':')?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = digits.parse().ok().filter(|port| *port != 0 && is_number)?;
            Some((login, port))
        }
    }
}

fn is_name(user: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    !user.is_empty() && user.bytes().all(is_plain)
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte)
}

/// The rules of git-check-ref-format(1).
fn is_branch(name: &str) -> bool {
    let is_odd = |byte: u8| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte);
    let parts_are_right = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    parts_are_right
        && !name.bytes().any(is_odd)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && !name.starts_with('-')
        && name != "@"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(user: &str, host: &str, port: u16, path: &str, branch: &str) -> Remote {
        Remote {
            user: user.into(),
            host: host.into(),
            port,
            path: path.into(),
            branch: branch.into(),
        }
    }

    #[test]
    fn both_forms_are_read() {
        for (text, expected) in [
            (
                "git@10.0.0.1:certificates.git#main",
                remote("git", "10.0.0.1", 22, "certificates.git", "main"),
            ),
            (
                "git@host:/srv/a:b.git",
                remote("git", "host", 22, "/srv/a:b.git", "main"),
            ),
            (
                "git@[2001:db8::1]:a.git#x/y",
                remote("git", "2001:db8::1", 22, "a.git", "x/y"),
            ),
            (
                "ssh://git@host:2222/srv/a.git#b",
                remote("git", "host", 2222, "/srv/a.git", "b"),
            ),
            (
                "ssh://git@[::1]/a.git",
                remote("git", "::1", 22, "/a.git", "main"),
            ),
            (
                "ssh://git@[::1]:23/a.git",
                remote("git", "::1", 23, "/a.git", "main"),
            ),
        ] {
            assert_eq!(Remote::parse(text), Ok(expected), "{text}");
        }
        let found = Remote::parse("git@host:a b.git#main").unwrap();
        assert_eq!(found.upload_pack(), "git-upload-pack 'a b.git'");
        assert_eq!(found.receive_pack(), "git-receive-pack 'a b.git'");
        assert_eq!(found.reference(), "refs/heads/main");
    }

    #[test]
    fn what_could_be_another_command_is_refused() {
        for text in [
            "",
            "host:a.git",
            "git@host",
            "git@host:",
            "@host:a.git",
            "git@:a.git",
            "git@ho st:a.git",
            "-o@host:a';reboot;'",
            "git@host:a'.git",
            "git@host:a\u{7f}.git",
            "git@host:a\u{9b}.git",
            "git@host:a\nb.git",
            "git@host:a.git#",
            "git@host:a.git#a b",
            "git@host:a.git#-x",
            "git@host:a.git#a..b",
            "git@host:a.git#a.lock",
            "git@host:a.git#.a",
            "ssh://git@host",
            "ssh://git@host:0/a",
            "ssh://git@host:+1/a",
            "ssh://git@host:65536/a",
            "ssh://host/a",
        ] {
            assert!(Remote::parse(text).is_err(), "{text}");
        }
    }
}
