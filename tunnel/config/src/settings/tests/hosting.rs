//! Hosts by name: what is in the boot archive.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::hosting::Store;

const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn hosting(line: &str, files: &[(&str, &'static [u8])]) -> Hosting {
    let bytes = archive("", files);
    match Settings::read(line.as_bytes(), Some(&bytes)) {
        Ok(Settings {
            services: Services::Hosting(hosting),
            ..
        }) => *hosting,
        other => panic!("{line}\n{other:?}"),
    }
}

fn store(line: &str, files: &[(&str, &'static [u8])]) -> Store {
    let line = format!("--remote=git@h:p {line}");
    hosting(&line, files).store.unwrap()
}

fn wrong(line: &str, files: &[(&str, &'static [u8])], message: &str) {
    check(line, Some(&archive("", files)), message);
}

#[test]
fn every_file_of_the_folder_is_a_host() {
    let files: &[(&str, &'static [u8])] = &[
        ("hosts/WWW.example.org.pem", b"one"),
        ("hosts/b.example.json", b" {}"),
        ("hosts/c.example", b"{}"),
        ("hosts/*.d.example.pem", b"four"),
        ("hosts/10.0.0.9.pem", b"five"),
        ("hosts.pem", b"of nobody"),
        ("other/e.example.pem", b"of nobody"),
    ];
    let hosting = hosting("--hosts=file:hosts/ --default-host=b.example", files);
    let names: Vec<&str> = hosting.files.iter().map(|file| &*file.name).collect();
    assert_eq!(
        names,
        [
            "www.example.org",
            "b.example",
            "c.example",
            "*.d.example",
            "10.0.0.9"
        ]
    );
    assert_eq!(
        hosting.files.first().map(|file| &file.text[..]),
        Some(&b"one"[..])
    );
    assert_eq!(hosting.default_host.as_deref(), Some("b.example"));
    assert_eq!(hosting.store, None);
}

#[test]
fn files_that_are_no_hosts_are_named() {
    let line = "--hosts=file:h";
    check(
        line,
        None,
        "--hosts: file:h needs a boot archive, and the machine was given none (-initrd)",
    );
    wrong(
        line,
        &[("ha.pem", b"x")],
        "--hosts: file:h is not in the boot archive, which holds ha.pem",
    );
    wrong(
        line,
        &[
            ("h/a.pem", b"x"),
            ("h/old/b.pem", b"x"),
            ("h/A.json", b"{}"),
            ("h/a_..pem", b"x"),
            ("h/.pem", b"x"),
            ("h/*.pem", b"x"),
            ("h/c.pem", b" \n"),
        ],
        "--hosts: file:h/old/b.pem lies in a folder of its own; expected one file for each host, and \
         no folders\n\
         --hosts: file:h/A.json is of the same host as file:h/a.pem\n\
         --hosts: file:h/.pem is called after no host; expected a name such as \
         www.example.org.pem\n\
         --hosts: file:h/*.pem is called after no host; expected a name such as \
         www.example.org.pem\n\
         --hosts: file:h/c.pem is empty",
    );
}

#[test]
fn pem_hosts_need_a_backend() {
    let line = "--ipv4=10.0.0.2/24 --hosts=file:h";
    wrong(
        line,
        &[("h/a.pem", PEM), ("h/b", b"{}")],
        "--hosts: file:h/a.pem has no backend: give --connect=HOST:PORT, --ipv4-gateway or \
         --ipv6-gateway",
    );
    assert_eq!(hosting(line, &[("h/b", b"{}")]).files.len(), 1);
    let line = format!("{line} --connect=10.0.0.3:80");
    assert_eq!(hosting(&line, &[("h/a.pem", PEM)]).files.len(), 1);
}

#[test]
fn secrets_come_from_files_without_the_end_of_the_line() {
    let line = "--ssh-key=file:key --ssh-host-key=file:host --pass=file:pass --eab=file:eab \
                --account-seed=file:seed --store-key=file:store --authority-ca=file:ca";
    let store = store(
        line,
        &[
            (
                "key",
                b"# ed25519:DDDD\ned25519:AAAA\nssh-ed25519 CCCC stockade\n",
            ),
            (
                "host",
                b"# 10.0.0.1:22 SSH-2.0 ssh-ed25519\n10.0.0.1 ssh-ed25519 BBBB root\n",
            ),
            ("pass", b"foo bar\r\n"),
            ("eab", b"id:with:a2V5==\n"),
            ("seed", b"\xff\n\n"),
            ("store", b"x"),
            ("ca", PEM),
        ],
    );
    assert_eq!(&**store.ssh_key, "ed25519:AAAA");
    assert_eq!(store.ssh_host_key.as_deref(), Some("ssh-ed25519 BBBB root"));
    let bytes = |text: &Option<Zeroizing<Vec<u8>>>| text.as_ref().map(|text| text.to_vec());
    assert_eq!(bytes(&store.pass), Some(b"foo bar".to_vec()));
    assert_eq!(bytes(&store.encryption), Some(b"x".to_vec()));
    let authority = store.authority.unwrap();
    assert_eq!(authority.roots.as_deref(), Some(PEM));
    assert_eq!(bytes(&authority.account_seed), Some(b"\xff\n".to_vec()));
    let (id, key) = authority.binding.unwrap();
    assert_eq!((&*id, &**key), ("id:with", "a2V5"));
}

#[test]
fn secrets_come_from_the_line() {
    let store = store(
        "--ssh-key=ed25519:AAAA --ssh-host-key=ssh-ed25519:BBBB --no-acme",
        &[],
    );
    assert_eq!(&**store.ssh_key, "ed25519:AAAA");
    assert_eq!(store.ssh_host_key.as_deref(), Some("ssh-ed25519:BBBB"));
    assert_eq!(store.authority, None);
}

#[test]
fn files_that_hold_something_else_are_named_and_not_shown() {
    wrong(
        "--remote=git@h:p --ssh-key=file:key --pass=file:pass --eab=file:eab --store-key=file:empty \
         --authority-ca=file:ca --ssh-host-key=base64:/w==",
        &[
            ("key", b"seed is U01hpCOJ"),
            ("pass", b"\n"),
            ("eab", b"secret"),
            ("empty", b""),
            ("ca", b"secret"),
        ],
        "--ssh-key: file:key has no key of Ed25519 in it, which begins with ed25519: and which \
         stockade keygen makes (not shown)\n\
         --ssh-host-key: its text is not UTF-8 text\n\
         --pass: file:pass is empty\n\
         --store-key: file:empty is empty\n\
         --authority-ca: file:ca has no PEM certificate in it\n\
         --eab: file:eab is no ID:KEY as the authority gives them out, with the key in base64url \
         (not shown)",
    );
    let long = String::from("x").repeat(16 * 1024 + 1);
    let line = format!("--remote=git@h:p --ssh-key=ed25519:A --pass={long}");
    check(&line, None, "--pass: its text has more than 16384 bytes");
}

#[test]
fn missing_files_are_all_told() {
    wrong(
        "--remote=git@h:p --ssh-key=file:key --pass=file:pass --hosts=file:h",
        &[],
        "--hosts: file:h is not in the boot archive, which holds no files\n\
         --ssh-key: file:key is not in the boot archive, which holds no files\n\
         --pass: file:pass is not in the boot archive, which holds no files",
    );
}

#[test]
fn debug_shows_no_secret() {
    let line = "--ssh-key=ed25519:Tm8ga2V5 --pass=Tm8ga2V5 --eab=id:Tm8ga2V5 \
                --account-seed=Tm8ga2V5 --store-key=Tm8ga2V5";
    let shown = format!("{:?}", store(line, &[]));
    assert!(shown.contains("git@h:p"), "{shown}");
    assert!(
        !shown.contains("Tm8") && !shown.contains("84, 109"),
        "{shown}"
    );
}
