//! The bill of materials of a small tree, part by part.

use super::*;

/// Two versions of one crate, one crate needed twice, a package in another's place.
const SAMPLE: &str = "\
0\tstockade-boot v0.1.0 (/a b/checkout/boot)\tMIT OR Apache-2.0\t\t
1\tgetrandom v0.4.3\tMIT OR Apache-2.0\thttps://github.com/rust-random/getrandom\t
2\tcfg-if v1.0.5\tMIT/Apache-2.0\thttps://github.com/rust-lang/cfg-if\t
1\tstockade-tls v0.1.0 (/a b/checkout/tls)\tMIT OR Apache-2.0\t\t
2\tgetrandom v0.2.17 (/a b/checkout/tls/getrandom-02)\tMIT OR Apache-2.0\t\t
3\tgetrandom v0.4.3\tMIT OR Apache-2.0\thttps://github.com/rust-random/getrandom\t (*)
2\tring v0.17.14\tApache-2.0 AND ISC\thttps://github.com/briansmith/ring\t
3\tcfg-if v1.0.5\tMIT/Apache-2.0\thttps://github.com/rust-lang/cfg-if\t
";

const LOCK: &str = "\
version = 4

[[package]]
name = \"ring\"
version = \"0.17.14\"
source = \"registry+https://github.com/rust-lang/crates.io-index\"
checksum = \"a4689e6c2294d81e88dc6261c768b63bc4fcdb852be6d1352498b114f61383b7\"

[[package]]
name = \"stockade-tls\"
version = \"0.1.0\"
";

const MANIFEST: &str = "\
[patch.crates-io]
getrandom = { path = \"tls/getrandom-02\" }
";

const RUSTC: &str = "\
rustc 1.95.0 (59807616e 2026-04-14)
binary: rustc
commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860
release: 1.95.0
";

fn sample() -> Value {
    let sources = Sources {
        checksums: checksums(LOCK).unwrap(),
        patches: patches(MANIFEST).unwrap(),
        toolchain: parse_toolchain(RUSTC).unwrap(),
    };
    let packages = packages(SAMPLE, "/a b/checkout").unwrap();
    bill(&packages, &sources, &"5".repeat(64)).unwrap()
}

fn sample_component(reference: &str) -> Value {
    let bill = sample();
    let components = bill["components"].as_array().unwrap();
    let mut found = components.iter().filter(|c| c["bom-ref"] == reference);
    let component = found.next().unwrap().clone();
    assert!(found.next().is_none(), "{reference} is there twice");
    component
}

fn needs(reference: &str) -> Value {
    let bill = sample();
    let all = bill["dependencies"].as_array().unwrap();
    let found = all.iter().find(|entry| entry["ref"] == reference).unwrap();
    found["dependsOn"].clone()
}

#[test]
fn the_image_is_the_main_component_with_its_own_hash() {
    let bill = sample();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.6");
    let image = &bill["metadata"]["component"];
    assert_eq!(image["name"], "stockade");
    assert_eq!(
        image["hashes"],
        json!([{ "alg": "SHA-256", "content": "5".repeat(64) }])
    );
    assert_eq!(
        needs("stockade"),
        json!([
            "pkg:generic/stockade/stockade-boot@0.1.0",
            "pkg:generic/rust@1.95.0"
        ])
    );
}

#[test]
fn a_package_of_the_registry_has_its_purl_licence_and_checksum() {
    let ring = sample_component("pkg:cargo/ring@0.17.14");
    assert_eq!(ring["purl"], "pkg:cargo/ring@0.17.14");
    assert_eq!(
        ring["licenses"],
        json!([{ "expression": "Apache-2.0 AND ISC" }])
    );
    let checksum = "a4689e6c2294d81e88dc6261c768b63bc4fcdb852be6d1352498b114f61383b7";
    assert_eq!(
        ring["hashes"],
        json!([{ "alg": "SHA-256", "content": checksum }])
    );
    assert!(ring.get("pedigree").is_none());
    // The lock file has none for this one.
    let other = sample_component("pkg:cargo/getrandom@0.4.3");
    assert!(other.get("hashes").is_none());
}

#[test]
fn an_old_licence_becomes_an_spdx_expression() {
    let component = sample_component("pkg:cargo/cfg-if@1.0.5");
    assert_eq!(
        component["licenses"],
        json!([{ "expression": "MIT OR Apache-2.0" }])
    );
}

#[test]
fn the_patched_package_is_ours_and_says_so() {
    let ours = sample_component("pkg:generic/stockade/getrandom@0.2.17");
    assert_eq!(ours["supplier"]["name"], "Stockade");
    let notes = ours["pedigree"]["notes"].as_str().unwrap();
    assert!(notes.contains("Stockade's own code"), "{notes}");
    assert!(notes.contains("tls/getrandom-02"), "{notes}");
    // A member of the workspace that replaces nothing.
    let tls = sample_component("pkg:generic/stockade/stockade-tls@0.1.0");
    assert_eq!(tls["supplier"]["name"], "Stockade");
    assert!(tls.get("pedigree").is_none());
}

#[test]
fn the_graph_is_the_tree() {
    assert_eq!(
        needs("pkg:generic/stockade/stockade-tls@0.1.0"),
        json!([
            "pkg:generic/stockade/getrandom@0.2.17",
            "pkg:cargo/ring@0.17.14"
        ])
    );
    assert_eq!(
        needs("pkg:generic/stockade/getrandom@0.2.17"),
        json!(["pkg:cargo/getrandom@0.4.3"])
    );
    // A repeated line does not take away what the first one's lines said.
    assert_eq!(
        needs("pkg:cargo/getrandom@0.4.3"),
        json!(["pkg:cargo/cfg-if@1.0.5"])
    );
    assert_eq!(needs("pkg:cargo/cfg-if@1.0.5"), json!([]));
    // Every component is in the graph, and every edge leads to a component.
    let bill = sample();
    let references = |list: &Value, field: &str| -> BTreeSet<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|item| item[field].as_str().unwrap().to_owned())
            .collect()
    };
    let mut components = references(&bill["components"], "bom-ref");
    components.insert("stockade".to_owned());
    assert_eq!(references(&bill["dependencies"], "ref"), components);
    for entry in bill["dependencies"].as_array().unwrap() {
        for needed in entry["dependsOn"].as_array().into_iter().flatten() {
            assert!(components.contains(needed.as_str().unwrap()), "{needed}");
        }
    }
}

