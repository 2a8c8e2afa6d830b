//! Installs what is missing, with the distribution's own package manager.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

use crate::{Result, process};

/// A program that we need, and its package for each package manager, in [`Manager`]'s order.
pub(crate) struct Tool {
    program: &'static str,
    packages: [&'static str; 5],
}

const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    packages: [
        "qemu-system-x86",
        "qemu-system-x86-core",
        "qemu-system-x86",
        "qemu-x86",
        "qemu-system-x86_64",
    ],
};
const SETPRIV: Tool = Tool {
    program: "setpriv",
    packages: [
        "util-linux",
        "util-linux",
        "util-linux",
        "util-linux",
        "setpriv",
    ],
};
const UNSHARE: Tool = Tool {
    program: "unshare",
    packages: [
        "util-linux",
        "util-linux",
        "util-linux",
        "util-linux",
        "util-linux-misc",
    ],
};
const GCC: Tool = Tool {
    program: "gcc",
    packages: ["gcc", "gcc", "gcc", "gcc", "gcc"],
};
const OBJCOPY: Tool = Tool {
    program: "objcopy",
    packages: ["binutils", "binutils", "binutils", "binutils", "binutils"],
};
const IP: Tool = Tool {
    program: "ip",
    packages: ["iproute2", "iproute", "iproute2", "iproute2", "iproute2"],
};
const OPENSSL: Tool = Tool {
    program: "openssl",
    packages: ["openssl", "openssl", "openssl", "openssl", "openssl"],
};
const CURL: Tool = Tool {
    program: "curl",
    packages: ["curl", "curl", "curl", "curl", "curl"],
};
const GIT: Tool = Tool {
    program: "git",
    packages: ["git", "git", "git", "git", "git"],
};
const STUNNEL: Tool = Tool {
    program: "stunnel",
    packages: ["stunnel4", "stunnel", "stunnel", "stunnel", "stunnel"],
};
const SOCAT: Tool = Tool {
    program: "socat",
    packages: ["socat", "socat", "socat", "socat", "socat"],
};
const PYTHON: Tool = Tool {
    program: "python3",
    packages: ["python3", "python3", "python", "python3", "python3"],
};
const REDIS_SERVER: Tool = Tool {
    program: "redis-server",
    packages: ["redis-server", "redis", "redis", "redis", "redis"],
};
const REDIS_CLI: Tool = Tool {
    program: "redis-cli",
    packages: ["redis-tools", "redis", "redis", "redis", "redis"],
};
const TCPDUMP: Tool = Tool {
    program: "tcpdump",
    packages: ["tcpdump", "tcpdump", "tcpdump", "tcpdump", "tcpdump"],
};
const PKILL: Tool = Tool {
    program: "pkill",
    packages: ["procps", "procps-ng", "procps-ng", "procps", "procps-ng"],
};
const PIP: Tool = Tool {
    program: "pip3",
    packages: [
        "python3-pip",
        "python3-pip",
        "python-pip",
        "python3-pip",
        "py3-pip",
    ],
};
const SHELLCHECK: Tool = Tool {
    program: "shellcheck",
    packages: [
        "shellcheck",
        "ShellCheck",
        "shellcheck",
        "ShellCheck",
        "shellcheck",
    ],
};

/// What building the image takes. Rust's own linker driver is gcc, too.
pub(crate) const BUILD: &[Tool] = &[GCC, OBJCOPY];
/// What running the image and trying it out takes.
pub(crate) const RUN: &[Tool] = &[GCC, OBJCOPY, QEMU, SETPRIV, CURL];
/// What running the image on a bridge takes.
pub(crate) const RUN_ON_BRIDGE: &[Tool] = &[GCC, OBJCOPY, QEMU, SETPRIV, CURL, IP];
/// What the measurements take, besides what they unpack and do not install.
pub(crate) const BENCH: &[Tool] = &[GCC, OBJCOPY, QEMU, SETPRIV, UNSHARE, IP];
/// What the linters of `deploy/` take, besides those that come by themselves.
pub(crate) const DEPLOY_LINT: &[Tool] = &[PIP, SHELLCHECK];
/// What the tests take.
pub(crate) const TEST: &[Tool] = &[
    GCC,
    OBJCOPY,
    QEMU,
    SETPRIV,
    UNSHARE,
    IP,
    OPENSSL,
    CURL,
    GIT,
    STUNNEL,
    SOCAT,
    PYTHON,
    REDIS_SERVER,
    REDIS_CLI,
    TCPDUMP,
    PKILL,
];

/// The package managers that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Zypper,
    Apk,
}

impl Manager {
    /// In order of preference: a system may have several, and then `apt-get` or `dnf` rules it.
    const ALL: [Manager; 5] = [
        Manager::Apt,
        Manager::Dnf,
        Manager::Pacman,
        Manager::Zypper,
        Manager::Apk,
    ];

