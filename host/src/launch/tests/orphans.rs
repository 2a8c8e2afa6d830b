//! That QEMU ends with its launcher, whatever ends that.

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// How many launchers are killed, at moments up to [`WITHIN`], most of them early.
const ROUNDS: u32 = 30;

/// A launcher has started QEMU long before this.
const WITHIN: Duration = Duration::from_millis(300);

/// A variable that marks a launcher's process and all that come of it.
const TOKEN: &str = "STOCKADE_ORPHAN_TOKEN";

/// Starts a launcher where it is asked to, in a process that is to be killed; otherwise kills such
/// processes at many moments of their lives, and looks for what they have left.
#[test]
fn nothing_is_left_of_a_launcher_that_is_killed_at_any_moment() {
    if env::var_os(TOKEN).is_some() {
        let _trial = Trial::start(SERVE);
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let rounds = env::var("STOCKADE_ORPHAN_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let directory = directory("any-moment");
    let mut lived = 0;
    for round in 0..rounds {
        let token = format!("{}-{round}", directory.display());
        let launcher = launcher(&token, &directory, &path());
        std::thread::sleep(WITHIN * (round * round) / (rounds * rounds));
        lived += u32::from(has_child(&launcher, &token));
        kill_and_look(launcher, &token);
    }
    println!("{lived} of {rounds} launchers had a child when they were killed");
    assert!(lived > 0, "no launcher lived long enough to have a child");
    let _ = fs::remove_dir_all(&directory);
}

#[test]
fn qemu_does_not_start_when_its_launcher_was_killed_before_the_kernel_knew_of_their_bond() {
    let directory = directory("too-late");
    let real = path()
        .split(':')
        .map(|place| Path::new(place).join("setpriv"))
        .find(|it| it.exists());
    let slow = format!(
        "#!/bin/sh\nsleep 1\nexec {} \"$@\"\n",
        real.unwrap().display()
    );
    fs::write(directory.join("setpriv"), slow).unwrap();
    fs::set_permissions(directory.join("setpriv"), fs::Permissions::from_mode(0o755)).unwrap();
    let token = directory.display().to_string();
    let launcher = launcher(
        &token,
        &directory,
        &format!("{}:{}", directory.display(), path()),
    );
    for _ in 0..2000 {
        if has_child(&launcher, &token) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(has_child(&launcher, &token));
    kill_and_look(launcher, &token);
    let trial = fs::read_dir(&directory).unwrap().flatten();
    let trial = trial
        .map(|entry| entry.path())
        .find(|path| path.is_dir())
        .unwrap();
    assert!(trial.join("qemu").exists() && !trial.join("starts").exists());
    let _ = fs::remove_dir_all(&directory);
}

fn directory(name: &str) -> PathBuf {
    let directory = env::temp_dir().join(format!("stockade-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn path() -> String {
    env::var("PATH").unwrap()
}

/// A process with a launcher whose files are in the directory.
fn launcher(token: &str, directory: &Path, path: &str) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("launch::tests::orphans::nothing_is_left_of_a_launcher_that_is_killed_at_any_moment")
        .env(TOKEN, token)
        .env("TMPDIR", directory)
        .env("PATH", path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn has_child(launcher: &Child, token: &str) -> bool {
    with_token(token).iter().any(|pid| *pid != launcher.id())
}

/// Kills the launcher, and waits until nothing is left of it.
fn kill_and_look(mut launcher: Child, token: &str) {
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let gone = (0..2000).any(|_| {
        let left = with_token(token);
        if !left.is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        left.is_empty()
    });
    assert!(gone, "{token} left {:?}", with_token(token));
}

/// The processes that have this in their environment.
fn with_token(token: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_token = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| variable == format!("{TOKEN}={token}").as_bytes())
    };
    numbers.filter(has_token).collect()
}
