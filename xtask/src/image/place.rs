//! Where an image is built, and the cargo commands that build it there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Result, process};

/// The image and the host binaries share this target; naming it keeps the image's flags away
/// from build scripts and procedural macros.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The image's package.
const PACKAGE: &str = "stockade-boot";

/// What the image's Rust code needs that host code must not have.
const RUSTFLAGS: [&str; 20] = [
    "-Crelocation-model=static",
    "-Cforce-unwind-tables=no",
    "--cfg",
    "getrandom_backend=\"custom\"",
    "--cfg",
    "stockade_image",
    // One implementation of each, the one without vector instructions: what these crates encrypt and
    // hash is the store's alone, and ring's assembly is there for all the rest.
    "--cfg",
    "curve25519_dalek_backend=\"serial\"",
    "--cfg",
    "aes_backend=\"soft\"",
    "--cfg",
    "aes_backend_soft=\"compact\"",
    "--cfg",
    "sha2_backend=\"soft\"",
    "--cfg",
    "sha2_backend_soft=\"compact\"",
    "--cfg",
    "poly1305_backend=\"soft\"",
    "--cfg",
    "sha1_backend=\"soft\"",
];

/// ring's C code: distributions' compilers add calls into a libc that the image does not have.
const CFLAGS: [&str; 5] = [
    "-O2",
    "-fno-stack-protector",
    "-U_FORTIFY_SOURCE",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
];

/// A checkout and the folders that it is built with. None of them shows in the image.
pub(super) struct Place {
    /// The checkout.
    pub(super) root: PathBuf,
    /// Where cargo leaves what it compiled.
    pub(super) target_dir: PathBuf,
    /// cargo's home, when it is not our own. Everything needed is in it already.
    pub(super) cargo_home: Option<PathBuf>,
    /// Folders that hold the registry's packages: in cargo's home, named after the registry or
    /// after the mirror that stands in for it.
    registries: BTreeSet<PathBuf>,
}

impl Place {
    /// The checkout at `root`. Downloads the packages that are missing.
    pub(super) fn new(
        root: &Path,
        target_dir: PathBuf,
        cargo_home: Option<PathBuf>,
    ) -> Result<Self> {
        let mut place = Place {
            root: root.to_path_buf(),
            target_dir,
            cargo_home,
            registries: BTreeSet::new(),
        };
        let mut metadata = place.command("metadata");
        metadata.args(["--format-version=1", "--filter-platform", TARGET]);
        place.registries = registries(&serde_json::from_str(&process::output(&mut metadata)?)?);
        Ok(place)
    }

    /// The file that cargo links.
    pub(super) fn linked(&self) -> PathBuf {
        self.target_dir.join(TARGET).join("image").join("stockade")
    }

    /// `cargo build` or another command of its kind on the image, with the image's flags.
    pub(super) fn compile(&self, verb: &str, debug: bool) -> Result<Command> {
        let mut command = self.command(verb);
        command
            .args(["--package", PACKAGE, "--target", TARGET])
            .args(["--profile", "image", "--target-dir"])
            .arg(&self.target_dir);
        self.flags(&mut command)?;
        if debug {
            for setting in [
                "debug-assertions=true",
                "opt-level=1",
                "lto=false",
                "codegen-units=16",
                "debug=2",
            ] {
                command
                    .arg("--config")
                    .arg(format!("profile.image.{setting}"));
            }
        }
        Ok(command)
    }

    /// What `cargo tree` says about the image with these options.
    pub(super) fn tree(&self, options: &[&str]) -> Result<String> {
        let mut command = self.command("tree");
        command
            .args(["--package", PACKAGE, "--target", TARGET])
            .args(options);
        // Which packages are needed depends on the flags: conditions look at them.
        self.flags(&mut command)?;
        process::output(&mut command)
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = process::cargo();
        command.current_dir(&self.root).args([verb, "--locked"]);
        if let Some(home) = &self.cargo_home {
            command.arg("--offline").env("CARGO_HOME", home);
        }
        command
    }

    fn flags(&self, command: &mut Command) -> Result<()> {
        let mut rustflags: Vec<OsString> = RUSTFLAGS.map(OsString::from).into();
        let mut cflags: Vec<String> = CFLAGS.map(String::from).into();
        // The last match wins: the target folder is often inside the checkout.
        let own = [(&self.root, "/stockade"), (&self.target_dir, "/target")];
        let registries = self.registries.iter().map(|folder| (folder, "/crates"));
        for (from, to) in own.into_iter().chain(registries) {
            let mut flag = OsString::from("--remap-path-prefix=");
            flag.push(from);
            flag.push("=");
            flag.push(to);
            let from = from
                .to_str()
                .ok_or_else(|| format!("{} is not UTF-8", from.display()))?;
            cflags.push(stockade_host::shell::quote(&format!(
                "-ffile-prefix-map={from}={to}"
            )));
            rustflags.push(flag);
        }
        command
            // Encoded flags take precedence over every other source of them, and may hold spaces.
            .env("CARGO_ENCODED_RUSTFLAGS", rustflags.join("\u{1f}".as_ref()))
            .env("CFLAGS", cflags.join(" "))
            .env("CC_SHELL_ESCAPED_FLAGS", "1")
            .env_remove("RUSTFLAGS");
        for other in [
            "CFLAGS_x86_64_unknown_linux_gnu",
            "CFLAGS_x86_64-unknown-linux-gnu",
            "TARGET_CFLAGS",
            "HOST_CFLAGS",
        ] {
            command.env_remove(other);
        }
        Ok(())
    }
}

/// The folders above those of the registry's packages, from what `cargo metadata` printed.
fn registries(metadata: &Value) -> BTreeSet<PathBuf> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str()?);
            Some(manifest.parent()?.parent()?.to_path_buf())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_survive_folders_with_spaces() {
        let place = Place {
            root: "/a b".into(),
            target_dir: "/a b/target/x".into(),
            cargo_home: None,
            registries: ["/c d/registry/src/mirror".into()].into(),
        };
        let command = place.compile("build", false).unwrap();
        let variable = |name: &str| {
            let found = command.get_envs().find(|(key, _)| *key == name).unwrap();
            found.1.unwrap().to_str().unwrap().to_owned()
        };
        let rust = variable("CARGO_ENCODED_RUSTFLAGS");
        let maps: Vec<&str> = rust
            .split('\u{1f}')
            .filter_map(|flag| flag.strip_prefix("--remap-path-prefix="))
            .collect();
        assert_eq!(
            maps,
            [
                "/a b=/stockade",
                "/a b/target/x=/target",
                "/c d/registry/src/mirror=/crates"
            ]
        );
        let c = variable("CFLAGS");
        for map in maps {
            assert!(c.contains(&format!(" '-ffile-prefix-map={map}'")), "{c}");
        }
        assert_eq!(variable("CC_SHELL_ESCAPED_FLAGS"), "1");
    }

    #[test]
    fn registries_are_the_folders_above_packages_that_are_not_ours() {
        let metadata = json!({ "packages": [
            { "source": null, "manifest_path": "/checkout/net/Cargo.toml" },
            { "source": "registry+https://example.org/index",
              "manifest_path": "/c/registry/src/mirror-1/log-0.4.35/Cargo.toml" },
            { "source": "registry+https://example.org/index",
              "manifest_path": "/c/registry/src/mirror-1/spin-0.9.9/Cargo.toml" },
        ]});
        let expect = PathBuf::from("/c/registry/src/mirror-1");
        assert_eq!(registries(&metadata), [expect].into());
    }
}
