//! The launcher, over stand-ins for QEMU: shell scripts, and this test program itself where the
//! management channel is spoken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::Accel;

mod channel;
mod console;
mod orphans;
mod rootless;
mod stand_in;

const SOON: Duration = Duration::from_secs(30);

/// A launcher with a directory of its own, whose QEMU is a script there.
struct Trial {
    directory: PathBuf,
    /// The content of the file that the configuration names.
    content: Arc<Mutex<String>>,
    launcher: Option<Launcher>,
}

impl Trial {
    /// Starts a launcher whose QEMU is this; `$dir` is the trial's directory, and `$n` which
    /// machine it is.
    fn start(script: &str) -> Trial {
        Trial::start_with(script, |_| {})
    }

    fn start_with(script: &str, change: impl FnOnce(&mut Options)) -> Trial {
        let (mut trial, mut options) = Trial::new(script);
        change(&mut options);
        trial.launcher = Some(Launcher::start(options).unwrap());
        trial
    }

    fn new(script: &str) -> (Trial, Options) {
        static TRIALS: AtomicU32 = AtomicU32::new(0);
        let number = TRIALS.fetch_add(1, Ordering::Relaxed);
        let name = format!("stockade-launch-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let program = directory.join("qemu");
        let script = format!(
            "#!/bin/bash\ndir={}\necho x >> $dir/starts\nn=$(wc -l < $dir/starts)\n{script}\n",
            directory.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();

        let content = Arc::new(Mutex::new("good".to_owned()));
        let read = Arc::clone(&content);
        let source = move || {
            let content = read.lock().unwrap().clone();
            if content == "unreadable" {
                return Err(vec!["line 1: no".to_owned(), "line 2: no".to_owned()]);
            }
            Ok(Setup {
                kernel_line: "--cert=file:cert.pem".to_owned().into(),
                files: vec![("cert.pem".to_owned(), content.into_bytes().into())],
                ..Setup::default()
            })
        };
        let image = Image::Bytes(Arc::from(&b"an image"[..]));
        let mut options = Options::new(image, Link::None, source);
        options.machinery.program = program.to_str().unwrap().to_owned();
        options.machinery.accel = Accel::Tcg;
        options.pauses.first = Duration::from_millis(10);
        let trial = Trial {
            directory,
            content,
            launcher: None,
        };
        (trial, options)
    }

    fn launcher(&self) -> &Launcher {
        self.launcher.as_ref().unwrap()
    }

    fn ready(&self) -> Ready {
        self.launcher().wait_ready(SOON).unwrap()
    }

    fn set(&self, content: &str) {
        *self.content.lock().unwrap() = content.to_owned();
    }

    fn touch(&self, file: &str) {
        fs::write(self.directory.join(file), "").unwrap();
    }

    /// Waits until the launcher stands like this.
    fn wait_for(&self, what: &str, holds: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..3000 {
            let status = self.launcher().status(Duration::ZERO);
            if holds(&status) {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!(
            "waited in vain for {what}: {:?}",
            self.launcher().status(Duration::ZERO)
        );
    }

    /// The events' words and texts, and that they are numbered without a gap.
    fn events(&self) -> Vec<(&'static str, String)> {
        let events = self.launcher().events_since(0, usize::MAX);
        assert_eq!((events.missed, events.more), (0, false));
        for (record, number) in events.records.iter().zip(1..) {
            assert_eq!(record.number, number);
        }
        let told = |record: Record| (record.kind.word(), record.text);
        events.records.into_iter().map(told).collect()
    }

    fn words(&self) -> Vec<&'static str> {
        self.events().into_iter().map(|(word, _)| word).collect()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        drop(self.launcher.take());
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// What a script says once it serves.
const SERVE: &str = "echo '[0.1] ready: accepting on 10.0.2.15:443'; exec sleep 600";
