//! `stockade keygen`: a key for the image to log in with.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use stockade_store::ssh::LoginKey;
use zeroize::Zeroizing;

use crate::Result;
use crate::cli::Keygen;

/// How a seed in its own form begins.
const FORM: &str = "ed25519:";

/// Fewest characters of a text that a key grows from: shorter ones are guessed.
const FEWEST: usize = 16;

/// What keys of a text are for (RFC 5869 §3.2).
const LABEL: &[u8] = b"ssh";

/// What to do next; it goes where a file that takes the key does not get it.
const NEXT: &str = "\
Keep it secret: who has the first line may change your certificates. In a file (chmod 600 key.txt) it is
--ssh-key=file:key.txt, here and for the image. Next:

 1. On the repository's machine, append the ssh-ed25519 line, without the #, to
    ~git/.ssh/authorized_keys (behind `restrict ` it can do nothing but run commands, and with git-shell(1)
    as the user's shell only Git's).
 2. Learn that machine's own key:  ssh-keyscan -t ed25519 HOST
    and compare it there:          ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
 3. Give both:                     --ssh-key=file:key.txt --ssh-host-key=ssh-ed25519:AAAA…
";

/// Draws a key, or tells the one of a seed.
pub(crate) fn keygen(options: &Keygen) -> Result<ExitCode> {
    let key = match &options.seed {
        None => drawn()?,
        Some(seed) => grown(&seed.read("--seed")?)?,
    };
    // One write, so that no file has half of it.
    let text = Zeroizing::new(file(&key));
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    if others_can_read(&output) {
        crate::warn(
            "warning: the file can be read by others than its owner: chmod 600 it, or call `umask 077` before",
        );
    }
    // Whoever sees the key sees where it ends.
    if output.is_terminal() {
        crate::warn("");
    }
    crate::warn(NEXT.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// A file that `--ssh-key=file:NAME` takes.
fn file(key: &LoginKey) -> String {
    format!("{}\n# {} stockade\n", *key.to_text(), key.public_line())
}

fn drawn() -> Result<LoginKey> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(seed.as_mut())
        .map_err(|_| "this system gives no random bytes")?;
    Ok(LoginKey::from_seed(*seed))
}

/// The key of a seed: its own, or the one that grows from a text.
fn grown(seed: &str) -> Result<LoginKey> {
    if seed.trim_start().starts_with(FORM) || seed.trim_start().starts_with('#') {
        return Ok(LoginKey::parse(seed).map_err(|error| format!("--seed: {error}"))?);
    }
    if seed.starts_with("rsa:") {
        return Err(
            "--seed: keys of RSA are not made: leave the seed out, and add the new key's line to \
                    authorized_keys"
                .into(),
        );
    }
    if seed.chars().count() < FEWEST {
        return Err(format!(
            "--seed: a text of less than {FEWEST} characters can be guessed: leave the option out, and a \
             key is drawn"
        )
        .into());
    }
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]);
    let secret = salt.extract(seed.as_bytes());
    let mut seed = Zeroizing::new([0; 32]);
    let info = [LABEL];
    let grown = secret.expand(&info, hkdf::HKDF_SHA256);
    grown
        .and_then(|grown| grown.fill(seed.as_mut()))
        .map_err(|_| "no key grows from this seed")?;
    Ok(LoginKey::from_seed(*seed))
}

/// Whether standard output is a file that others may read.
fn others_can_read(output: &impl AsFd) -> bool {
    rustix::fs::fstat(output).is_ok_and(|status| {
        let is_file = rustix::fs::FileType::from_raw_mode(status.st_mode)
            == rustix::fs::FileType::RegularFile;
        is_file && status.st_mode & 0o044 != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_a_key_s_file() {
        let key = drawn().unwrap();
        let text = file(&key);
        let again = LoginKey::parse(&text).unwrap();
        assert_eq!(again.public_line(), key.public_line());
        assert_eq!(grown(&text).unwrap().public_line(), key.public_line());
        let [seed, line] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("{} lines", text.lines().count());
        };
        assert!(seed.starts_with("ed25519:"));
        assert_eq!(line, format!("# {} stockade", key.public_line()));
        assert_ne!(drawn().unwrap().public_line(), key.public_line());
    }

    /// HKDF-SHA256 (RFC 5869) by another implementation, Python's hmac module.
    #[test]
    fn a_text_grows_the_same_key_everywhere() {
        let key = grown("correct horse battery staple").unwrap();
        assert_eq!(
            *key.to_text(),
            "ed25519:k/K4UVWfenwJALCsTZMeLsZ+fU9m7x+xGfZtBWmVo0w="
        );
    }

    #[test]
    fn what_is_no_seed_is_refused_without_a_word_of_it() {
        for seed in ["ed25519:AAAA", "rsa:0123456789abcdef", "hunter2"] {
            let error = grown(seed).err().unwrap().to_string();
            assert!(error.starts_with("--seed: "), "{error}");
            assert!(
                !error.contains("AAAA") && !error.contains("0123"),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
