//! Kept, and made anew when they must be.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("stockade-pki-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[test]
fn certificates_are_kept_between_runs() {
    let folder = Folder::new("kept");
    let first = development(&folder.0, now()).unwrap();
    assert!(first.fresh);
    let key = fs::read(&first.key).unwrap();
    let second = development(&folder.0, now() + Duration::from_secs(300 * DAY)).unwrap();
    assert!(!second.fresh);
    assert_eq!(second.expires, first.expires);
    assert_eq!(fs::read(&second.key).unwrap(), key);
}

#[test]
fn certificates_are_made_anew_in_their_last_week_and_after() {
    let folder = Folder::new("anew");
    for days in [0, 359, 2 * 365] {
        assert!(
            development(&folder.0, now() + Duration::from_secs(days * DAY))
                .unwrap()
                .fresh,
            "{days}"
        );
    }
}

#[test]
fn damaged_or_missing_files_are_made_anew() {
    let folder = Folder::new("damaged");
    let files = development(&folder.0, now()).unwrap();
    for path in [
        &files.authority,
        &files.certificate,
        &files.key,
        &folder.0.join("record"),
    ] {
        fs::write(path, b"damaged").unwrap();
        assert!(
            development(&folder.0, now()).unwrap().fresh,
            "{}",
            path.display()
        );
        fs::remove_file(path).unwrap();
        assert!(
            development(&folder.0, now()).unwrap().fresh,
            "{}",
            path.display()
        );
        assert!(!development(&folder.0, now()).unwrap().fresh);
    }
}

#[test]
fn the_key_is_its_owner_s_alone_and_nothing_else_stays() {
    let folder = Folder::new("mode");
    let files = development(&folder.0, now()).unwrap();
    let mode = fs::metadata(&files.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&files.key).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
    let mut names: Vec<_> = fs::read_dir(&folder.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["ca.pem", "cert.pem", "key.pem", "record"]);
}
