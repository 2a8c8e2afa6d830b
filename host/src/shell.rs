//! Quoting for a POSIX shell, so that printed commands can be pasted.

/// One word as a POSIX shell takes it (IEEE Std 1003.1, Shell Command Language, §2.2).
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn words_come_through_a_shell_unchanged() {
        for (word, expect) in [
            ("-m", "-m"),
            ("a b", "'a b'"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("$(x)", "'$(x)'"),
            ("a;b", "'a;b'"),
        ] {
            assert_eq!(quote(word), expect);
        }
    }
}
