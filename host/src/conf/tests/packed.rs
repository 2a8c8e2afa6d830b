//! What is packed on the host is what the image reads.

use stockade_config::stunnel::Configuration;
use stockade_config::{Services, Settings};

use super::super::{INSECURE, Passphrases, find, word};
use super::Folder;
use crate::Boot;

/// Reads a configuration on this host, packs it, and reads the packed one as the image does.
fn through_the_archive(path: &str) -> (Configuration, Configuration) {
    let found = find(path, Passphrases::Nobody);
    let ours = found.examination.configuration.clone();
    let ours = ours.unwrap_or_else(|| panic!("{}", found.examination.errors));
    let line = format!("{} --published", word(&found).unwrap());
    let boot = Boot::divide(&line, &[], Some(&found.recording), 4_000).unwrap();
    assert_eq!(boot.append, line);
    let settings = Settings::read(
        boot.append.as_bytes(),
        boot.archive.as_deref().map(Vec::as_slice),
    );
    let settings = settings.unwrap_or_else(|error| panic!("{error}"));
    match settings.services {
        Services::Conf(packed) => (ours, *packed),
        Services::Single { .. } | Services::Hosting(_) => panic!("services of the command line"),
    }
}

#[test]
fn included_files_and_named_ones_reach_the_image() {
    let folder = Folder::new("packed");
    let chain = super::keys::chain();
    let pem = folder.write("both.pem", (chain.leaf.clone() + &chain.key).as_bytes());
    std::fs::create_dir(folder.path("conf.d")).unwrap();
    folder.write(
        "conf.d/10-web.conf",
        format!("[web]\naccept = localhost:8443\nconnect = 8080\ncert = {pem}\n").as_bytes(),
    );
    let main = format!("pid =\ninclude = {}\n", folder.path("conf.d"));
    let main = folder.write("stunnel.conf", main.as_bytes());
    let (ours, packed) = through_the_archive(&main);
    assert_eq!(packed.services.len(), 1);
    assert_eq!(packed.services[0].name, "web");
    assert_eq!(packed.services[0].origin, ours.services[0].origin);
    assert!(packed.services[0].origin.file.ends_with("10-web.conf"));
    let bytes = |configuration: &Configuration| {
        let cert = configuration.services[0].cert.clone().unwrap();
        cert.bytes.to_vec()
    };
    assert_eq!(bytes(&packed), (chain.leaf + &chain.key).into_bytes());
    assert_eq!(bytes(&packed), bytes(&ours));
}

#[test]
fn a_pkcs12_file_reaches_the_image_as_pem() {
    let folder = Folder::new("packed-p12");
    let chain = super::keys::chain();
    let bytes = super::keys::pkcs12(&chain, &folder, &["-passout", "pass:"]);
    let path = folder.write("chain.p12", &bytes);
    let text = format!("[web]\naccept = localhost:8443\nconnect = 8080\ncert = {path}\n");
    let (_, packed) = through_the_archive(&folder.write("stunnel.conf", text.as_bytes()));
    let cert = packed.services[0].cert.clone().unwrap();
    assert!(cert.bytes.starts_with(b"-----BEGIN PRIVATE KEY-----"));
}

#[test]
fn a_key_that_others_may_read_is_warned_of_at_its_line() {
    let folder = Folder::new("warned");
    let chain = super::keys::chain();
    let pem = folder.write("both.pem", (chain.leaf + &chain.key).as_bytes());
    let text = format!("[web]\naccept = localhost:8443\nconnect = 8080\ncert = {pem}\n");
    let path = folder.write("stunnel.conf", text.as_bytes());
    for (mode, expect) in [(0o644, vec![(4, 4)]), (0o600, vec![])] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = find(&path, Passphrases::Nobody);
        let warnings: Vec<(u32, u8)> = found
            .examination
            .notices
            .iter()
            .filter(|notice| notice.text.starts_with(INSECURE))
            .map(|notice| (notice.origin.line, notice.level))
            .collect();
        assert_eq!(warnings, expect);
    }
}