#[test]
fn the_bill_tells_nothing_of_the_builder_and_its_number_follows_from_its_content() {
    let bill = sample();
    assert_eq!(bill, sample());
    let text = bill.to_string();
    assert!(!text.contains("/a b"), "{text}");
    assert!(bill["metadata"].get("timestamp").is_none());
    let serial = bill["serialNumber"].as_str().unwrap();
    let uuid = serial.strip_prefix("urn:uuid:").unwrap();
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);

    let packages = packages(SAMPLE, "/a b/checkout").unwrap();
    let sources = Sources {
        checksums: checksums(LOCK).unwrap(),
        patches: patches(MANIFEST).unwrap(),
        toolchain: parse_toolchain(RUSTC).unwrap(),
    };
    let other = super::bill(&packages, &sources, &"6".repeat(64)).unwrap();
    assert_ne!(other["serialNumber"], bill["serialNumber"]);
}

#[test]
fn a_uuid_has_its_version_and_variant() {
    assert_eq!(uuid(&[0; 32]), "00000000-0000-8000-8000-000000000000");
    assert_eq!(uuid(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
}

#[test]
fn what_cargo_tree_never_prints_is_an_error() {
    for line in [
        "",
        "0",
        "x\tring v0.17.14\tISC\t\t",
        "0\tring\tISC\t\t",
        "0\tring v0.17.14 (https://example.org/ring#0123)\tISC\t\t",
        "0\tring v0.17.14 (/elsewhere/ring)\tISC\t\t",
        "0\tring v0.17.14\tISC",
    ] {
        let tree = format!("{line}\n");
        assert!(packages(&tree, "/a b/checkout").is_err(), "{line:?}");
    }
}

#[test]
fn a_version_is_escaped_in_a_purl() {
    let id = id("a v1.0.0+b.1", "/").unwrap();
    assert_eq!(purl(&id), "pkg:cargo/a@1.0.0%2Bb.1");
}

#[test]
fn an_unknown_commit_is_left_out() {
    let toolchain = parse_toolchain("release: 1.95.0\ncommit-hash: unknown\n").unwrap();
    assert_eq!(toolchain.commit, None);
    assert!(parse_toolchain("rustc 1.95.0").is_none());
}
