//! Files of this host for the boot archive: those that the image's words name by `file:`, and a folder
//! of hosts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use stockade_config::{Zeroizing, archive, command_line};

use crate::words::shown;

/// The folder of hosts in the boot archive, when the user's words do not name it.
pub(crate) const HOSTS: &str = "hosts";

/// Where files lie in the boot archive whose own names it does not take.
const OTHERS: &str = "packed";

/// Most bytes of one file: a chain of certificates with its key has some thousands.
const MAX_FILE: u64 = 1 << 20;
/// Most bytes of a folder: a good part of the smallest machine's memory.
const MAX_FOLDER: u64 = 16 << 20;
/// Most hosts of a folder: a boot archive has room for some files more.
const MAX_HOSTS: usize = 1_000;

/// What was read.
#[derive(Default)]
pub(crate) struct Packed {
    /// The user's words, with the names that the files have in the boot archive.
    pub(crate) line: String,
    /// The files.
    pub(crate) files: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// What of a folder was passed over.
    pub(crate) notices: Vec<String>,
}

/// Reads every file that the line names, but a stunnel configuration, which names others in turn.
///
/// # Errors
///
/// All of them that can't be read, a line each.
pub(crate) fn pack(line: &str) -> Result<Packed, Vec<String>> {
    let mut packed = Packed::default();
    let mut errors = Vec::new();
    let mut sources: Vec<(&str, String)> = Vec::new();
    let mut rest = 0;
    for (option, path) in command_line::files(line) {
        if option == "--conf" || path.is_empty() {
            continue;
        }
        let name = match sources.iter().find(|(known, _)| *known == path) {
            Some((_, name)) => name.clone(),
            None => {
                let name = packed.free_name(option, path);
                packed
                    .add(option, Path::new(path), &name)
                    .unwrap_or_else(|error| errors.push(format!("{option}: {error}")));
                sources.push((path, name.clone()));
                name
            }
        };
        // The path is a part of the line.
        let at = path.as_ptr() as usize - line.as_ptr() as usize;
        packed.line.push_str(line.get(rest..at).unwrap_or_default());
        packed.line.push_str(&name);
        rest = at + path.len();
    }
    packed.line.push_str(line.get(rest..).unwrap_or_default());
    match errors.is_empty() {
        true => Ok(packed),
        false => Err(errors),
    }
}

impl Packed {
    /// Reads what the option names: a file, or a folder of hosts.
    pub(crate) fn add(&mut self, option: &str, path: &Path, name: &str) -> Result<(), String> {
        if option == "--hosts" {
            return self.folder(path, name);
        }
        let bytes = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        self.files.push((name.to_owned(), bytes));
        Ok(())
    }

    /// A name in the boot archive for the file at this path: the path where that can be one.
    fn free_name(&self, option: &str, path: &str) -> String {
        let plain = path.trim_matches('/');
        let inside = format!("{plain}/");
        let is_free = |name: &&str| {
            let taken = |known: &String| known == name || known.starts_with(&inside);
            archive::check_name(name).is_ok() && !self.files.iter().any(|(known, _)| taken(known))
        };
        let option = option.trim_start_matches('-');
        Some(plain)
            .filter(is_free)
            .map_or_else(|| format!("{OTHERS}/{option}"), str::to_owned)
    }

    /// Every file of a folder, each of which is a host. Folders in it and hidden files are none: they
    /// are what Git, Kubernetes and editors leave there.
    fn folder(&mut self, folder: &Path, name: &str) -> Result<(), String> {
        let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
        let entries = fs::read_dir(folder).map_err(|error| at(folder, error))?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| at(folder, error))?;
        paths.sort();
        let (mut count, mut bytes) = (0, 0);
        for path in paths {
            let file = path.file_name().unwrap_or_default();
            if file.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(|error| at(&path, error))?;
            if !metadata.is_file() {
                self.notices.push(format!(
                    "warning: {} is no file, and is passed over",
                    shown(&path)
                ));
                continue;
            }
            let name = file
                .to_str()
                .map(|file| format!("{name}/{file}"))
                .filter(|name| archive::check_name(name).is_ok())
                .ok_or_else(|| format!("{}: no host is called so", path.display()))?;
            let content = read(&path).map_err(|error| at(&path, error))?;
            count += 1;
            bytes += content.len() as u64;
            if count > MAX_HOSTS || bytes > MAX_FOLDER {
                return Err(format!(
                    "{}: expected at most {MAX_HOSTS} hosts of {} MiB together, found more",
                    folder.display(),
                    MAX_FOLDER >> 20
                ));
            }
            self.files.push((name, content));
        }
        if count == 0 {
            return Err(format!(
                "{}: no host in it; expected files such as www.example.org.pem, each with a \
                 certificate chain and its key",
                folder.display()
            ));
        }
        Ok(())
    }
}

