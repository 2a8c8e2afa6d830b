//! Debian's packages, downloaded and unpacked beside the build: nothing of them is installed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, process};

/// Shortest way to one kernel for virtual machines, whatever its version is now; the second is
/// Ubuntu's.
const KERNELS: [&str; 2] = ["linux-image-cloud-amd64", "linux-image-virtual"];
/// How a kernel's own package begins.
const KERNEL_PREFIX: &str = "linux-image-";
/// What is in the guests besides the kernel; the libraries they need come along.
const PROGRAMS: [&str; 4] = ["busybox-static", "stunnel4", "nginx", "libnginx-mod-stream"];
/// Written last, so that a folder is whole or made anew.
const RECORD: &str = "packages.txt";

/// An unpacked set of packages.
pub(super) struct Tree {
    /// The file system's root.
    pub(super) root: PathBuf,
    /// The packages' files, such as `stunnel4_3%3a5.68-2_amd64.deb`.
    pub(super) packages: Vec<String>,
}

/// Finds the packages in `folder`, or downloads them there, if `download` allows.
pub(super) fn tree(folder: &Path, download: bool) -> Result<Tree> {
    let root = folder.join("root");
    if let Ok(record) = fs::read_to_string(folder.join(RECORD)) {
        let packages = record.lines().map(str::to_owned).collect();
        return Ok(Tree { root, packages });
    }
    for program in ["apt-get", "apt-cache", "dpkg-deb"] {
        if process::find_program(program).is_none() {
            return Err(format!(
                "{program} is missing: the peers are Debian's, and only Debian and Ubuntu have its \
                 packages. `--only stockade` measures ours alone"
            )
            .into());
        }
    }
    if !download {
        return Err(
            "--no-install was given, and Debian's packages are not here yet; `--only stockade` \
             measures ours alone"
                .into(),
        );
    }
    let names = closure()?;
    eprintln!("Downloading {} packages of the peers ...", names.len());
    let files = folder.join("files");
    // Of an attempt that did not come to its end.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(&files)?;
    fs::create_dir_all(&root)?;
    let mut command = Command::new("apt-get");
    command
        // Root's own folders are closed to the user that apt-get would otherwise download as.
        .args(["--quiet=2", "--option=APT::Sandbox::User=root", "download"])
        .args(&names)
        .current_dir(&files)
        .stdin(Stdio::null());
    process::run(&mut command)?;
    let mut packages = Vec::new();
    for entry in fs::read_dir(&files)? {
        let entry = entry?;
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(entry.path()).arg(&root);
        process::run(&mut command)?;
        packages.push(entry.file_name().to_string_lossy().into_owned());
    }
    packages.sort();
    fs::write(folder.join(RECORD), packages.join("\n"))?;
    Ok(Tree { root, packages })
}

/// The kernel, the programs, and the libraries that these need.
fn closure() -> Result<BTreeSet<String>> {
    let kernels = depends(&KERNELS.map(str::to_owned))?;
    let kernel = kernels
        .into_iter()
        .find(|name| name.starts_with(KERNEL_PREFIX) && !KERNELS.contains(&name.as_str()))
        .ok_or("this system's package lists name no kernel for virtual machines")?;
    let mut all = BTreeSet::from([kernel]);
    let mut next: Vec<String> = PROGRAMS.map(str::to_owned).into();
    while !next.is_empty() {
        let found = depends(&next)?;
        all.extend(next);
        next = found
            .into_iter()
            .filter(|name| is_library(name) && !all.contains(name))
            .collect();
    }
    Ok(all)
}

/// Whether a package of this name holds libraries: other dependencies are not needed to run.
fn is_library(name: &str) -> bool {
    ["lib", "zlib"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// What these packages depend on. Unknown ones depend on nothing.
fn depends(packages: &[String]) -> Result<BTreeSet<String>> {
    let mut command = Command::new("apt-cache");
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
    fn dependencies_are_read_from_apt_cache() {
        let text = "stunnel4\n  Depends: libc6\n  Depends: <perl:any>\n    perl\n \
                    |Depends: lsb-base\n  PreDepends: init-system-helpers\n  Suggests: logcheck\n \
                    Conflicts: libold\n";
        let expected = ["init-system-helpers", "libc6"].map(str::to_owned);
        assert_eq!(dependencies(text), BTreeSet::from(expected));
        assert!(dependencies("").is_empty());
    }
}
