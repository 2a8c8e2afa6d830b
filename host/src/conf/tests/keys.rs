//! Keys that openssl must open: PKCS #12 and encrypted PEM.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use stockade_config::Zeroizing;
use stockade_config::stunnel::{FileError, Files};

use super::super::files::HostFiles;
use super::super::keys::{self, Passphrases};
use super::Folder;

fn openssl(words: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {complaint}");
    output.stdout
}

/// A leaf, its key and the authority, PEM.
pub(super) struct Chain {
    pub(super) authority: String,
    pub(super) leaf: String,
    pub(super) key: String,
}

pub(super) fn chain() -> Chain {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    Chain {
        authority: authority_certificate.pem(),
        leaf: leaf.pem(),
        key: key.serialize_pem(),
    }
}

/// The chain as PKCS #12, the authority's certificate first among those it was made from.
pub(super) fn pkcs12(chain: &Chain, folder: &Folder, extra: &[&str]) -> Vec<u8> {
    let authority = folder.write("authority.pem", chain.authority.as_bytes());
    let leaf = folder.write("leaf.pem", (chain.leaf.clone() + &chain.key).as_bytes());
    let mut words = vec!["pkcs12", "-export", "-in", &leaf, "-certfile", &authority];
    words.extend(extra);
    openssl(&words, b"")
}

fn read(path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
    (&mut HostFiles::new(Passphrases::Nobody)).read(path)
}

fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn a_pkcs12_file_becomes_key_leaf_and_authority() {
    let chain = chain();
    let modern: &[&str] = &["-passout", "pass:"];
    let triple_des: &[&str] = &[
        "-passout",
        "pass:",
        "-keypbe",
        "PBE-SHA1-3DES",
        "-certpbe",
        "PBE-SHA1-3DES",
        "-macalg",
        "sha1",
    ];
    for (name, extra) in [("modern", modern), ("triple-des", triple_des)] {
        let folder = Folder::new(name);
        let path = folder.write("chain.p12", &pkcs12(&chain, &folder, extra));
        let pem = read(&path).unwrap();
        let text = str::from_utf8(&pem).unwrap();
        assert!(
            without_blanks(text)
                .ends_with(&without_blanks(&(chain.leaf.clone() + &chain.authority))),
            "{name}: {text}"
        );
        // The key comes out in the same form, PKCS #8.
        assert!(
            without_blanks(text).starts_with(&without_blanks(&chain.key)),
            "{name}"
        );
        assert!(!text.contains("Bag Attributes"), "{name}");
    }
}

#[test]
fn a_pkcs12_file_with_a_passphrase_needs_a_terminal() {
    let folder = Folder::new("passphrase");
    let bytes = pkcs12(&chain(), &folder, &["-passout", "pass:secret words"]);
    let error = read(&folder.write("chain.PFX", &bytes)).unwrap_err();
    assert!(error.reason.contains("no terminal"), "{error}");
}

#[test]
fn a_file_that_only_claims_to_be_pkcs12_is_refused() {
    let folder = Folder::new("claim");
    let error = read(&folder.write("chain.p12", b"-----BEGIN")).unwrap_err();
    assert!(error.reason.starts_with("openssl pkcs12"), "{error}");
    let error = read(&folder.path("missing.p12")).unwrap_err();
    assert_eq!(error.reason, "No such file or directory");
}

#[test]
fn both_forms_of_encrypted_keys_are_found_between_other_blocks() {
    let chain = chain();
    let words = ["pkcs8", "-topk8", "-passout", "pass:secret"];
    let pkcs8 = openssl(&words, chain.key.as_bytes());
    let words = ["ec", "-aes128", "-passout", "pass:secret"];
    let traditional = openssl(&words, chain.key.as_bytes());
    for encrypted in [pkcs8, traditional] {
        let mut pem = chain.leaf.clone().into_bytes();
        pem.extend_from_slice(&encrypted);
        pem.extend_from_slice(chain.authority.as_bytes());
        let error = keys::decrypted(&pem, "key.pem", Passphrases::Nobody).unwrap_err();
        assert!(error.reason.contains("it is encrypted"), "{error}");
        let (from, to) = keys::encrypted_key(&pem).unwrap();
        assert_eq!(pem[from..to], encrypted);
    }
    let plain = chain.leaf + &chain.key;
    assert_eq!(
        keys::decrypted(plain.as_bytes(), "key.pem", Passphrases::Nobody),
        Ok(None)
    );
}

#[test]
fn a_decrypted_key_takes_the_encrypted_one_s_place() {
    let pem = "before\n-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----\nafter\n";
    let (from, to) = keys::encrypted_key(pem.as_bytes()).unwrap();
    assert_eq!(&pem[..from], "before\n");
    assert_eq!(&pem[to..], "after\n");
    let unfinished = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n";
    assert_eq!(keys::encrypted_key(unfinished.as_bytes()), None);
}

#[test]
fn files_with_keys_that_others_may_read_are_noticed() {
    let folder = Folder::new("exposed");
    let chain = chain();
    let mut exposed = Vec::new();
    for (name, text, mode) in [
        ("open.pem", &chain.key, 0o644),
        ("closed.pem", &chain.key, 0o640),
        ("leaf.pem", &chain.leaf, 0o644),
    ] {
        let path = folder.write(name, text.as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut files = HostFiles::new(Passphrases::Nobody);
        (&mut files).read(&path).unwrap();
        exposed.extend(files.exposed().map(|path| {
            let name = Path::new(path).file_name().unwrap();
            name.to_str().unwrap().to_owned()
        }));
    }
    assert_eq!(exposed, ["open.pem"]);
}

#[test]
fn directories_list_their_files_through_links() {
    let folder = Folder::new("list");
    folder.write("b.pem", b"");
    fs::create_dir(folder.path("inner")).unwrap();
    std::os::unix::fs::symlink(folder.path("b.pem"), folder.path("0a1b2c3d.0")).unwrap();
    let mut files = HostFiles::new(Passphrases::Nobody);
    let names = (&mut files).list(&folder.path("")).unwrap();
    assert_eq!(names, ["0a1b2c3d.0", "b.pem"]);
    let error = (&mut files).read(&folder.path("inner")).unwrap_err();
    assert_eq!(error.reason, "Is a directory");
}
