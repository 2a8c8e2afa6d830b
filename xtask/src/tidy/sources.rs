//! Checks of Rust files.
//!
//! They look at tokens, so comments, documentation and strings never count as code.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Violation;

/// Longest source file, in lines: beyond, a file is more than one idea.
const MAX_LINES: usize = 600;
/// Folders of the crates that may hold unsafe code.
const UNSAFE_FOLDERS: [&str; 2] = ["boot/", "kernel/"];
/// Macros that say that code is missing.
const UNFINISHED: [&str; 2] = ["todo", "unimplemented"];

/// How a crate's root must treat unsafe code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnsafeLevel {
    /// `#![forbid(unsafe_code)]`: no exception.
    Forbid,
    /// `#![deny(unsafe_code)]`, or forbid: allowed module by module.
    Deny,
}

/// All checks of one file.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(check_length(path, text));
    violations.extend(check_module_docs(path, text));
    match TokenStream::from_str(text) {
        Ok(tokens) => {
            let tokens = flatten(tokens);
            violations.extend(check_unsafe(path, &tokens));
            violations.extend(check_unfinished(path, &tokens));
            violations.extend(check_ignored(path, &tokens));
        }
        Err(error) => {
            let line = error.span().start().line;
            violations.push(Violation::new(path, line, "not Rust"));
        }
    }
    violations
}

fn check_length(path: &str, text: &str) -> Option<Violation> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| {
        let message = format!("{lines} lines, of at most {MAX_LINES}: split it");
        Violation::new(path, 0, message)
    })
}

fn check_module_docs(path: &str, text: &str) -> Option<Violation> {
    let first = text.lines().find(|line| !line.trim().is_empty());
    (!first.is_some_and(|line| line.starts_with("//!"))).then(|| {
        Violation::new(
            path,
            1,
            "the file does not begin with //! saying what it is for",
        )
    })
}

fn check_unsafe(path: &str, tokens: &[Token]) -> Vec<Violation> {
    if UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    tokens
        .iter()
        .filter(|token| token.text == "unsafe")
        .map(|token| Violation::new(path, token.line, "unsafe outside boot and kernel"))
        .collect()
}

fn check_unfinished(path: &str, tokens: &[Token]) -> Vec<Violation> {
    find(tokens, |window| {
        matches!(window, [name, mark, ..] if mark.text == "!" && UNFINISHED.contains(&&*name.text))
    })
    .map(|token| Violation::new(path, token.line, format!("{}!: finish it", token.text)))
    .collect()
}

/// The attribute `ignore` without a reason; with one it is fine.
fn check_ignored(path: &str, tokens: &[Token]) -> Vec<Violation> {
    find(tokens, |window| {
        let texts: Vec<&str> = window
            .iter()
            .take(4)
            .map(|token| token.text.as_str())
            .collect();
        texts == ["#", "[", "ignore", "]"]
    })
    .map(|token| Violation::new(path, token.line, "a test is ignored without a reason"))
    .collect()
}

/// Checks how a crate's root treats unsafe code.
pub(super) fn check_unsafe_level(
    path: &str,
    text: &str,
    expected: UnsafeLevel,
) -> Option<Violation> {
    let tokens = flatten(TokenStream::from_str(text).unwrap_or_default());
    let has = |level: &str| {
        let attribute = ["#", "!", "[", level, "(", "unsafe_code", ")", "]"];
        tokens
            .windows(attribute.len())
            .any(|window| window.iter().map(|token| token.text.as_str()).eq(attribute))
    };
    let (fine, message) = match expected {
        UnsafeLevel::Forbid => (has("forbid"), "the crate lacks #![forbid(unsafe_code)]"),
        UnsafeLevel::Deny => (
            has("deny") || has("forbid"),
            "the crate lacks #![deny(unsafe_code)]",
        ),
    };
    (!fine).then(|| Violation::new(path, 0, message))
}

/// One token with its line; brackets are tokens of their own.
struct Token {
    text: String,
    line: usize,
}

fn flatten(tokens: TokenStream) -> Vec<Token> {
    let mut flat = Vec::new();
    flatten_into(tokens, &mut flat);
    flat
}

fn flatten_into(tokens: TokenStream, flat: &mut Vec<Token>) {
    for token in tokens {
        let mut push = |text: &str, line| {
            flat.push(Token {
                text: text.into(),
                line,
            })
        };
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open, group.span_open().start().line);
                flatten_into(group.stream(), flat);
                flat.push(Token {
                    text: close.into(),
                    line: group.span_close().start().line,
                });
            }
            TokenTree::Ident(name) => push(&name.to_string(), name.span().start().line),
            TokenTree::Punct(mark) => {
                push(
                    mark.as_char().encode_utf8(&mut [0; 4]),
                    mark.span().start().line,
                );
            }
            // Whatever a literal says, it is no code.
            TokenTree::Literal(literal) => push("\"\"", literal.span().start().line),
        }
    }
}

