//! Checks of `Cargo.toml` and `Cargo.lock`.

use toml_edit::{Document, Item, TableLike};

use super::Violation;

/// The crate that stands in for the registry's getrandom 0.2, whose dependency is the newer
/// getrandom under another name: it can't share the workspace's entry.
const STAND_IN: &str = "tls/getrandom-02/Cargo.toml";
/// The kinds of dependencies in a manifest.
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Every dependency of the workspace has a reason above it and no default features.
pub(super) fn check_workspace(path: &str, text: &str) -> Vec<Violation> {
    let document = match parse(path, text) {
        Ok(document) => document,
        Err(violation) => return vec![violation],
    };
    let mut violations = Vec::new();
    let table = |keys: &[&str]| {
        keys.iter()
            .try_fold(document.as_item(), |item, key| item.get(key))
            .and_then(Item::as_table_like)
    };
    if let Some(dependencies) = table(&["workspace", "dependencies"]) {
        for (name, item) in dependencies.iter() {
            let line = line_of(text, dependencies, name);
            if item.get("path").is_some() {
                continue;
            }
            violations.extend(check_reason(path, text, line, name));
            if item.get("default-features").and_then(Item::as_bool) != Some(false) {
                let message = format!("{name} lacks default-features = false");
                violations.push(Violation::new(path, line, message));
            }
        }
    }
    if let Some(patches) = table(&["patch", "crates-io"]) {
        for (name, _) in patches.iter() {
            let line = line_of(text, patches, name);
            violations.extend(check_reason(path, text, line, name));
        }
    }
    violations
}

/// A dependency's reason is a comment right above it.
fn check_reason(path: &str, text: &str, line: usize, name: &str) -> Option<Violation> {
    let above = line
        .checked_sub(2)
        .and_then(|index| text.lines().nth(index))
        .unwrap_or_default();
    let reason = above.trim_start().strip_prefix('#').unwrap_or_default();
    reason.trim().is_empty().then(|| {
        Violation::new(
            path,
            line,
            format!("{name} has no reason in a comment above"),
        )
    })
}

/// A member takes the workspace's versions and lints, so that they stand in one place.
pub(super) fn check_member(path: &str, text: &str) -> Vec<Violation> {
    let document = match parse(path, text) {
        Ok(document) => document,
        Err(violation) => return vec![violation],
    };
    let root = document.as_table();
    let mut violations = Vec::new();
    let lints = root.get("lints").and_then(|lints| lints.get("workspace"));
    if lints.and_then(Item::as_bool) != Some(true) {
        let message = "the workspace's lints are not in force ([lints] workspace = true)";
        violations.push(Violation::new(path, 0, message));
    }
    if path != STAND_IN {
        violations.extend(check_versions(path, text, root));
    }
    violations
}

fn check_versions(path: &str, text: &str, root: &dyn TableLike) -> Vec<Violation> {
    let targets = root
        .get("target")
        .and_then(Item::as_table_like)
        .into_iter()
        .flat_map(|targets| targets.iter())
        .filter_map(|(_, target)| target.as_table_like());
    std::iter::once(root)
        .chain(targets)
        .flat_map(|table| {
            KINDS
                .iter()
                .filter_map(|kind| table.get(kind)?.as_table_like())
        })
        .flat_map(|dependencies| {
            dependencies
                .iter()
                .filter(|(_, item)| item.get("workspace").and_then(Item::as_bool) != Some(true))
                .map(|(name, _)| {
                    let message =
                        format!("{name} is not taken from the workspace (workspace = true)");
                    Violation::new(path, line_of(text, dependencies, name), message)
                })
        })
        .collect()
}

/// getrandom 0.2 must be ours: the registry's would link libc into the image.
pub(super) fn check_lock(path: &str, text: &str) -> Vec<Violation> {
    let document = match parse(path, text) {
        Ok(document) => document,
        Err(violation) => return vec![violation],
    };
    let mut violations = Vec::new();
    let packages = document.get("package").and_then(Item::as_array_of_tables);
    for package in packages.into_iter().flatten() {
        let text_of = |key| package.get(key).and_then(Item::as_str).unwrap_or_default();
        let (name, version) = (text_of("name"), text_of("version"));
        let old =
            name == "getrandom" && (version.starts_with("0.1.") || version.starts_with("0.2."));
        if old && package.get("source").is_some() {
            let line = package.span().map_or(0, |span| line_at(text, span.start));
            let message = format!(
                "getrandom {version} comes from the registry, not from tls/getrandom-02: \
                 some dependency asks for a feature that the stand-in does not declare"
            );
            violations.push(Violation::new(path, line, message));
        }
    }
    if document.get("patch").is_some() {
        let message = "a patch of Cargo.toml is not used";
        violations.push(Violation::new(path, 0, message));
    }
    violations
}

