//! Files through the boot archive.

use super::*;
use crate::archive::{Archive, Builder};
use crate::{Services, Settings};

const TEXT: &str = "include = /conf.d\n[s]\ncert = /c.pem\nkey = /k.pem\naccept = 443\nconnect = 80\n\
                    verifyChain = yes\nCApath = /ca\nCRLfile = /crl.pem\n";

fn recorded(text: &str) -> (Configuration, Recording) {
    let mut memory = Memory::with(text);
    memory.put("/conf.d/a name.conf", "TIMEOUTidle = 9\n");
    memory.put("/ca/line\nbreak.0", "never listed");
    let mut recorder = Recorder::new(memory);
    let configuration = read(PATH, &mut recorder).unwrap();
    (configuration, recorder.into_files())
}

fn packed(recording: &Recording) -> (String, Zeroizing<Vec<u8>>) {
    let mut builder = Builder::new();
    let name = recording.pack(&mut builder, PATH).unwrap().unwrap();
    (name.into(), builder.finish())
}

#[test]
fn the_image_reads_what_the_host_read() {
    let (configuration, recording) = recorded(TEXT);
    let (name, bytes) = packed(&recording);
    let archive = Archive::open(&bytes).unwrap();
    let mut files = PackedFiles::new(Some(&archive));
    assert_eq!(files.path_of(&name), Some(PATH));
    let again = read(PATH, &mut files).unwrap();
    assert_eq!(format!("{configuration:?}"), format!("{again:?}"));
    assert_eq!(
        &again.services[0].authorities[1].bytes[..],
        b"second authority"
    );

    let line = format!("--conf=file:{name} --log=warn");
    let settings = Settings::read(line.as_bytes(), Some(&bytes)).unwrap();
    let Services::Conf(third) = settings.services else {
        panic!("--conf was given");
    };
    assert_eq!(format!("{third:?}"), format!("{again:?}"));
}

#[test]
fn only_what_was_read_is_packed() {
    let (_, recording) = recorded(TEXT);
    let paths: Vec<_> = recording.paths().collect();
    assert_eq!(
        paths,
        [
            PATH,
            "/c.pem",
            "/ca/0a1b2c3d.0",
            "/ca/4e5f6071.12",
            "/conf.d/a name.conf",
            "/crl.pem",
            "/k.pem",
        ]
    );
}

/// The image's command line names it, and can't change with a reload.
#[test]
fn the_configuration_has_the_same_name_whatever_else_is_read() {
    let without = TEXT.replace("CRLfile = /crl.pem\n", "");
    for text in [TEXT, &without] {
        let (_, recording) = recorded(text);
        assert_eq!(packed(&recording).0, "conf/0");
    }
}

#[test]
fn errors_in_the_image_name_the_host_s_path() {
    let mut recorder = Recorder::new(Memory::with("bogus\n"));
    assert!(read(PATH, &mut recorder).is_err());
    let recording = recorder.into_files();
    let (name, bytes) = packed(&recording);
    let line = format!("--conf=file:{name}");
    let error = Settings::read(line.as_bytes(), Some(&bytes)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{PATH}:1: \"bogus\": No '=' found")
    );
}

#[test]
fn without_an_index_paths_are_names() {
    let text = client("CApath = /etc/ca\nverifyPeer = yes\ncert = /etc/c.pem");
    let mut builder = Builder::new();
    builder.file("etc/c.pem", b"chain").unwrap();
    builder.file("etc/ca/a.pem", b"root").unwrap();
    builder.file("off.conf", text.as_bytes()).unwrap();
    let bytes = builder.finish();
    let settings = Settings::read(b"--conf=file:off.conf", Some(&bytes)).unwrap();
    let Services::Conf(configuration) = settings.services else {
        panic!("--conf was given");
    };
    let [service] = &configuration.services[..] else {
        panic!("{configuration:?}");
    };
    assert_eq!(&*service.origin.file, "off.conf");
    assert_eq!(&service.cert.as_ref().unwrap().bytes[..], b"chain");
    assert_eq!(service.authorities[0].path, "/etc/ca/a.pem");
}

#[test]
fn a_whole_configuration_fits_the_command_line() {
    // "[x]\nclient=yes\naccept=1\nconnect=2\n" in base64.
    let line = b"--conf=base64:W3hdCmNsaWVudD15ZXMKYWNjZXB0PTEKY29ubmVjdD0yCg==";
    let settings = Settings::read(line, None).unwrap();
    let Services::Conf(configuration) = &settings.services else {
        panic!("--conf was given");
    };
    assert_eq!(configuration.services[0].name, "x");
    let error = Settings::read(b"--conf=base64:Ym9ndXM=", None).unwrap_err();
    assert_eq!(error.to_string(), "--conf:1: \"bogus\": No '=' found");
    let error = Settings::read(b"--conf=file:a.conf", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "--conf: file:a.conf needs a boot archive, and the machine was given none (-initrd)"
    );
}

#[test]
fn a_damaged_index_leads_to_errors_alone() {
    for index in [
        "",
        "file",
        "file x",
        "name a\nlist",
        "list 2 /ca\nname\nfile conf/0",
        "\u{fe}",
    ] {
        let mut builder = Builder::new();
        builder.file(INDEX, index.as_bytes()).unwrap();
        builder.file("conf/0", b"include = /ca\n").unwrap();
        let bytes = builder.finish();
        assert!(Settings::read(b"--conf=file:conf/0", Some(&bytes)).is_err());
    }
}
