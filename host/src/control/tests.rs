//! Server and clients in one process, over a launcher whose machine is a shell script.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::place::Surroundings;
use super::*;
use crate::Error;
use crate::launch::{Image, Launcher, Link, Options, Setup};

const SOON: Duration = Duration::from_secs(30);

/// A directory with a launcher and its server.
struct Trial {
    directory: PathBuf,
    surroundings: Surroundings,
    launcher: Arc<Launcher>,
    server: Option<Server>,
}

fn name() -> Name {
    "trial".parse().unwrap()
}

fn directory() -> PathBuf {
    static TRIALS: AtomicU32 = AtomicU32::new(0);
    let number = TRIALS.fetch_add(1, Ordering::Relaxed);
    let directory = format!("stockade-control-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn surroundings(directory: &Path) -> Surroundings {
    Surroundings {
        service: None,
        roots: directory.join("roots"),
        session: Some(directory.to_owned()),
        temporary: directory.join("temporary"),
        uid: rustix::process::geteuid().as_raw(),
        is_root: false,
    }
}

impl Trial {
    fn start() -> Trial {
        let directory = directory();
        let program = directory.join("qemu");
        let script = "#!/bin/sh\necho 'ready: accepting on 10.0.2.15:443'\nexec sleep 600\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let image = Image::Bytes(Arc::from(&b"an image"[..]));
        let mut options = Options::new(image, Link::None, || Ok(Setup::default()));
        options.machinery.program = program.to_str().unwrap().to_owned();
        options.machinery.accel = crate::Accel::Tcg;
        let launcher = Arc::new(Launcher::start(options).unwrap());
        launcher.wait_ready(SOON).unwrap();
        let surroundings = surroundings(&directory);
        let server = Server::start_in(&surroundings, &name(), Arc::clone(&launcher), SOON);
        Trial {
            directory,
            surroundings,
            launcher,
            server: Some(server.unwrap()),
        }
    }

    fn connect(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(self.server.as_ref().unwrap().path()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        BufReader::new(stream)
    }

    fn ask(&self, request: &str) -> Value {
        ask(&mut self.connect(), request)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        drop(self.server.take());
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn ask(stream: &mut BufReader<UnixStream>, request: &str) -> Value {
    let line = format!("{request}\n");
    stream.get_mut().write_all(line.as_bytes()).unwrap();
    answer(stream)
}

fn answer(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

#[test]
fn each_request_is_answered_on_one_connection() {
    let trial = Trial::start();
    let mut stream = trial.connect();
    let status = ask(&mut stream, r#"{"do":"status"}"#);
    assert_eq!(status["ok"], true);
    assert_eq!(status["status"]["name"], "trial");
    assert_eq!(status["status"]["phase"], "serving");
    assert_eq!(status["status"]["pid"], std::process::id());
    assert_eq!(status["status"]["has_channel"], false);
    let events = ask(&mut stream, r#"{"do":"diagnose"}"#);
    let kinds = events["events"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds.map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "line", "ready"]);
    assert_eq!(
        (&events["next"], &events["missed"], &events["more"]),
        (&json!(3), &json!(0), &json!(false))
    );
    let rest = ask(&mut stream, r#"{"do":"diagnose","since":2}"#);
    assert_eq!(rest["events"][0]["number"], 3);
    let reload = ask(&mut stream, r#"{"do":"reload"}"#);
    assert_eq!(reload["ok"], false);
    assert!(
        reload["errors"][0]
            .as_str()
            .unwrap()
            .contains("no management channel")
    );
    let stop = ask(&mut stream, r#"{"do":"stop","drain_ms":0}"#);
    assert_eq!(stop, json!({"ok": true, "stopping": true}));
    assert_eq!(answer(&mut stream), json!({"ok": true, "ended": "stopped"}));
    assert!(trial.launcher.wait(SOON).unwrap().is_success());
}

#[test]
fn the_answer_to_a_stop_goes_out_although_the_server_is_dropped() {
    let mut trial = Trial::start();
    let mut stream = trial.connect();
    ask(&mut stream, r#"{"do":"stop"}"#);
    trial.launcher.wait(SOON).unwrap();
    trial.server = None;
    assert_eq!(answer(&mut stream)["ended"], "stopped");
    assert_eq!(
        stream.read(&mut [0]).unwrap(),
        0,
        "and then the conversation ends"
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let trial = Trial::start();
    for (request, expect) in [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "\"do\" is none of"),
        ("{}", "\"do\" is none of"),
        (r#"{"do":"dance"}"#, "\"do\" is none of"),
        (r#"{"do":7}"#, "\"do\" is none of"),
        (r#"{"do":"stop","drain_ms":-1}"#, "not a whole number"),
        (r#"{"do":"diagnose","since":"x"}"#, "not a whole number"),
    ] {
        let answer = trial.ask(request);
        assert_eq!(answer["ok"], false, "{request}");
        let text = answer["errors"][0].as_str().unwrap();
        assert!(text.contains(expect), "{request}: {text}");
    }
    let answer = trial.ask(&"x".repeat(2 * MAX_REQUEST));
    assert!(
        answer["errors"][0]
            .as_str()
            .unwrap()
            .contains("longer than 4096 bytes")
    );
    assert_eq!(trial.ask(r#"{"do":"status"}"#)["ok"], true);
}

#[test]
fn further_clients_are_told_to_try_again_and_silent_ones_hold_nobody_up() {
    let trial = Trial::start();
    let mut silent: Vec<_> = (0..MAX_CLIENTS).map(|_| trial.connect()).collect();
    // The last of them is being served once it is answered.
    for stream in &mut silent {
        assert_eq!(ask(stream, r#"{"do":"status"}"#)["ok"], true);
    }
    let refused = answer(&mut trial.connect());
    assert_eq!(refused["errors"][0], "too many clients at once; try again");
    silent.truncate(MAX_CLIENTS - 1);
    let served = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        let mut stream = trial.connect();
        let written = stream.get_mut().write_all(b"{\"do\":\"status\"}\n");
        written.is_ok() && answer(&mut stream)["ok"] == true
    });
    assert!(served, "a place that became free is given to the next");
}

#[test]
fn the_socket_is_this_user_s_alone_and_is_removed() {
    let mut trial = Trial::start();
    let path = trial.server.as_ref().unwrap().path().to_owned();
    assert_eq!(path, trial.directory.join("stockade/trial.sock"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let folder = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(folder.mode() & 0o777, 0o700);
    trial.server = None;
    assert!(!path.exists());
}

#[test]
fn a_name_that_runs_is_refused_and_a_stale_socket_gives_way() {
    let mut trial = Trial::start();
    let again = |trial: &Trial| {
        Server::start_in(
            &trial.surroundings,
            &name(),
            Arc::clone(&trial.launcher),
            SOON,
        )
    };
    let error = again(&trial).err().unwrap();
    assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");
    assert_eq!(
        trial.ask(r#"{"do":"status"}"#)["ok"],
        true,
        "the first goes on"
    );

    let path = trial.server.as_ref().unwrap().path().to_owned();
    trial.server = None;
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "what a killed launcher leaves");
    trial.server = Some(again(&trial).unwrap());
    assert_eq!(trial.ask(r#"{"do":"status"}"#)["ok"], true);

    trial.server = None;
    fs::write(&path, "something else").unwrap();
    let error = again(&trial).err().unwrap();
    assert!(
        error.to_string().contains("no socket; move it away"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"something else");

    fs::remove_file(&path).unwrap();
    let others = UnixListener::bind(&path).unwrap();
    let error = again(&trial).err().unwrap();
    assert!(
        error.to_string().contains("somebody listens there"),
        "{error}"
    );
    drop(UnixStream::connect(&path).unwrap());
    drop(others);
}

#[test]
fn the_socket_of_a_successor_is_left_alone() {
    let mut trial = Trial::start();
    let path = trial.server.as_ref().unwrap().path().to_owned();
    fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    trial.server = None;
    assert!(path.exists());
}

#[test]
fn names_are_checked() {
    for good in ["a", "web-1", "größe", "a b", &"x".repeat(64)] {
        assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
    }
    for bad in [
        "",
        "a/b",
        "/",
        ".",
        "..",
        ".hidden",
        "a\nb",
        "a\0b",
        &"x".repeat(65),
    ] {
        assert!(bad.parse::<Name>().is_err(), "{bad:?}");
    }
}

#[test]
fn the_place_follows_the_surroundings() {
    let base = surroundings(Path::new("/session"));
    let own = |change: &dyn Fn(&mut Surroundings)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed.candidates(&name()).remove(0)
    };
    let user = |it: &mut Surroundings| it.uid = 1000;
    let check = |change: &dyn Fn(&mut Surroundings), expect: &str| {
        assert_eq!(own(change), Path::new(expect));
    };
    check(&user, "/session/stockade/trial.sock");
    check(&|it| it.is_root = true, "/session/roots/trial.sock");
    check(
        &|it| it.service = Some("/run/x".into()),
        "/run/x/trial.sock",
    );
    check(
        &|it| {
            user(it);
            it.session = None;
        },
        "/session/temporary/stockade-1000/trial.sock",
    );
    // A service's own directory is found from outside, too.
    let all = base.candidates(&name());
    assert!(
        all.contains(&PathBuf::from("/session/roots/trial/trial.sock")),
        "{all:?}"
    );
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let directory = directory();
    let surroundings = surroundings(&directory);
    let folder = directory.join("stockade");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let error = surroundings.make().unwrap_err();
    assert!(
        error.to_string().contains("written to by others"),
        "{error}"
    );
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(surroundings.make().unwrap(), folder);
    fs::remove_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/", &folder).unwrap();
    let error = surroundings.make().unwrap_err();
    assert!(error.to_string().contains("is no directory"), "{error}");
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn all_names_that_are_there_are_found() {
    let directory = directory();
    let surroundings = surroundings(&directory);
    for path in [
        "stockade/b.sock",
        "roots/a/a.sock",
        "roots/b.sock",
        "roots/.x.sock",
        "roots/y",
    ] {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let names: Vec<String> = surroundings.names().iter().map(Name::to_string).collect();
    assert_eq!(names, ["a", "b"]);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn nobody_answers_for_a_launcher_that_does_not_run() {
    let name: Name = "no-launcher-has-this-name".parse().unwrap();
    let error = status(&name).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no launcher named no-launcher-has-this-name runs"
    );
    assert!(reload(&name).is_err() && stop(&name, None, || {}).is_err());
    assert!(diagnose(&name, 0, |_| {}).is_err());
}
