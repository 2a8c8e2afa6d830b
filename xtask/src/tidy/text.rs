//! Checks of every text file.

use super::Violation;

/// Where home folders and checkouts are. Cut in two, so that this file passes.
const FOLDERS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Use", "rs/"),
    concat!("/wo", "rk/"),
];

/// Refuses paths that are right on one machine only.
pub(super) fn check_paths(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for folder in FOLDERS {
            let absolute = line.match_indices(folder).any(|(at, _)| {
                let before = line.get(..at).and_then(|text| text.chars().next_back());
                !before.is_some_and(continues_path)
            });
            if absolute {
                let message = format!("a path that only one machine has ({folder}...)");
                violations.push(Violation::new(path, index + 1, message));
            }
        }
    }
    violations
}

/// Whether a slash after this character goes on with a path or an address.
fn continues_path(character: char) -> bool {
    character.is_alphanumeric() || "._-~*}$)".contains(character)
}

#[cfg(test)]
mod tests {
    use super::super::shown;
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        for folder in FOLDERS {
            for text in [
                format!("one\ncd {folder}user/x"),
                format!("one\n{folder}user"),
                format!("one\n\"{folder}user\" and {folder}other"),
                format!("one\nKEY={folder}k"),
            ] {
                let message = format!("2: a path that only one machine has ({folder}...)");
                assert_eq!(shown(check_paths("a", &text)), [message], "{text}");
            }
        }
    }

    #[test]
    fn other_paths_are_not() {
        let [home, root, _, work] = FOLDERS;
        for text in [
            format!("https://example.com{work}x"),
            format!("../..{home}x"),
            format!("${{DIR}}{root}x"),
            format!("target{work}x"),
            "/etc/ssl/certs and /tmp/x and $HOME/x and ~/x".into(),
            "at home/ or at work/ we do the same".into(),
        ] {
            assert_eq!(shown(check_paths("a", &text)), [""; 0], "{text}");
        }
    }
}
