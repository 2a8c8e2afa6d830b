//! That QEMU ends with its launcher, whatever ends that.

use std::env;
use std::process::{Command, Stdio};

use super::*;

/// How many launchers are killed, at moments spread over [`WITHIN`].
const ROUNDS: u32 = 30;

/// A launcher has started QEMU long before this.
const WITHIN: Duration = Duration::from_millis(300);

/// Starts a launcher where it is asked to, in a process that is to be killed; otherwise kills such
/// processes at many moments of their lives, and looks for what they have left.
#[test]
fn nothing_is_left_of_a_launcher_that_is_killed_at_any_moment() {
    const TOKEN: &str = "STOCKADE_ORPHAN_TOKEN";
    if env::var_os(TOKEN).is_some() {
        let _trial = Trial::start(SERVE);
        println!("started");
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let rounds = env::var("STOCKADE_ORPHAN_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let directory = env::temp_dir().join(format!("stockade-orphans-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let mut lived = 0;
    for round in 0..rounds {
        let token = format!("{}-{round}", directory.display());
        let mut launcher = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("launch::tests::orphans::nothing_is_left_of_a_launcher_that_is_killed_at_any_moment")
            .env(TOKEN, &token)
            .env("TMPDIR", &directory)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(WITHIN * round / rounds);
        let own = launcher.id();
        lived += u32::from(with_token(&token).iter().any(|pid| *pid != own));
        launcher.kill().unwrap();
        launcher.wait().unwrap();
        let gone = (0..2000).any(|_| {
            let left = with_token(&token);
            if !left.is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            left.is_empty()
        });
        assert!(gone, "round {round} left {:?}", with_token(&token));
    }
    println!("{lived} of {rounds} launchers had a child when they were killed");
    assert!(lived > 0, "no launcher lived long enough to have a child");
    let _ = fs::remove_dir_all(&directory);
}

/// The processes that have this in their environment.
fn with_token(token: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_token = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut variables = environment.split(|&byte| byte == 0);
        variables.any(|variable| variable.ends_with(format!("={token}").as_bytes()))
    };
    numbers.filter(has_token).collect()
}
