//! What people and other programs have written into a store, and what they name it by.

use stockade_acme::Identifier;
use stockade_acme::renewal::Lifetime;
use stockade_store::host::Host;
use stockade_store::remote::Remote;
use stockade_store::sealed;
use stockade_store::ssh::{HostKey, LoginKey};

/// What a key in the store is encrypted with.
const SECRET: &[u8] = b"a store key of many bytes";

/// A host's file.
///
/// Checked: what is written is read as the same again, and written as the same again; errors show
/// nothing of the file.
pub fn host_file(bytes: &[u8]) {
    let host = match Host::parse(bytes) {
        Ok(host) => host,
        Err(error) => {
            let text = error.to_string();
            return assert!(!text.is_empty() && text.len() < 200, "{text}");
        }
    };
    assert!(!host.pairs.is_empty());
    let file = host.to_file();
    let again = Host::parse(&file).expect("what is written can be read");
    assert!(again == host, "it is read as another one");
    assert_eq!(again.to_file(), file);
}

/// A byte that says what it is, and text: where a store is, the key of its machine, the key to log in
/// with, a private key that may be encrypted, or a name that a certificate is for.
///
/// Checked: what was read can be written and read again; a remote's path is one word for a shell;
/// errors show nothing of keys.
pub fn store_text(bytes: &[u8]) {
    let Some((what, text)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    match what % 5 {
        0 => remote(text),
        1 => match HostKey::parse(text) {
            Ok(key) => assert_eq!(HostKey::parse(&key.to_string()), Ok(key)),
            Err(error) => assert!(!error.to_string().is_empty()),
        },
        2 => match LoginKey::parse(text) {
            Ok(key) => {
                let again = LoginKey::parse(&key.to_text()).expect("a key");
                assert_eq!(again.public_line(), key.public_line());
            }
            Err(error) => assert!(error.to_string().len() < 200),
        },
        3 => key(text),
        _ => name(text),
    }
}

fn remote(text: &str) {
    let remote = match Remote::parse(text) {
        Ok(remote) => remote,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for command in [remote.upload_pack(), remote.receive_pack()] {
        assert!(!command.contains(char::is_control), "{command:?}");
        let word = command
            .split_once(" '")
            .and_then(|(_, word)| word.strip_suffix('\''));
        assert!(word.is_some_and(|word| word == remote.path && !word.contains('\'')));
    }
    let Remote {
        user,
        host,
        port,
        path,
        branch,
    } = &remote;
    let written = match path.starts_with('/') {
        true => format!("ssh://{user}@[{host}]:{port}{path}#{branch}"),
        false => format!("{user}@[{host}]:{path}#{branch}"),
    };
    assert_eq!(Remote::parse(&written), Ok(remote.clone()), "{written}");
}

fn key(text: &str) {
    match sealed::open(text, Some(SECRET)) {
        Ok(plain) if sealed::is_sealed(text) => {
            let sealed = sealed::seal(&plain, SECRET, |bytes| bytes.fill(1)).expect("a key");
            let again = sealed::open(&sealed, Some(SECRET)).expect("it was sealed so");
            assert_eq!(again, plain);
        }
        Ok(plain) => {
            assert_eq!(*plain, text);
            if let Ok(sealed) = sealed::seal(text, SECRET, |bytes| bytes.fill(1)) {
                assert!(sealed::open(&sealed, Some(SECRET)).is_ok());
            }
        }
        Err(error) => assert!(error.to_string().len() < 300),
    }
}

fn name(text: &str) {
    match Identifier::parse(text) {
        Ok(name) => {
            assert_eq!(Identifier::parse(&name.to_string()), Ok(name.clone()));
            let bare = name.server_name();
            assert!(bare.len() <= 253 && bare.is_ascii(), "{bare}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A byte that says what the rest is: 0 the text of a chain, otherwise a certificate that is made
/// into such a text here.
///
/// Checked: it is renewed while it lives; what it is called by and for is of the right form.
pub fn certificate_text(bytes: &[u8]) {
    let found = match bytes.split_first() {
        Some((0, text)) => std::str::from_utf8(text).ok().and_then(Lifetime::of),
        Some((_, der)) => {
            use base64ct::{Base64, Encoding};
            let word = Base64::encode_string(der);
            Lifetime::of(&format!(
                "-----BEGIN CERTIFICATE-----\n{word}\n-----END CERTIFICATE-----\n"
            ))
        }
        None => None,
    };
    let Some(found) = found else {
        return;
    };
    assert!(found.renewal() >= found.not_before);
    assert!(found.renewal() <= found.not_after.max(found.not_before));
    if let Some(id) = &found.id {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let (authority, serial) = id.split_once('.').expect("two parts");
        assert!(
            authority.bytes().all(is_word) && serial.bytes().all(is_word),
            "{id}"
        );
    }
    for name in &found.names {
        assert_eq!(Identifier::parse(&name.to_string()).as_ref(), Ok(name));
    }
}