/// The tokens at which a pattern begins.
fn find(tokens: &[Token], pattern: impl Fn(&[Token]) -> bool) -> impl Iterator<Item = &Token> {
    (0..tokens.len())
        .filter(move |&begin| pattern(&tokens[begin..]))
        .map(|begin| &tokens[begin])
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        shown(check(path, text))
    }

    /// Puts in what this file must not itself hold, for those who search the tree for it.
    fn filled(text: &str) -> String {
        text.replace("TODO", &["todo", "!"].concat())
            .replace("LATER", &["unimplemented", "!"].concat())
            .replace("IGNORE", &["#[", "ignore"].concat())
    }

    #[test]
    fn a_clean_file_passes() {
        let text = "//! A module.\n\n/// Does unsafe things? No.\nfn f() { g(\"unsafe TODO()\") }\n\
                    // unsafe TODO() IGNORE]\n/* unsafe */\nIGNORE = \"needs KVM\"]\nfn t() {}\n\
                    #[allow(unsafe_code)]\nfn todo() { r#\"unsafe { }\"#; }\n";
        assert_eq!(messages("net/src/lib.rs", &filled(text)), [""; 0]);
    }

    #[test]
    fn long_files_are_found() {
        let text = |lines: usize| format!("//! A module.\n{}", "\n".repeat(lines - 1));
        assert_eq!(messages("a.rs", &text(600)), [""; 0]);
        assert_eq!(
            messages("a.rs", &text(601)),
            ["0: 601 lines, of at most 600: split it"]
        );
    }

    #[test]
    fn files_without_module_docs_are_found() {
        let expected = ["1: the file does not begin with //! saying what it is for"];
        assert_eq!(messages("a.rs", "fn f() {}\n//! late\n"), expected);
        assert_eq!(messages("a.rs", "// no doc\n"), expected);
        assert_eq!(messages("a.rs", ""), expected);
        assert_eq!(messages("a.rs", "\n//! doc\n"), [""; 0]);
    }

    #[test]
    fn unsafe_is_found_in_every_form() {
        let text = "//! A.\nunsafe fn f() {}\nfn g() {\n    unsafe { f() }\n}\n\
                    unsafe impl Send for X {}\n#[unsafe(no_mangle)]\nfn h() {}\n\
                    macro_rules! m { () => { unsafe {} } }\n";
        let lines: Vec<_> = check("tls/src/a.rs", text)
            .iter()
            .map(|violation| violation.line)
            .collect();
        assert_eq!(lines, [2, 4, 6, 7, 9]);
        assert_eq!(messages("boot/src/a.rs", text), [""; 0]);
        assert_eq!(messages("kernel/src/a.rs", text), [""; 0]);
        assert_eq!(check("kernel-extra/src/a.rs", text).len(), 5);
    }

    #[test]
    fn unfinished_code_is_found() {
        let text = "//! A.\nfn f() {\n    TODO()\n}\nfn g() { LATER (\"later\") }\n\
                    fn todo() -> bool { !todo() }\n";
        assert_eq!(
            messages("a.rs", &filled(text)),
            ["3: todo!: finish it", "5: unimplemented!: finish it"]
        );
    }

    #[test]
    fn ignored_tests_without_reason_are_found() {
        let text = "//! A.\n#[test]\nIGNORE]\nfn t() {}\nIGNORE = \"slow\"]\nfn u() {}\n";
        assert_eq!(
            messages("a.rs", &filled(text)),
            ["3: a test is ignored without a reason"]
        );
    }

    #[test]
    fn what_is_not_rust_is_said() {
        assert_eq!(messages("a.rs", "//! A.\nfn f( {\n"), ["2: not Rust"]);
    }

    #[test]
    fn crate_roots_must_treat_unsafe_code() {
        let level = |text, expected| {
            shown(
                check_unsafe_level("a", text, expected)
                    .into_iter()
                    .collect(),
            )
        };
        let forbid = "//! A.\n#![no_std]\n#![forbid(unsafe_code)]\n";
        let deny = "//! A.\n#![deny(unsafe_code)]\n";
        let comment = "//! #![forbid(unsafe_code)]\n// #![deny(unsafe_code)]\n";
        let inner = "//! A.\n#[deny(unsafe_code)]\nmod x {}\n";
        let no_forbid = ["0: the crate lacks #![forbid(unsafe_code)]"];
        let no_deny = ["0: the crate lacks #![deny(unsafe_code)]"];
        assert_eq!(level(forbid, UnsafeLevel::Forbid), [""; 0]);
        assert_eq!(level(forbid, UnsafeLevel::Deny), [""; 0]);
        assert_eq!(level(deny, UnsafeLevel::Deny), [""; 0]);
        for text in [deny, comment, inner] {
            assert_eq!(level(text, UnsafeLevel::Forbid), no_forbid);
        }
        for text in [comment, inner] {
            assert_eq!(level(text, UnsafeLevel::Deny), no_deny);
        }
    }
}
