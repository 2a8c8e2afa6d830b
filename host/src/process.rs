//! Child processes that end with this one and inherit only what they are meant to.

use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::{env, io, thread};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Error;

/// Becomes the program, unless the parent has changed already. A parent that ended before
/// setpriv had asked for its signal would otherwise never send one.
const ONLY_UNDER_US: &str = r#"[ "$PPID" = "$1" ] && shift && exec "$@""#;

/// One child is made at a time: a descriptor is inheritable only while its own child is.
static MAKING: Mutex<()> = Mutex::new(());

/// Wraps a program so that the kernel kills it when its parent ends, however and whenever that
/// happens (setpriv(1), PR_SET_PDEATHSIG in prctl(2)).
///
/// # Errors
///
/// The program, or one of the two that wrap it, is not installed.
pub(crate) fn bound_to_us(program: &str) -> Result<Command, Error> {
    let find = |program: &str| {
        find(program).map_err(|source| Error::Start {
            program: program.to_owned(),
            source,
        })
    };
    let program = find(program)?;
    let mut command = Command::new(find("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--"]);
    command.arg(find("sh")?).args(["-c", ONLY_UNDER_US, "sh"]);
    command.arg(process::id().to_string()).arg(program);
    // What this process tells its service manager is nobody else's (sd_notify(3)).
    command.env_remove("NOTIFY_SOCKET");
    Ok(command)
}

/// Where a program is: a name with a slash is a path, any other is looked for in `PATH`
/// (execvp(3)).
fn find(program: &str) -> io::Result<PathBuf> {
    let places: Vec<PathBuf> = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        let path = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        let places = env::split_paths(&path).map(|place| place.join(program));
        places.collect()
    };
    let is_program = |path: &Path| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let mut places = places.into_iter();
    places
        .find(|place| is_program(place))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no such program"))
}

/// Starts a program, handing down the given descriptors under their own numbers. `on_end` is
/// called on another thread once the child has ended, which the caller still has to wait for.
///
/// The parent that PR_SET_PDEATHSIG watches is the *thread* that forked. So each child has one of
/// its own, which lasts as long as the child. It has the namespaces of the caller's thread.
pub(crate) fn spawn(
    mut command: Command,
    inherit: Vec<OwnedFd>,
    on_end: impl FnOnce() + Send + 'static,
) -> io::Result<Child> {
    let (reply, answer) = channel();
    let keep = move || {
        let child = start(&mut command, inherit);
        drop(command);
        let pid = child.as_ref().ok().map(Pid::from_child);
        // The caller waits for the answer; if it is gone, so is this process.
        let _ = reply.send(child);
        if let Some(pid) = pid {
            // Only looked at: who waits for the child is the caller. If it has done so already,
            // there is no such child any more, which is an end as well.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            on_end();
        }
    };
    thread::Builder::new()
        .name("keeper".to_owned())
        .spawn(keep)?;
    answer
        .recv()
        .map_err(|_| io::Error::other("the thread that starts the process has ended"))?
}

/// Starts it and closes our own copies of the descriptors, before another child can inherit them.
fn start(command: &mut Command, inherit: Vec<OwnedFd>) -> io::Result<Child> {
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    for file in &inherit {
        fcntl_setfd(file, FdFlags::empty())?;
    }
    let child = command.spawn();
    drop(inherit);
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert!(find("sh").unwrap().ends_with("sh"));
        assert_eq!(find("/bin/sh").unwrap(), Path::new("/bin/sh"));
        for missing in ["no such program", "/bin/no-such-program", "/", ""] {
            let error = find(missing).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{missing:?}");
        }
    }

    #[test]
    fn a_child_of_another_parent_does_not_become_the_program() {
        // This shell's child is not the process that is named, as a launcher's that is gone.
        let status = Command::new("sh")
            .args(["-c", ONLY_UNDER_US, "sh", "1", "true"])
            .status()
            .unwrap();
        assert!(!status.success());
        let own = process::id().to_string();
        let status = Command::new("sh")
            .args(["-c", ONLY_UNDER_US, "sh", &own, "true"])
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    fn an_end_is_told_and_left_to_the_caller() {
        let mut command = bound_to_us("sh").unwrap();
        command.args(["-c", "exit 7"]);
        let (told, end) = channel();
        let mut child = spawn(command, Vec::new(), move || told.send(()).unwrap()).unwrap();
        end.recv_timeout(std::time::Duration::from_secs(20))
            .unwrap();
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
    }

    #[test]
    fn a_descriptor_is_inherited_by_its_own_child_alone() {
        let file = crate::memfd::sealed("test", b"hello").unwrap();
        let copy = file.try_clone().unwrap();
        let read = |path: &str, inherit| {
            let mut command = bound_to_us("cat").unwrap();
            command.arg(path).stdout(process::Stdio::piped());
            command.stderr(process::Stdio::null());
            let child = spawn(command, inherit, || {}).unwrap();
            child.wait_with_output().unwrap().stdout
        };
        assert_eq!(read(&crate::memfd::path(&file), Vec::new()), b"");
        assert_eq!(read(&crate::memfd::path(&copy), vec![copy]), b"hello");
    }
}
