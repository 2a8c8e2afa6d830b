//! Which crate may know which: read from `cargo metadata`, checked against the tables here.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use super::Violation;
use super::sources::UnsafeLevel;

/// A crate of the workspace, and which others it may depend on.
struct Crate {
    name: &'static str,
    may_know: &'static [&'static str],
}

/// The whole workspace. The machine knows nothing of the product, TCP and TLS nothing of each
/// other: only `tunnel` joins them.
const CRATES: [Crate; 16] = [
    Crate {
        name: "stockade-boot",
        may_know: &["stockade-kernel", "stockade-tunnel"],
    },
    Crate {
        name: "stockade-kernel",
        may_know: &[],
    },
    Crate {
        name: "stockade-net",
        may_know: &[],
    },
    Crate {
        name: "stockade-tls",
        may_know: &[],
    },
    Crate {
        name: "stockade-acme",
        may_know: &[],
    },
    Crate {
        name: "stockade-store",
        may_know: &[],
    },
    Crate {
        name: "getrandom",
        may_know: &[],
    },
    Crate {
        name: "stockade-config",
        may_know: &[],
    },
    Crate {
        name: "stockade-tunnel",
        may_know: &[
            "stockade-http",
            "stockade-net",
            "stockade-tls",
            "stockade-acme",
            "stockade-store",
            "stockade-config",
            "stockade-channel",
        ],
    },
    Crate {
        name: "stockade-channel",
        may_know: &[],
    },
    Crate {
        name: "stockade-http",
        may_know: &[],
    },
    Crate {
        name: "stockade-host",
        may_know: &["stockade-net", "stockade-config", "stockade-channel"],
    },
    // `stockade check`, `add` and `list` judge certificates and keys with the image's own code: no second
    // opinion.
    Crate {
        name: "stockade-program",
        may_know: &[
            "stockade-host",
            "stockade-config",
            "stockade-channel",
            "stockade-tunnel",
            "stockade-acme",
            "stockade-store",
            "stockade",
        ],
    },
    Crate {
        name: "stockade",
        may_know: &["stockade-host", "stockade-config", "stockade-channel"],
    },
    Crate {
        name: "stockade-tests",
        may_know: &[
            "stockade-http",
            "stockade-boot",
            "stockade-kernel",
            "stockade-net",
            "stockade-tls",
            "stockade-acme",
            "stockade-store",
            "stockade-config",
            "stockade-channel",
            "stockade-tunnel",
            "stockade-host",
            "stockade-program",
            "stockade",
        ],
    },
    Crate {
        name: "xtask",
        may_know: &["stockade-program", "stockade-host", "stockade-config"],
    },
];

/// Libraries whose types stay inside certain crates. Tests may use them as peers.
const OWNERS: [(&str, &[&str]); 4] = [
    ("rustls", &["stockade-tls"]),
    ("rustls-rustcrypto", &["stockade-tls"]),
    // The kernel drives a card and the host a link: both are `phy::Device`s.
    (
        "smoltcp",
        &["stockade-net", "stockade-kernel", "stockade-host"],
    ),
    ("virtio-drivers", &["stockade-kernel"]),
];

/// Features that no member may enable, with what they would break.
const FORBIDDEN_FEATURES: [(&str, &str, &str); 1] = [(
    "rustls",
    "std",
    "the host's tests would test another rustls than the image has",
)];

/// Crates that may hold unsafe code, module by module.
const UNSAFE_CRATES: [&str; 2] = ["stockade-boot", "stockade-kernel"];

/// Checks every dependency of every member against the tables.
pub(super) fn check_boundaries(metadata: &Value) -> Result<Vec<Violation>, Box<dyn Error>> {
    let mut violations = Vec::new();
    let members = members(metadata)?;
    for package in &members {
        let manifest = manifest(metadata, package)?;
        let name = text(package, "name")?;
        let Some(known) = CRATES.iter().find(|known| known.name == name) else {
            let message = format!("{name} is not in the tables of xtask/src/tidy/crates.rs");
            violations.push(Violation::new(&manifest, 0, message));
            continue;
        };
        for dependency in list(package, "dependencies")? {
            let on = text(dependency, "name")?;
            let for_tests = dependency.get("kind").and_then(Value::as_str) == Some("dev");
            let is_member = dependency.get("path").is_some_and(Value::is_string);
            if is_member && !known.may_know.contains(&on) {
                let message = format!("{name} must not know {on}");
                violations.push(Violation::new(&manifest, 0, message));
            }
            let owners = OWNERS.iter().find(|(library, _)| *library == on);
            if let Some((_, owners)) = owners
                && !for_tests
                && name != "stockade-tests"
                && !owners.contains(&name)
            {
                let message = format!(
                    "{name} must not use {on}: only {} may",
                    owners.join(" and ")
                );
                violations.push(Violation::new(&manifest, 0, message));
            }
        }
    }
    Ok(violations)
}