/// Reads a file that is not longer than such a file can be.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // One allocation, so that no part of a secret is left behind by another.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {} MiB", MAX_FILE >> 20),
        ));
    }
    Ok(Zeroizing::new(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    /// A folder of this test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str, files: &[(&str, &str)]) -> Folder {
            let name = format!("stockade-packing-{name}-{}", std::process::id());
            let folder = Folder(std::env::temp_dir().join(name));
            for (name, text) in files {
                let path = folder.0.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            folder
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn names(packed: &Packed) -> Vec<&str> {
        packed.files.iter().map(|(name, _)| &**name).collect()
    }

    fn refused(line: &str) -> String {
        match pack(line) {
            Ok(packed) => panic!("{line}: {:?}", names(&packed)),
            Err(errors) => errors.join("\n"),
        }
    }

    #[test]
    fn named_files_are_read_and_called_by_their_paths() {
        let folder = Folder::new("files", &[("key.txt", "a"), ("pass", "b")]);
        let path = folder.path();
        let inner = path.trim_start_matches('/');
        let line = format!(
            "--ssh-key=file:{path}/key.txt --pass  file:{path}/pass --log=info \
             --ssh-seed file:{path}/key.txt"
        );
        let packed = pack(&line).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(packed.line, line.replace(path, inner));
        let expected = [format!("{inner}/key.txt"), format!("{inner}/pass")];
        assert_eq!(names(&packed), expected);
        let texts: Vec<&[u8]> = packed.files.iter().map(|(_, bytes)| &bytes[..]).collect();
        assert_eq!(texts, [b"a", b"b"]);
    }

    #[test]
    fn names_that_the_archive_does_not_take_are_replaced() {
        let long = "x".repeat(90);
        let folder = Folder::new("long", &[(&long, "a"), ("command-line", "b")]);
        let path = folder.path();
        let packed = pack(&format!(
            "--pass=file:{path}/{long} --eab=file:{path}/{long}"
        ));
        let packed = packed.unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(
            packed.line,
            "--pass=file:packed/pass --eab=file:packed/pass"
        );
        assert_eq!(names(&packed), ["packed/pass"]);
    }

    #[test]
    fn a_folder_s_files_are_hosts() {
        let folder = Folder::new(
            "hosts",
            &[
                ("b.example.pem", "b"),
                ("a.example.pem", "a"),
                (".git/config", "x"),
                (".swp", "x"),
                ("old/c.example.pem", "x"),
            ],
        );
        let path = folder.path();
        // As Kubernetes mounts secrets, and as certbot(1) leads to the newest.
        symlink("a.example.pem", folder.0.join("d.example.pem")).unwrap();
        for given in [path.to_owned(), format!("{path}/")] {
            let packed = pack(&format!("--hosts=file:{given}"));
            let packed = packed.unwrap_or_else(|errors| panic!("{errors:?}"));
            let name = path.trim_start_matches('/');
            assert_eq!(packed.line, format!("--hosts=file:{name}"));
            let expected = ["a.example.pem", "b.example.pem", "d.example.pem"]
                .map(|file| format!("{name}/{file}"));
            assert_eq!(names(&packed), expected);
            let [notice] = &packed.notices[..] else {
                panic!("{:?}", packed.notices);
            };
            assert!(
                notice.ends_with("/old is no file, and is passed over"),
                "{notice}"
            );
        }
        let mut packed = Packed::default();
        packed.add("--hosts", &folder.0, HOSTS).unwrap();
        assert_eq!(names(&packed).first(), Some(&"hosts/a.example.pem"));
    }

    #[test]
    fn what_can_t_be_read_is_named_with_its_option() {
        let folder = Folder::new("wrong", &[("empty/.hidden", ""), ("odd/bücher.pem", "x")]);
        let path = folder.path();
        fs::write(folder.0.join("big"), vec![0; 1 << 20 | 1]).unwrap();
        for (line, expected) in [
            (
                format!("--pass=file:{path}/none --ssh-key file:{path}/big"),
                format!(
                    "--pass: {path}/none: No such file or directory (os error 2)\n\
                     --ssh-key: {path}/big: longer than 1 MiB"
                ),
            ),
            (
                format!("--hosts=file:{path}/none"),
                format!("--hosts: {path}/none: No such file or directory (os error 2)"),
            ),
            (
                format!("--hosts=file:{path}/empty"),
                format!(
                    "--hosts: {path}/empty: no host in it; expected files such as \
                     www.example.org.pem, each with a certificate chain and its key"
                ),
            ),
            (
                format!("--hosts=file:{path}/odd"),
                format!("--hosts: {path}/odd/bücher.pem: no host is called so"),
            ),
        ] {
            assert_eq!(refused(&line), expected);
        }
    }

    #[test]
    fn a_configuration_is_left_to_those_who_know_what_it_names() {
        for line in [
            "",
            "--conf=file:/none --log=info",
            "--pass=file: --email=file:/none",
        ] {
            let packed = pack(line).unwrap_or_else(|errors| panic!("{errors:?}"));
            assert_eq!(packed.line, line);
            assert!(packed.files.is_empty());
        }
    }
}
