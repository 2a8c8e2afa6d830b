//! Giving up root's privileges once they are no longer needed.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{self, Gid, Group, Uid, User};

use crate::Error;

/// The device by which QEMU uses the processor's virtualization.
const KVM: &str = "/dev/kvm";

/// Whom a process is to be from now on: stunnel's `setuid` and `setgid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    user: Option<Uid>,
    group: Option<Gid>,
}

/// There is no such user or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAccount {
    /// No such user.
    User,
    /// No such group.
    Group,
}

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoAccount::User => "Illegal UID",
            NoAccount::Group => "Illegal GID",
        })
    }
}

impl Account {
    /// Looks names up; numbers stand for themselves.
    ///
    /// # Errors
    ///
    /// Nobody is called that.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Account, NoAccount> {
        let user = user.map(|name| user_id(name).ok_or(NoAccount::User));
        let group = group.map(|name| group_id(name).ok_or(NoAccount::Group));
        Ok(Account {
            user: user.transpose()?,
            group: group.transpose()?,
        })
    }

    /// Whether it changes nothing.
    pub fn is_nobody_else(&self) -> bool {
        *self == Account::default()
    }

    /// Becomes that user, with that group alone: every thread of this process, for ever (setuid(2),
    /// which the C library does for all threads). With `kvm`, the group that may use `/dev/kvm` is
    /// kept as well.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn become_it(&self, kvm: bool) -> Result<(), Error> {
        let refused = |what: &str| {
            let what = what.to_owned();
            move |error: nix::Error| {
                Error::Launch(format!("{what}: {} ({})", error.desc(), error as i32))
            }
        };
        if let Some(group) = self.group {
            let mut groups = vec![group];
            groups.extend(kvm_group().filter(|_| kvm));
            unistd::setgroups(&groups).map_err(refused("setgroups"))?;
            unistd::setgid(group).map_err(refused("setgid"))?;
        }
        if let Some(user) = self.user {
            unistd::setuid(user).map_err(refused("setuid"))?;
        }
        Ok(())
    }
}

fn kvm_group() -> Option<Gid> {
    fs::metadata(KVM)
        .ok()
        .map(|found| Gid::from_raw(found.gid()))
}

fn user_id(name: &str) -> Option<Uid> {
    let known = || User::from_name(name).ok()?.map(|user| user.uid);
    name.parse().ok().map(Uid::from_raw).or_else(known)
}

fn group_id(name: &str) -> Option<Gid> {
    let known = || Group::from_name(name).ok()?.map(|group| group.gid);
    name.parse().ok().map(Gid::from_raw).or_else(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        let root = Account::find(Some("root"), Some("0")).unwrap();
        assert_eq!(root, Account::find(Some("0"), Some("root")).unwrap());
        assert!(!root.is_nobody_else());
        assert!(Account::find(None, None).unwrap().is_nobody_else());
    }

    #[test]
    fn who_is_not_there_is_told_in_stunnels_words() {
        let error = Account::find(Some("no such user"), None).unwrap_err();
        assert_eq!(error.to_string(), "Illegal UID");
        let error = Account::find(None, Some("no such group")).unwrap_err();
        assert_eq!(error.to_string(), "Illegal GID");
    }
}
