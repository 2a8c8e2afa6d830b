//! What is linked into the image, as a software bill of materials: CycloneDX 1.6, JSON.
//!
//! Nothing in it depends on when, where or by whom it was made: the same image has the same bill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use toml_edit::Document;

use super::{sha256, sha256_bytes};
use crate::{Result, process};

/// Arguments of `cargo tree`, after the image's own: only what is linked. Features and conditions
/// are resolved for this one package, as the build does; `cargo metadata` would add up what the
/// whole workspace asks for.
pub(super) const TREE: [&str; 6] = [
    "--edges=normal,no-proc-macro",
    "--prefix=depth",
    "--charset=ascii",
    "--quiet",
    "--format",
    "\t{p}\t{l}\t{r}\t",
];

/// Writes the bill of `image`, whose packages `tree` lists, to `path`.
pub(super) fn write(root: &Path, tree: &str, image: &Path, path: &Path) -> Result<()> {
    let root_name = root.to_str().ok_or("the checkout's path is not UTF-8")?;
    let sources = Sources {
        checksums: checksums(&fs::read_to_string(root.join("Cargo.lock"))?)?,
        patches: patches(&fs::read_to_string(root.join("Cargo.toml"))?)?,
        toolchain: toolchain(root)?,
    };
    let packages = packages(tree, root_name)?;
    let bill = bill(&packages, &sources, &sha256(&fs::read(image)?))?;
    fs::write(path, serde_json::to_string_pretty(&bill)? + "\n")?;
    Ok(())
}

/// What is known of the packages from elsewhere.
struct Sources {
    /// SHA-256 of the registry's packages, by name and version.
    checksums: BTreeMap<(String, String), String>,
    /// Folders of packages that stand in for those of the registry.
    patches: BTreeSet<String>,
    toolchain: Toolchain,
}

/// The Rust toolchain, whose `core` and `alloc` are linked in.
struct Toolchain {
    version: String,
    commit: Option<String>,
}

/// What tells one package from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    name: String,
    version: String,
    /// Its folder in the checkout; `None` for a package of the registry.
    folder: Option<String>,
}

#[derive(Debug, Default, PartialEq)]
struct Package {
    licence: String,
    repository: String,
    dependencies: BTreeSet<Id>,
}

/// Reads what `cargo tree` printed with [`TREE`].
fn packages(tree: &str, root: &str) -> Result<BTreeMap<Id, Package>> {
    let mut packages: BTreeMap<Id, Package> = BTreeMap::new();
    // The packages from the root to the line before, each needing the next.
    let mut path: Vec<Id> = Vec::new();
    for line in tree.lines() {
        let parsed = (|| {
            let mut fields = line.split('\t');
            let depth: usize = fields.next()?.parse().ok()?;
            let id = id(fields.next()?, root)?;
            Some((depth, id, fields.next()?, fields.next()?))
        })();
        let (depth, id, licence, repository) =
            parsed.ok_or_else(|| format!("what is this line of `cargo tree`? {line:?}"))?;
        path.truncate(depth);
        if let Some(parent) = path.last().and_then(|parent| packages.get_mut(parent)) {
            parent.dependencies.insert(id.clone());
        }
        path.push(id.clone());
        let package = packages.entry(id).or_default();
        package.licence = expression(licence);
        package.repository = repository.to_owned();
    }
    Ok(packages)
}

/// `smoltcp v0.14.0` or `stockade-net v0.1.0 (/folder/of/the/checkout/net)`.
fn id(text: &str, root: &str) -> Option<Id> {
    let (name, rest) = text.split_once(" v")?;
    let (version, folder) = match rest.split_once(' ') {
        None => (rest, None),
        Some((version, folder)) => {
            let folder = folder.strip_prefix('(')?.strip_suffix(')')?;
            (version, Some(folder.strip_prefix(root)?.strip_prefix('/')?))
        }
    };
    Some(Id {
        name: name.to_owned(),
        version: version.to_owned(),
        folder: folder.map(str::to_owned),
    })
}

/// An SPDX expression; manifests from before SPDX separate alternatives by a slash (The Cargo
/// Book, "The license and license-file fields").
fn expression(licence: &str) -> String {
    licence
        .split('/')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" OR ")
}

fn bill(packages: &BTreeMap<Id, Package>, sources: &Sources, image: &str) -> Result<Value> {
    let boot = packages
        .iter()
        .find(|(id, _)| id.folder.as_deref() == Some("boot"));
    let (boot, package) = boot.ok_or("the package `boot` is not in its own tree")?;
    let rust = format!("pkg:generic/rust@{}", sources.toolchain.version);
    let product = "stockade";

    let mut components: Vec<Value> = packages
        .iter()
        .map(|(id, package)| component(id, package, sources))
        .collect();
    components.push(rust_component(&rust, &sources.toolchain));
    let mut dependencies: Vec<Value> = packages
        .iter()
        .map(|(id, package)| {
            let needs: Vec<String> = package.dependencies.iter().map(purl).collect();
            json!({ "ref": purl(id), "dependsOn": needs })
        })
        .collect();
    dependencies.push(json!({ "ref": product, "dependsOn": [purl(boot), rust] }));
    dependencies.push(json!({ "ref": rust }));

    let mut bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{ "phase": "build" }],
            "tools": { "components": [
                { "type": "application", "name": "rustc", "version": sources.toolchain.version },
            ]},
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": product,
                "version": boot.version,
                "purl": format!("pkg:generic/{product}@{}", escaped(&boot.version)),
                "supplier": { "name": "Stockade" },
                "licenses": [{ "expression": package.licence }],
                "hashes": [{ "alg": "SHA-256", "content": image }],
            },
        },
        "components": components,
        "dependencies": dependencies,
        "compositions": [{ "aggregate": "complete", "dependencies": [product] }],
    });
    // A UUID of the content: random ones would make two bills of one image differ.
    let serial = uuid(&sha256_bytes(&serde_json::to_vec(&bill)?));
    bill["serialNumber"] = json!(format!("urn:uuid:{serial}"));
    Ok(bill)
}

