//! The kernel command line, alone and with a boot archive.

use std::str;

use stockade_config::archive::{Archive, Builder};
use stockade_config::command_line::{self, parse_bytes};
use stockade_config::hosting::StoreSource;
use stockade_config::{ReadError, ServiceSource, Settings, Source};

/// The texts of a store that are secret.
fn secrets(store: &StoreSource) -> impl Iterator<Item = &Source> {
    let authority = store.authority.as_ref();
    let accounts = authority.into_iter().flat_map(|authority| {
        let texts = [&authority.binding, &authority.account_seed];
        texts.into_iter().flatten()
    });
    let texts = [&store.pass, &store.encryption];
    [&store.ssh_key]
        .into_iter()
        .chain(texts.into_iter().flatten())
        .chain(accounts)
}

/// Every text of a store that may be a file.
fn files(store: &StoreSource) -> impl Iterator<Item = &Source> {
    let roots = store
        .authority
        .iter()
        .flat_map(|authority| &authority.roots);
    secrets(store).chain(&store.ssh_host_key).chain(roots)
}

/// Reads `line` in every way that there is.
///
/// Checked: a refusal says something; a line with a key is known to hold one; a line cut in two at a blank, its second half in the boot
/// archive, reads as the whole.
pub fn command_line(line: &[u8]) {
    let whole = parse_bytes(line);
    match &whole {
        Ok(config) => drop(format!("{config:?}")),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
    if let Err(error) = Settings::read(line, None) {
        assert!(!error.to_string().is_empty());
    }
    let Ok(text) = str::from_utf8(line) else {
        return;
    };
    if let Ok(config) = &whole {
        let inline = match &config.services {
            ServiceSource::Single { key, .. } => {
                assert!(command_line::mentions(text, "--key"));
                matches!(key, Source::Inline(_))
            }
            ServiceSource::Conf(conf) => {
                assert!(command_line::mentions(text, "--conf"));
                matches!(conf, Source::Inline(_))
            }
            ServiceSource::Hosting(hosting) => match &hosting.store {
                Some(store) => {
                    assert!(command_line::mentions(text, "--remote"));
                    assert!(command_line::mentions(text, "--ssh-key"));
                    secrets(store).any(|source| matches!(source, Source::Inline(_)))
                }
                None => {
                    assert!(command_line::mentions(text, "--hosts"));
                    false
                }
            },
        };
        assert!(
            !inline || command_line::holds_secret(text),
            "a key is missed"
        );
    }
    let Some(blank) = text.find(' ').filter(|at| *at > 0 && at + 1 < text.len()) else {
        return;
    };
    let mut builder = Builder::new();
    builder
        .command_line(&text[blank + 1..])
        .expect("the only one")
        .file("cert.pem", b"a certificate")
        .expect("a good name")
        .file("key.pem", b"a key")
        .expect("another")
        .file("key.txt", b"ed25519:AAAA")
        .expect("a third")
        .file("hosts/a.example.pem", b"a certificate and a key")
        .expect("a host");
    let archive = builder.finish();
    let config = match Settings::read(&line[..blank], Some(&archive)) {
        Ok(settings) => Ok(settings.config),
        Err(ReadError::CommandLine(errors)) => Err(errors),
        Err(ReadError::Conf(errors)) => {
            let config = whole.expect("only its configuration is wrong");
            assert!(matches!(config.services, ServiceSource::Conf(_)));
            assert!(!errors.to_string().is_empty());
            return;
        }
        Err(ReadError::Contents(errors)) => {
            let config = whole.expect("only its files are wrong");
            assert!(matches!(config.services, ServiceSource::Hosting(_)));
            assert!(errors.iter().all(|error| !error.to_string().is_empty()));
            return;
        }
        Err(ReadError::Sources(_)) => {
            let archive = Archive::open(&archive).expect("just made");
            let config = whole.expect("only its files are missing");
            let there = |option, source: &Source| source.load(option, Some(&archive)).is_ok();
            let all = match &config.services {
                ServiceSource::Single { certificate, key } => {
                    there("--cert", certificate) && there("--key", key)
                }
                ServiceSource::Conf(source) => there("--conf", source),
                ServiceSource::Hosting(hosting) => {
                    let folder = hosting.folder.as_deref();
                    let store = hosting.store.as_ref();
                    folder.is_none_or(|folder| folder == "hosts")
                        && store.is_none_or(|store| files(store).all(|source| there("", source)))
                }
            };
            assert!(!all, "every file is there");
            return;
        }
        Err(error) => panic!("a good archive is refused: {error}"),
    };
    assert_eq!(config, whole, "cut at {blank}");
}
