//! Debian's packages, downloaded and unpacked beside the build: nothing of them is installed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, process};

/// Written last, so that a folder is whole or made anew.
const RECORD: &str = "packages.txt";
/// What was wanted when the folder was made.
const WANTED: &str = "wanted.txt";

/// What is to be unpacked.
pub(crate) struct Wanted<'a> {
    /// Packages; the libraries that they need come along.
    pub(crate) packages: &'a [&'a str],
    /// Packages that merely name the one for this system, such as `postgresql` for `postgresql-15`.
    pub(crate) pointers: &'a [Pointer],
    /// Packages that not every system has: those that are not known here are left out, aloud.
    pub(crate) optional: &'a [&'a str],
    /// Beginnings of the names of libraries that are not needed to run the programs.
    pub(crate) without: &'a [&'a str],
    /// How to go on without the packages: the end of an error's sentence.
    pub(crate) otherwise: &'a str,
}

/// Packages that depend on the one that is wanted. The first that is known here counts.
pub(crate) struct Pointer {
    /// Their names.
    pub(crate) names: &'static [&'static str],
    /// How the name of the package that is wanted begins.
    pub(crate) prefix: &'static str,
}

/// An unpacked set of packages.
pub(crate) struct Tree {
    /// The file system's root.
    pub(crate) root: PathBuf,
    /// The packages' files, such as `stunnel4_3%3a5.68-2_amd64.deb`.
    pub(crate) packages: Vec<String>,
}

/// Finds the packages in `folder`, or downloads them there, if `download` allows.
pub(crate) fn tree(folder: &Path, wanted: &Wanted<'_>, download: bool) -> Result<Tree> {
    let root = folder.join("root");
    if fs::read_to_string(folder.join(WANTED)).is_ok_and(|text| text == wanted.text()) {
        let record = fs::read_to_string(folder.join(RECORD))?;
        let packages = record.lines().map(str::to_owned).collect();
        return Ok(Tree { root, packages });
    }
    let otherwise = wanted.otherwise;
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if process::find_program(program).is_none() {
            return Err(format!(
                "{program} is missing: the peers are Debian's, and only Debian and Ubuntu have its \
                 packages; {otherwise}"
            )
            .into());
        }
    }
    if !download {
        return Err(format!(
            "--no-install was given, and Debian's packages are not here yet; {otherwise}"
        )
        .into());
    }
    // Of an attempt that did not come to its end, or of other wishes.
    let _ = fs::remove_dir_all(folder);
    let files = folder.join("files");
    fs::create_dir_all(&files)?;
    fs::create_dir_all(&root)?;
    let lists = Lists::of_this_system();
    if let Err(error) = fetch(wanted, &lists, &files) {
        eprintln!("{error}\nTrying again with package lists of today ...");
        let _ = fs::remove_dir_all(&files);
        fs::create_dir_all(&files)?;
        fetch(wanted, &Lists::fresh(&folder.join("lists"))?, &files)?;
    }
    let packages = unpack(&files, &root)?;
    for needless in ["files", "lists"] {
        let _ = fs::remove_dir_all(folder.join(needless));
    }
    fs::write(folder.join(RECORD), packages.join("\n"))?;
    fs::write(folder.join(WANTED), wanted.text())?;
    Ok(Tree { root, packages })
}

impl Wanted<'_> {
    /// All of it, for comparison.
    fn text(&self) -> String {
        let pointers = self.pointers.iter().map(|pointer| pointer.prefix);
        let names = self.packages.iter().copied().chain(pointers);
        let names = names.chain(self.optional.iter().copied());
        let without = self.without.iter().map(|prefix| format!("-{prefix}"));
        names
            .map(str::to_owned)
            .chain(without)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Downloads all packages into `files`.
fn fetch(wanted: &Wanted<'_>, lists: &Lists, files: &Path) -> Result<()> {
    let names = closure(wanted, lists)?;
    eprintln!("Downloading {} packages of the peers ...", names.len());
    let mut command = lists.command("apt-get");
    command
        .args(["--quiet=2", "download"])
        .args(&names)
        .current_dir(files)
        .stdin(Stdio::null());
    process::run(&mut command)
}

/// Unpacks all packages in `files`; gives their names.
fn unpack(files: &Path, root: &Path) -> Result<Vec<String>> {
    let mut packages = Vec::new();
    let mut bytes = 0;
    for entry in fs::read_dir(files)? {
        let entry = entry?;
        bytes += entry.metadata()?.len();
        packages.push(entry.file_name().to_string_lossy().into_owned());
    }
    packages.sort();
    let megabytes = bytes / 1_000_000;
    eprintln!("Unpacking them ({megabytes} MB), without installing anything ...");
    for package in &packages {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(files.join(package)).arg(root);
        process::run(&mut command)?;
    }
    // Nothing in there shall run with more rights than its caller has, or be closed to him.
    let mut command = Command::new("chmod");
    command.args(["-R", "u+rwX,a+rX,ug-s"]).arg(root);
    process::run(&mut command)?;
    Ok(packages)
}

/// The package lists that apt works with.
struct Lists {
    options: Vec<OsString>,
}

impl Lists {
    /// Those that this system has.
    fn of_this_system() -> Lists {
        // Root's own folders are closed to the user that apt-get would otherwise download as.
        let options = vec!["--option=APT::Sandbox::User=root".into()];
        Lists { options }
    }

    /// Today's, in a folder of our own: that takes no root, and changes nothing elsewhere.
    fn fresh(folder: &Path) -> Result<Lists> {
        let mut lists = Self::of_this_system();
        for (name, below) in [("State::lists", "lists"), ("Cache", "cache")] {
            let path = folder.join(below);
            fs::create_dir_all(path.join("partial"))?;
            let mut option = OsString::from(format!("--option=Dir::{name}="));
            option.push(&path);
            lists.options.push(option);
        }
        process::run(lists.command("apt-get").args(["--quiet=2", "update"]))?;
        Ok(lists)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options);
        command
    }
}