fn component(id: &Id, package: &Package, sources: &Sources) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("type", json!("library"));
    set("bom-ref", json!(purl(id)));
    set("name", json!(id.name));
    set("version", json!(id.version));
    set("purl", json!(purl(id)));
    set("scope", json!("required"));
    if !package.licence.is_empty() {
        set("licenses", json!([{ "expression": package.licence }]));
    }
    match &id.folder {
        None => {
            let key = (id.name.clone(), id.version.clone());
            if let Some(checksum) = sources.checksums.get(&key) {
                set("hashes", json!([{ "alg": "SHA-256", "content": checksum }]));
            }
            if package.repository.starts_with("https://") {
                let vcs = json!([{ "type": "vcs", "url": package.repository }]);
                set("externalReferences", vcs);
            }
        }
        Some(folder) => {
            set("supplier", json!({ "name": "Stockade" }));
            set(
                "properties",
                json!([{ "name": "stockade:folder", "value": folder }]),
            );
            if sources.patches.contains(folder) {
                let notes = format!(
                    "Stockade's own code, in {folder}. It offers the interface of crates.io's {} {} \
                     in that package's place, and shares no code with it.",
                    id.name, id.version
                );
                set("pedigree", json!({ "notes": notes }));
            }
        }
    }
    Value::Object(fields)
}

fn rust_component(purl: &str, toolchain: &Toolchain) -> Value {
    let url = match &toolchain.commit {
        Some(commit) => format!("https://github.com/rust-lang/rust/tree/{commit}"),
        None => "https://github.com/rust-lang/rust".to_owned(),
    };
    json!({
        "type": "library",
        "bom-ref": purl,
        "name": "rust",
        "version": toolchain.version,
        "description": "The toolchain's precompiled core, alloc and compiler_builtins",
        "purl": purl,
        "scope": "required",
        // core and alloc have the first; compiler_builtins names all of them.
        "licenses": [{
            "expression": "(MIT OR Apache-2.0) AND MIT AND Apache-2.0 WITH LLVM-exception"
        }],
        "externalReferences": [{ "type": "vcs", "url": url }],
    })
}

/// A package URL. Our own packages are in no registry, so they are not of type `cargo`: whoever
/// looks a name up there must not find a stranger's package, or the one that ours replaces.
fn purl(id: &Id) -> String {
    let version = escaped(&id.version);
    match id.folder {
        None => format!("pkg:cargo/{}@{version}", id.name),
        Some(_) => format!("pkg:generic/stockade/{}@{version}", id.name),
    }
}

/// Percent-encodes the one character of a version (SemVer 2.0.0) that a package URL may not hold.
fn escaped(version: &str) -> String {
    version.replace('+', "%2B")
}

/// A version 8 UUID (RFC 9562 §5.8) of the digest's first 128 bits.
fn uuid(digest: &[u8; 32]) -> String {
    let mut bits = u128::from_be_bytes(std::array::from_fn(|i| digest[i]));
    bits = bits & !(0xf << 76) | 8 << 76;
    bits = bits & !(3 << 62) | 2 << 62;
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// The checksums in a lock file.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock = Document::parse(lock)?;
    let packages = lock
        .get("package")
        .and_then(|item| item.as_array_of_tables());
    let packages = packages.ok_or("Cargo.lock lists no package")?;
    Ok(packages
        .iter()
        .filter_map(|package| {
            let field = |name| Some(package.get(name)?.as_str()?.to_owned());
            Some(((field("name")?, field("version")?), field("checksum")?))
        })
        .collect())
}

/// The folders that a workspace's manifest puts in the place of crates.io's packages.
fn patches(manifest: &str) -> Result<BTreeSet<String>> {
    let manifest = Document::parse(manifest)?;
    let patches = manifest
        .get("patch")
        .and_then(|patch| patch.get("crates-io")?.as_table_like());
    Ok(patches
        .into_iter()
        .flat_map(|patches| patches.iter())
        .filter_map(|(_, patch)| Some(patch.get("path")?.as_str()?.to_owned()))
        .collect())
}

/// Asks the compiler that built the image.
fn toolchain(root: &Path) -> Result<Toolchain> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = process::output(Command::new(rustc).arg("-vV").current_dir(root))?;
    parse_toolchain(&text).ok_or_else(|| format!("`rustc -vV` names no release: {text:?}").into())
}

fn parse_toolchain(text: &str) -> Option<Toolchain> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(Toolchain {
        version: field("release: ")?.to_owned(),
        commit: field("commit-hash: ")
            .filter(|commit| *commit != "unknown")
            .map(str::to_owned),
    })
}

#[cfg(test)]
mod tests;
