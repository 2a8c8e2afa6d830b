//! Nothing that help tells is missing from the page and the completions, and shells take them.

use std::io::Write;
use std::process::{Command as Process, Stdio};

use super::*;

/// The page without roff's escapes.
fn plain_page() -> String {
    let mut text = page()
        .replace("\\-", "-")
        .replace("\\(aq", "'")
        .replace("\\&", "");
    for font in ["\\fB", "\\fI", "\\fR", "\\fP"] {
        text = text.replace(font, "");
    }
    text
}

/// The long options of `stockade TASK --help`, as its reader sees them.
fn options_in_help(task: &str) -> Vec<String> {
    let help = cli::parse(["stockade", task, "--help"].map(Into::into)).unwrap_err();
    let help = help.to_string();
    let help = help
        .split("The image's words:")
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut found = Vec::new();
    // Help texts are indented further than the options that they tell of.
    let tells = |line: &&str| {
        let text = line.trim_start();
        text.starts_with('-') && line.len() - text.len() < 8
    };
    for line in help.lines().filter(tells) {
        let words = line.split_ascii_whitespace().take(2);
        found.extend(
            words
                .filter(|word| word.starts_with("--"))
                .map(str::to_owned),
        );
    }
    assert!(found.iter().any(|option| option == "--help"), "{help}");
    found
}

#[test]
fn every_option_of_run_is_in_the_page_and_in_the_completions() {
    let page = plain_page();
    let shells = Shell::ALL.map(|shell| (shell, completions(shell)));
    let mut count = 0;
    for task in [
        "run", "check", "status", "stop", "reload", "diagnose", "keygen", "add", "remove", "list",
    ] {
        for option in options_in_help(task)
            .iter()
            .filter(|option| *option != "--help")
        {
            count += 1;
            assert!(
                page.contains(&format!("\n{option}")),
                "{option} is not in the page"
            );
            for (shell, text) in &shells {
                let sought = match shell {
                    Shell::Fish => format!("-l {}", option.trim_start_matches('-')),
                    _ => option.clone(),
                };
                assert!(
                    text.contains(&sought),
                    "{option} is not in {shell:?}'s completions"
                );
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_image_s_words_are_in_the_page() {
    let page = plain_page();
    for option in OPTIONS {
        assert!(
            page.contains(&format!("\n{}", option.name)),
            "{}",
            option.name
        );
    }
}

#[test]
fn every_section_is_there_and_no_text_is_taken_for_a_request() {
    let page = page();
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".SH "))
        .map(|heading| heading.trim_matches('"'))
        .collect();
    for heading in [
        "NAME",
        "SYNOPSIS",
        "FILES",
        "ENVIRONMENT",
        "SIGNALS",
        "EXIT STATUS",
        "EXAMPLES",
    ] {
        assert!(headings.contains(&heading), "{headings:?}");
    }
    for task in ["RUN", "CHECK", "STATUS", "STOP", "RELOAD", "DIAGNOSE"] {
        assert!(
            headings.contains(&format!("STOCKADE {task}").as_str()),
            "{headings:?}"
        );
    }
    let requests = [
        ".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".br", ".nf", ".fi", ".ie", ".el",
    ];
    for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
        assert!(
            requests.iter().any(|request| line.starts_with(request)),
            "{line}"
        );
    }
}

#[test]
fn shells_take_the_completions() {
    for shell in Shell::ALL {
        let started = Process::new(shell.program())
            .args(["-n"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        // bash is everywhere; of the others, those that are installed are asked.
        let Ok(mut child) = started else {
            assert_ne!(shell, Shell::Bash);
            continue;
        };
        let mut input = child.stdin.take().unwrap();
        input.write_all(completions(shell).as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{shell:?}: {output:?}");
    }
}

#[test]
fn every_example_is_taken() {
    for (_, line) in text::EXAMPLES {
        for command in line.split(" && ") {
            // The system's own groups may lack one.
            let command = command.replace(",group=www-data", "");
            let words = command.split_ascii_whitespace().map(Into::into);
            if !command.starts_with("stockade ") {
                continue;
            }
            let cli = cli::parse(words).unwrap_or_else(|error| panic!("{command}: {error}"));
            if let cli::Task::Run(options) = cli.command {
                let identity = ["--cert=file:c".to_owned(), "--key=file:k".to_owned()];
                // Hosts by name have certificates of their own.
                let by_name = crate::plan::hosts_by_name(&options);
                let identity = match by_name && options.hosts.is_none() {
                    true => &[][..],
                    false => &identity,
                };
                let words = [&options.words[..], identity];
                let network = stockade_host::network::options();
                let line = format!("{} {network}", words.concat().join(" "));
                let addressed = options.words.iter().any(|word| word.starts_with("--ipv4"));
                let alone = options.conf.is_none() && !addressed;
                if let Err(errors) = stockade_config::command_line::parse(&line)
                    && alone
                {
                    panic!("{command}: {errors}");
                }
            }
        }
    }
}
