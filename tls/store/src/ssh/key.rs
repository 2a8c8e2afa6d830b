//! Keys: the other machine's, and one's own.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64, Encoding};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// How a public key of Ed25519 begins on the wire (RFC 8709 §4): its name, then its length.
const HEAD: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

/// What the key's name is in files and on the wire.
const NAME: &str = "ssh-ed25519";

/// How a seed is marked.
const SEED: &str = "ed25519:";

/// The key of another machine, of Ed25519.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HostKey([u8; 32]);

/// The key to log in with, of Ed25519. It displays nothing of itself, and is wiped when dropped.
#[derive(Clone)]
pub struct LoginKey(Zeroizing<[u8; 32]>);

/// Text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoKey {
    /// What it should have been.
    pub expected: &'static str,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is not {}", self.expected)
    }
}

impl core::error::Error for NoKey {}

impl HostKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> HostKey {
        HostKey(bytes)
    }

    /// Reads a line as ssh-keyscan(1) and the files below /etc/ssh have it: `ssh-ed25519 AAAA…`, with
    /// or without a host before it and a comment behind it; a colon may stand in the blank's place. Lines
    /// that are empty or begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// It is no such line.
    pub fn parse(text: &str) -> Result<HostKey, NoKey> {
        let expected = "a host key such as \"ssh-ed25519 AAAA…\"";
        let error = NoKey { expected };
        let line = only_line(text).ok_or(error)?;
        let line = match line.split_once(' ') {
            Some((host, rest)) if !host.starts_with(NAME) => rest.trim_start(),
            _ => line,
        };
        let rest = line.strip_prefix(NAME).ok_or(error)?;
        let rest = rest.strip_prefix([' ', ':']).ok_or(error)?;
        let word = rest.split_ascii_whitespace().next().ok_or(error)?;
        let bytes = Base64::decode_vec(word).map_err(|_| error)?;
        let key = bytes.strip_prefix(HEAD).ok_or(error)?;
        key.try_into().map(HostKey).map_err(|_| error)
    }
}

/// `ssh-ed25519 AAAA…`
impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(&self.0))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The one line that is neither empty nor a comment.
fn only_line(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().filter(|_| lines.next().is_none())
}

fn line(public: &[u8; 32]) -> String {
    let bytes: Vec<u8> = HEAD.iter().chain(public).copied().collect();
    format!("{NAME} {}", Base64::encode_string(&bytes))
}

impl LoginKey {
    /// The key that grows from these 32 bytes (RFC 8032 §5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> LoginKey {
        LoginKey(Zeroizing::new(seed))
    }

    /// Reads `ed25519:` and the seed's 32 bytes in base64; lines that are empty or begin with `#` are
    /// passed over.
    ///
    /// # Errors
    ///
    /// It is nothing of the kind. The error does not say what it was.
    pub fn parse(text: &str) -> Result<LoginKey, NoKey> {
        let expected = "a seed such as \"ed25519:\" and 32 bytes in base64 (44 characters)";
        let error = NoKey { expected };
        let line = only_line(text).ok_or(error)?;
        let word = line.strip_prefix(SEED).ok_or(error)?;
        let mut seed = Zeroizing::new([0; 32]);
        let decoded = Base64::decode(word, seed.as_mut()).map_err(|_| error)?;
        match decoded.len() {
            32 => Ok(LoginKey(seed)),
            _ => Err(error),
        }
    }

    /// The text that [`parse`](Self::parse) reads: a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let word = Zeroizing::new(Base64::encode_string(self.0.as_ref()));
        Zeroizing::new(format!("{SEED}{}", *word))
    }

    /// The line for the other machine's `authorized_keys` (sshd(8)).
    pub fn public_line(&self) -> String {
        line(SigningKey::from_bytes(&self.0).verifying_key().as_bytes())
    }

    /// The bytes that it grows from: a secret.
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// RFC 8032 §7.1, test 1: a secret key and its public key.
    const SECRET: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c,
        0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae,
        0x7f, 0x60,
    ];
    const PUBLIC: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];

    #[test]
    fn a_seed_grows_the_key_of_the_standard() {
        let key = LoginKey::from_seed(SECRET);
        let line = key.public_line();
        assert!(line.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"));
        assert_eq!(HostKey::parse(&line), Ok(HostKey(PUBLIC)));
        let text = key.to_text();
        let noted = format!("\n# a note\n  {}\r\n# {line}\n", *text);
        for text in [&*text, &noted] {
            assert_eq!(LoginKey::parse(text).unwrap().seed(), key.seed());
        }
    }

    #[test]
    fn host_keys_are_read_in_every_usual_form() {
        let key = HostKey(PUBLIC);
        let line = key.to_string();
        for text in [
            line.clone(),
            format!("{line} root@host\n"),
            line.replace(' ', ":"),
            format!("# 10.0.0.1:22 SSH-2.0-OpenSSH\n10.0.0.1 {line}\n"),
            format!("[10.0.0.1]:2222  {line} root@host"),
        ] {
            assert_eq!(HostKey::parse(&text), Ok(key), "{text}");
        }
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAA",
            "host ssh-rsa AAAA",
            &format!("{line}\n{line}"),
            &line[1..],
        ] {
            assert!(HostKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_seed_is_not_repeated() {
        let twice = LoginKey::from_seed(SECRET).to_text();
        let twice = format!("{}\n{}", *twice, *twice);
        for text in ["secret", "ed25519:c2VjcmV0", "ed25519:", "rsa:AAAA", &twice] {
            let error = LoginKey::parse(text).err().unwrap().to_string();
            assert!(
                !error.contains("c2Vj") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