/// Checks the features that the workspace as a whole enables.
pub(super) fn check_features(metadata: &Value) -> Result<Vec<Violation>, Box<dyn Error>> {
    let mut violations = Vec::new();
    let resolve = metadata.get("resolve").ok_or("metadata lacks resolve")?;
    let packages = list(metadata, "packages")?;
    for node in list(resolve, "nodes")? {
        let id = text(node, "id")?;
        let package = packages
            .iter()
            .find(|package| package.get("id").and_then(Value::as_str) == Some(id))
            .ok_or("metadata lacks a package")?;
        let name = text(package, "name")?;
        for (library, feature, harm) in FORBIDDEN_FEATURES {
            let features = list(node, "features")?;
            let enabled = features
                .iter()
                .any(|enabled| enabled.as_str() == Some(feature));
            if library == name && enabled {
                let message = format!("something enables {library}'s feature {feature}: {harm}");
                violations.push(Violation::new("Cargo.lock", 0, message));
            }
        }
    }
    Ok(violations)
}

/// Every crate's root, relative to the checkout, and how it must treat unsafe code.
pub(super) fn roots(
    metadata: &Value,
    root: &Path,
) -> Result<Vec<(String, UnsafeLevel)>, Box<dyn Error>> {
    let mut roots = Vec::new();
    for package in members(metadata)? {
        let level = if UNSAFE_CRATES.contains(&text(package, "name")?) {
            UnsafeLevel::Deny
        } else {
            UnsafeLevel::Forbid
        };
        for target in list(package, "targets")? {
            let is_product = list(target, "kind")?
                .iter()
                .any(|kind| matches!(kind.as_str(), Some("lib" | "bin")));
            if is_product {
                let path = Path::new(text(target, "src_path")?).strip_prefix(root)?;
                roots.push((path.to_string_lossy().into_owned(), level));
            }
        }
    }
    Ok(roots)
}

fn members(metadata: &Value) -> Result<Vec<&Value>, Box<dyn Error>> {
    let ids = list(metadata, "workspace_members")?;
    let packages = list(metadata, "packages")?;
    Ok(packages
        .iter()
        .filter(|package| package.get("id").is_some_and(|id| ids.contains(id)))
        .collect())
}