/// The packages, and the libraries that they need.
fn closure(wanted: &Wanted<'_>, lists: &Lists) -> Result<BTreeSet<String>> {
    let mut next: Vec<String> = wanted.packages.iter().copied().map(str::to_owned).collect();
    for pointer in wanted.pointers {
        next.push(followed(pointer, lists)?);
    }
    for name in wanted.optional {
        match depends(lists, [*name].into_iter())?.is_empty() {
            true => eprintln!(
                "This system's package lists have no {name}: the tests that need it will be skipped."
            ),
            false => next.push((*name).to_owned()),
        }
    }
    let mut all = BTreeSet::new();
    while !next.is_empty() {
        let found = depends(lists, next.iter().map(String::as_str))?;
        all.extend(next);
        next = found
            .into_iter()
            .filter(|name| is_library(name) && !all.contains(name))
            .filter(|name| !wanted.without.iter().any(|prefix| name.starts_with(prefix)))
            .collect();
    }
    Ok(all)
}

/// The package that this one names.
fn followed(pointer: &Pointer, lists: &Lists) -> Result<String> {
    let names = pointer.names;
    let found = depends(lists, names.iter().copied())?;
    let mut wanted = found
        .into_iter()
        .filter(|name| name.starts_with(pointer.prefix) && !names.contains(&name.as_str()));
    let missing = || format!("this system's package lists have no {}", names.join(" or "));
    Ok(wanted.next().ok_or_else(missing)?)
}

/// Whether a package of this name holds libraries: other dependencies are not needed to run.
fn is_library(name: &str) -> bool {
    ["lib", "zlib"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// What these packages depend on. Unknown ones depend on nothing.
fn depends<'a>(lists: &Lists, packages: impl Iterator<Item = &'a str>) -> Result<BTreeSet<String>> {
    let mut command = lists.command("apt-cache");
    command.arg("depends").args(packages).stderr(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("apt-cache: {error}"))?;
    Ok(dependencies(&String::from_utf8_lossy(&output.stdout)))
}

/// The packages behind `Depends:` and `PreDepends:` (apt-cache(8)), but for virtual ones and
/// those that are one of several choices.
fn dependencies(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.trim_start().split_once(": "))
        .filter(|(kind, _)| ["Depends", "PreDepends"].contains(kind))
        .map(|(_, name)| name.trim())
        .filter(|name| !name.starts_with('<'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_wishes_are_told_apart() {
        let wanted = |packages, optional, without| Wanted {
            packages,
            pointers: &[Pointer {
                names: &["postgresql"],
                prefix: "postgresql-",
            }],
            optional,
            without,
            otherwise: "",
        };
        let text = wanted(&["exim4", "nginx"], &["chromium"], &["libz3-"]).text();
        assert_eq!(text, "exim4\nnginx\npostgresql-\nchromium\n-libz3-");
        for other in [
            wanted(&["exim4", "nginx"], &["chromium"], &[]),
            wanted(&["exim4", "nginx"], &[], &["libz3-"]),
            wanted(&["exim4"], &["chromium"], &["libz3-"]),
        ] {
            assert_ne!(text, other.text());
        }
    }

    #[test]
    fn dependencies_are_read_from_apt_cache() {
        let text = "stunnel4\n  Depends: libc6\n  Depends: <perl:any>\n    perl\n \
                    |Depends: lsb-base\n  PreDepends: init-system-helpers\n  Suggests: logcheck\n \
                    Conflicts: libold\n";
        let expected = ["init-system-helpers", "libc6"].map(str::to_owned);
        assert_eq!(dependencies(text), BTreeSet::from(expected));
        assert!(dependencies("").is_empty());
    }
}