    const fn program(self) -> &'static str {
        match self {
            Manager::Apt => "apt-get",
            Manager::Dnf => "dnf",
            Manager::Pacman => "pacman",
            Manager::Zypper => "zypper",
            Manager::Apk => "apk",
        }
    }

    /// The first of those whose program is there.
    fn choose(is_there: impl Fn(&str) -> bool) -> Option<Manager> {
        Manager::ALL
            .into_iter()
            .find(|manager| is_there(manager.program()))
    }

    /// The commands that install packages, without asking and without what nobody asked for.
    fn commands(self, packages: &[&str]) -> Vec<Vec<String>> {
        let lines: &[&[&str]] = match self {
            Manager::Apt => &[
                &["apt-get", "update"],
                &["apt-get", "install", "--yes", "--no-install-recommends"],
            ],
            Manager::Dnf => &[&[
                "dnf",
                "install",
                "--assumeyes",
                "--setopt=install_weak_deps=False",
            ]],
            // Installing after a mere refresh is a partial upgrade, which Arch does not support.
            Manager::Pacman => &[&["pacman", "-Syu", "--needed", "--noconfirm"]],
            Manager::Zypper => &[&["zypper", "--non-interactive", "install", "--no-recommends"]],
            Manager::Apk => &[&["apk", "add"]],
        };
        let mut commands: Vec<Vec<String>> = lines
            .iter()
            .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
            .collect();
        if let Some(last) = commands.last_mut() {
            last.extend(packages.iter().map(|package| (*package).to_owned()));
        }
        commands
    }

    fn package(self, tool: &Tool) -> &'static str {
        match self {
            Manager::Apt => tool.packages[0],
            Manager::Dnf => tool.packages[1],
            Manager::Pacman => tool.packages[2],
            Manager::Zypper => tool.packages[3],
            Manager::Apk => tool.packages[4],
        }
    }
}

/// Makes sure that these programs are there: installs what is missing, or, with `install`
/// false, says how to.
pub(crate) fn require(tools: &[Tool], install: bool) -> Result<()> {
    let missing: Vec<&Tool> = tools
        .iter()
        .filter(|tool| process::find_program(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing
        .iter()
        .map(|tool| tool.program)
        .collect::<Vec<_>>()
        .join(", ");
    let Some(manager) = Manager::choose(|program| process::find_program(program).is_some()) else {
        return Err(format!(
            "missing: {programs}. No package manager that we know (apt-get, dnf, pacman, zypper, \
             apk) is here: please install them yourself"
        )
        .into());
    };
    let commands = as_root(manager.commands(&packages(manager, &missing)))?;
    let shown = commands
        .iter()
        .map(|words| format!("  {}", words.join(" ")))
        .collect::<Vec<_>>()
        .join("\n");
    if !install {
        return Err(format!(
            "missing: {programs}. --no-install was given; this installs them:\n{shown}"
        )
        .into());
    }
    eprintln!("Missing: {programs}. Installing with the distribution's package manager:\n{shown}");
    for (index, words) in commands.iter().enumerate() {
        let Some((program, arguments)) = words.split_first() else {
            continue;
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        let result = process::run(&mut command);
        // An old package list is no reason to give up; the installation decides.
        if index + 1 == commands.len() {
            result?;
        } else if let Err(error) = result {
            eprintln!("warning: {error}");
        }
    }
    match missing
        .iter()
        .find(|tool| process::find_program(tool.program).is_none())
    {
        None => Ok(()),
        Some(tool) => {
            Err(format!("{} is still missing after the installation", tool.program).into())
        }
    }
}

/// The packages of these tools, each once.
fn packages(manager: Manager, tools: &[&Tool]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = tools.iter().map(|tool| manager.package(tool)).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Runs the commands as root: as they are, or through sudo.
fn as_root(commands: Vec<Vec<String>>) -> Result<Vec<Vec<String>>> {
    if is_root() {
        return Ok(commands);
    }
    if process::find_program("sudo").is_none() {
        let shown: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
        return Err(format!(
            "packages are missing and there is no sudo; as root, run:\n  {}",
            shown.join("\n  ")
        )
        .into());
    }
    // Without a terminal sudo could not ask for a password, so it must not try to.
    let prefix: &[&str] = if std::io::stdin().is_terminal() {
        &["sudo"]
    } else {
        &["sudo", "--non-interactive"]
    };
    Ok(commands
        .into_iter()
        .map(|words| {
            prefix
                .iter()
                .map(|word| (*word).to_owned())
                .chain(words)
                .collect()
        })
        .collect())
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    stockade_host::is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_s_package_manager_is_chosen() {
        let choose = |there: &[&str]| Manager::choose(|program| there.contains(&program));
        assert_eq!(choose(&["apt-get"]), Some(Manager::Apt));
        assert_eq!(choose(&["dnf"]), Some(Manager::Dnf));
        assert_eq!(choose(&["apk", "zypper", "pacman"]), Some(Manager::Pacman));
        assert_eq!(choose(&["zypper", "apk"]), Some(Manager::Zypper));
        assert_eq!(choose(&["apk"]), Some(Manager::Apk));
        assert_eq!(choose(&["emerge"]), None);
    }

    #[test]
    fn apt_refreshes_its_list_first_and_installs_each_package_once() {
        let packages = packages(Manager::Apt, &[&SETPRIV, &QEMU, &UNSHARE]);
        assert_eq!(packages, ["qemu-system-x86", "util-linux"]);
        let commands: Vec<String> = Manager::Apt
            .commands(&packages)
            .iter()
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(
            commands,
            [
                "apt-get update",
                "apt-get install --yes --no-install-recommends qemu-system-x86 util-linux"
            ]
        );
    }

    #[test]
    fn no_package_manager_asks_questions() {
        for (manager, word) in [
            (Manager::Apt, "--yes"),
            (Manager::Dnf, "--assumeyes"),
            (Manager::Pacman, "--noconfirm"),
            (Manager::Zypper, "--non-interactive"),
            (Manager::Apk, "add"),
        ] {
            let commands = manager.commands(&["x"]);
            assert!(
                commands.last().unwrap().iter().any(|found| found == word),
                "{manager:?}"
            );
        }
    }
}