/// The package's manifest, relative to the checkout.
fn manifest(metadata: &Value, package: &Value) -> Result<String, Box<dyn Error>> {
    let root = text(metadata, "workspace_root")?;
    let path = Path::new(text(package, "manifest_path")?);
    Ok(path.strip_prefix(root)?.to_string_lossy().into_owned())
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    let text = value.get(key).and_then(Value::as_str);
    text.ok_or_else(|| format!("metadata lacks {key}"))
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>, String> {
    let list = value.get(key).and_then(Value::as_array);
    list.ok_or_else(|| format!("metadata lacks {key}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Violation;
    use super::*;

    fn dependency(name: &str, kind: Option<&str>) -> Value {
        let own = name.starts_with("stockade-");
        let path = own.then(|| format!("checkout/{name}"));
        json!({ "name": name, "kind": kind, "path": path })
    }

    fn package(name: &str, dependencies: &[Value]) -> Value {
        json!({
            "id": name,
            "name": name,
            "manifest_path": format!("/checkout/{name}/Cargo.toml"),
            "dependencies": dependencies,
            "targets": [
                { "kind": ["lib"], "src_path": format!("/checkout/{name}/src/lib.rs") },
                { "kind": ["test"], "src_path": format!("/checkout/{name}/tests/t.rs") },
            ],
        })
    }

    fn workspace(packages: &[Value]) -> Value {
        let ids: Vec<_> = packages.iter().map(|package| &package["id"]).collect();
        json!({
            "workspace_root": "/checkout",
            "workspace_members": ids,
            "packages": packages,
        })
    }

    fn boundaries(name: &str, dependencies: &[Value]) -> Vec<String> {
        let metadata = workspace(&[package(name, dependencies)]);
        let violations = check_boundaries(&metadata).unwrap();
        violations.iter().map(Violation::to_string).collect()
    }

    #[test]
    fn what_the_tables_allow_passes() {
        for (name, dependencies) in [
            (
                "stockade-boot",
                vec!["stockade-kernel", "stockade-tunnel", "log"],
            ),
            ("stockade-kernel", vec!["smoltcp", "virtio-drivers"]),
            (
                "stockade-tunnel",
                vec!["stockade-net", "stockade-tls", "stockade-config"],
            ),
            ("stockade-tls", vec!["rustls", "rustls-rustcrypto"]),
            ("stockade-tests", vec!["stockade-boot", "rustls", "smoltcp"]),
        ] {
            let dependencies: Vec<_> = dependencies
                .into_iter()
                .map(|on| dependency(on, None))
                .collect();
            assert_eq!(boundaries(name, &dependencies), [""; 0], "{name}");
        }
    }

    #[test]
    fn what_they_forbid_is_found_in_every_kind_of_dependency() {
        for kind in [None, Some("dev"), Some("build")] {
            assert_eq!(
                boundaries("stockade-net", &[dependency("stockade-tls", kind)]),
                ["stockade-net/Cargo.toml: stockade-net must not know stockade-tls"]
            );
            assert_eq!(
                boundaries("stockade-kernel", &[dependency("stockade-net", kind)]),
                ["stockade-kernel/Cargo.toml: stockade-kernel must not know stockade-net"]
            );
        }
    }

    #[test]
    fn libraries_stay_with_their_owners_but_for_tests() {
        assert_eq!(
            boundaries("stockade-tunnel", &[dependency("rustls", None)]),
            [
                "stockade-tunnel/Cargo.toml: stockade-tunnel must not use rustls: \
              only stockade-tls may"
            ]
        );
        assert_eq!(
            boundaries("stockade-config", &[dependency("smoltcp", Some("build"))]),
            [
                "stockade-config/Cargo.toml: stockade-config must not use smoltcp: \
              only stockade-net and stockade-kernel and stockade-host may"
            ]
        );
        assert_eq!(
            boundaries("stockade-tunnel", &[dependency("smoltcp", Some("dev"))]),
            [""; 0]
        );
    }

    #[test]
    fn a_crate_that_no_table_knows_is_found() {
        assert_eq!(
            boundaries("stockade-extra", &[]),
            [
                "stockade-extra/Cargo.toml: stockade-extra is not in the tables of \
              xtask/src/tidy/crates.rs"
            ]
        );
    }

    #[test]
    fn forbidden_features_are_found() {
        let mut metadata = workspace(&[package("rustls", &[]), package("log", &[])]);
        let features = |metadata: &Value| {
            let violations = check_features(metadata).unwrap();
            violations
                .iter()
                .map(Violation::to_string)
                .collect::<Vec<_>>()
        };
        metadata["resolve"] = json!({ "nodes": [
            { "id": "rustls", "features": ["tls12", "ring"] },
            { "id": "log", "features": ["std"] },
        ] });
        assert_eq!(features(&metadata), [""; 0]);
        metadata["resolve"]["nodes"][0]["features"] = json!(["std", "tls12"]);
        assert_eq!(
            features(&metadata),
            ["Cargo.lock: something enables rustls's feature std: \
              the host's tests would test another rustls than the image has"]
        );
    }

    #[test]
    fn roots_are_the_libraries_and_programs() {
        let metadata = workspace(&[
            package("stockade-net", &[]),
            package("stockade-kernel", &[]),
        ]);
        assert_eq!(
            roots(&metadata, Path::new("/checkout")).unwrap(),
            [
                ("stockade-net/src/lib.rs".into(), UnsafeLevel::Forbid),
                ("stockade-kernel/src/lib.rs".into(), UnsafeLevel::Deny),
            ]
        );
    }

    #[test]
    fn metadata_that_lacks_something_is_an_error() {
        assert!(check_boundaries(&json!({})).is_err());
        assert!(check_features(&json!({})).is_err());
        assert!(roots(&json!({}), Path::new("/")).is_err());
    }
}