fn parse<'a>(path: &str, text: &'a str) -> Result<Document<&'a str>, Violation> {
    Document::parse(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_at(text, span.start));
        Violation::new(path, line, format!("not TOML: {}", error.message()))
    })
}

/// The line of a table's key, from 1.
fn line_of(text: &str, table: &dyn TableLike, name: &str) -> usize {
    let span = table.key(name).and_then(|key| key.span());
    span.map_or(0, |span| line_at(text, span.start))
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    before.filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::*;

    #[test]
    fn dependencies_of_the_workspace_need_a_reason_and_no_default_features() {
        let text = r#"[workspace.dependencies]
own = { path = "own" }

# The first one.
good = { version = "1", default-features = false }
bare = { version = "1", default-features = false }
# Words far above.

far = { version = "1", default-features = false }
#
empty = { version = "1", default-features = false }
# Has a reason.
short = "1"
# Has a reason.
on = { version = "1", default-features = true }

[workspace.dependencies.table]
version = "1"
default-features = false

[patch.crates-io]
patched = { path = "patched" }
"#;
        assert_eq!(
            shown(check_workspace("Cargo.toml", text)),
            [
                "6: bare has no reason in a comment above",
                "9: far has no reason in a comment above",
                "11: empty has no reason in a comment above",
                "13: short lacks default-features = false",
                "15: on lacks default-features = false",
                "17: table has no reason in a comment above",
                "22: patched has no reason in a comment above",
            ]
        );
    }

    #[test]
    fn members_take_the_workspace_s_versions() {
        let text = r#"[package]
name = "member"

[dependencies]
good = { workspace = true, features = ["std"] }
dotted.workspace = true
bad = "1"

[dev-dependencies]
worse = { path = "../worse" }

[target.'cfg(unix)'.dependencies]
good = { workspace = true }
worst = { version = "1", default-features = false }

[build-dependencies.table]
workspace = false

[lints]
workspace = true
"#;
        assert_eq!(
            shown(check_member("net/Cargo.toml", text)),
            [
                "7: bad is not taken from the workspace (workspace = true)",
                "10: worse is not taken from the workspace (workspace = true)",
                "16: table is not taken from the workspace (workspace = true)",
                "14: worst is not taken from the workspace (workspace = true)",
            ]
        );
        assert_eq!(shown(check_member(STAND_IN, text)), [""; 0]);
    }

    #[test]
    fn members_take_the_workspace_s_lints() {
        let expected = ["0: the workspace's lints are not in force ([lints] workspace = true)"];
        for text in ["", "[lints]\nworkspace = false\n", "[lints.clippy]\n"] {
            assert_eq!(shown(check_member("net/Cargo.toml", text)), expected);
            assert_eq!(shown(check_member(STAND_IN, text)), expected);
        }
        let text = "lints.workspace = true\n";
        assert_eq!(shown(check_member("net/Cargo.toml", text)), [""; 0]);
    }

    #[test]
    fn the_registry_s_getrandom_is_found() {
        let package = |name: &str, version: &str, source: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{source}\n")
        };
        let registry = "source = \"registry+https://example.org\"";
        let lock = [
            package("getrandom", "0.2.17", ""),
            package("getrandom", "0.4.3", registry),
            package("rand_core", "0.2.17", registry),
        ]
        .concat();
        assert_eq!(shown(check_lock("Cargo.lock", &lock)), [""; 0]);
        let lock = [lock, package("getrandom", "0.2.15", registry)].concat();
        assert_eq!(
            shown(check_lock("Cargo.lock", &lock)),
            [
                "13: getrandom 0.2.15 comes from the registry, not from tls/getrandom-02: \
              some dependency asks for a feature that the stand-in does not declare"
            ]
        );
        let unused = "[[patch.unused]]\nname = \"getrandom\"\nversion = \"0.2.17\"\n";
        assert_eq!(
            shown(check_lock("Cargo.lock", unused)),
            ["0: a patch of Cargo.toml is not used"]
        );
    }

    #[test]
    fn what_is_not_toml_is_said() {
        for check in [check_workspace, check_member, check_lock] {
            let violations = shown(check("a", "[package]\nname =\n"));
            assert!(violations[0].starts_with("2: not TOML: "), "{violations:?}");
        }
    }
}
