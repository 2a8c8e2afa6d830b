//! The manual page and the completions, out of the description of the options in [`cli`](crate::cli).

use clap::{Arg, Command};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use stockade_config::command_line::OPTIONS;

use crate::{caller, cli};

mod text;

/// A shell that completions are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash(1).
    Bash,
    /// zsh(1).
    Zsh,
    /// fish(1).
    Fish,
}

impl Shell {
    /// Every shell.
    pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

    /// The program's name.
    pub const fn program(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }

    /// What a file with the completions is called where the shell looks for it.
    pub const fn file_name(self) -> &'static str {
        match self {
            Shell::Bash => "stockade",
            Shell::Zsh => "_stockade",
            Shell::Fish => "stockade.fish",
        }
    }
}

/// The completions of a shell.
pub fn completions(shell: Shell) -> String {
    use clap_complete::{generate, shells};
    let mut bytes = Vec::new();
    let mut command = cli::command();
    match shell {
        Shell::Bash => generate(shells::Bash, &mut command, "stockade", &mut bytes),
        Shell::Zsh => generate(shells::Zsh, &mut command, "stockade", &mut bytes),
        Shell::Fish => generate(shells::Fish, &mut command, "stockade", &mut bytes),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// stockade(1), in roff: man(7).
pub fn page() -> String {
    let command = cli::command();
    let mut page = Roff::new();
    let source = format!("Stockade {}", caller::VERSION);
    page.control("TH", ["STOCKADE", "1", NO_DATE, &source, "User Commands"]);
    page.control("SH", ["NAME"]);
    page.text([roman(
        "stockade \\- a TLS tunnel that is its own operating system",
    )]);
    page.control("SH", ["SYNOPSIS"]);
    for (index, task) in tasks(&command).enumerate() {
        if index > 0 {
            page.control("br", []);
        }
        page.text(synopsis(task));
    }
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, text::DESCRIPTION);
    for task in tasks(&command) {
        let heading = format!("stockade {}", task.get_name()).to_uppercase();
        page.control("SH", [heading.as_str()]);
        let about = task.get_long_about().or_else(|| task.get_about());
        paragraphs(
            &mut page,
            &about.map(ToString::to_string).unwrap_or_default(),
        );
        for option in shown(task) {
            page.control("TP", []);
            page.text(term(option));
            page.text([roman(help(option))]);
        }
    }
    page.control("SH", ["THE IMAGE'S WORDS"]);
    paragraphs(&mut page, text::IMAGE_WORDS);
    for option in OPTIONS {
        page.control("TP", []);
        let mut words = vec![bold(option.name)];
        if !option.is_flag() {
            words.extend([roman("="), italic(option.value)]);
        }
        page.text(words);
        let default = option.default.unwrap_or("none, it must be given");
        page.text([roman(format!("{} Default: {default}.", option.help))]);
    }
    for (heading, entries) in text::TABLES {
        page.control("SH", [heading]);
        for (name, meaning) in entries {
            page.control("TP", []);
            page.text([bold(*name)]);
            page.text([roman(*meaning)]);
        }
    }
    page.control("SH", ["EXAMPLES"]);
    for (index, (what, line)) in text::EXAMPLES.into_iter().enumerate() {
        if index > 0 {
            page.control("PP", []);
        }
        page.text([roman(what)]);
        page.control("PP", []);
        page.control("RS", ["4"]);
        page.control("nf", []);
        page.text([bold(line)]);
        page.control("fi", []);
        page.control("RE", []);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([roman(
        "stunnel(8), qemu-system-x86_64(1), systemd.service(5)",
    )]);
    page.render().replacen(NO_DATE, "\"\"", 1)
}

/// Stands for the date that the page does not have, so that it is the same whenever it is made: an
/// empty argument would be lost.
const NO_DATE: &str = "NO-DATE";

/// The commands but help.
fn tasks(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|task| task.get_name() != "help")
}

/// The options that help shows.
fn shown(task: &Command) -> impl Iterator<Item = &Arg> {
    task.get_arguments().filter(|option| !option.is_hide_set())
}

fn synopsis(task: &Command) -> Vec<Inline> {
    let mut words = vec![bold(format!("stockade {}", task.get_name()))];
    for option in shown(task) {
        let required = option.is_required_set();
        words.push(roman(if required { " " } else { " [" }));
        if option.get_long().is_none() {
            words.push(bold("-- "));
        }
        words.extend(term(option));
        if !required {
            words.push(roman("]"));
        }
    }
    words
}

/// An option as it is written: `--name NAME`, `WORD ...`.
fn term(option: &Arg) -> Vec<Inline> {
    let value = option
        .get_value_names()
        .filter(|_| option.get_action().takes_values())
        .and_then(|names| names.first());
    match (option.get_long(), value) {
        (Some(long), Some(value)) => {
            vec![
                bold(format!("--{long}")),
                roman(" "),
                italic(value.as_str()),
            ]
        }
        (Some(long), None) => vec![bold(format!("--{long}"))],
        (None, value) => {
            let value = value.map_or("WORD", |value| value.as_str());
            vec![italic(value), roman(" ...")]
        }
    }
}

/// An option's help, with its words and its default.
fn help(option: &Arg) -> String {
    let mut text = option
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let values: Vec<String> = option
        .get_possible_values()
        .iter()
        .filter(|_| option.get_action().takes_values())
        .map(|value| value.get_name().to_owned())
        .collect();
    if !values.is_empty() {
        text += &format!(": {}", values.join(", "));
    }
    if let Some(default) = option.get_default_values().first() {
        text += &format!(" [default: {}]", default.to_string_lossy());
    }
    text
}

fn paragraphs(page: &mut Roff, text: &str) {
    for (index, paragraph) in text.split("\n\n").enumerate() {
        if index > 0 {
            page.control("PP", []);
        }
        page.text([roman(paragraph.replace('\n', " "))]);
    }
}

#[cfg(test)]
mod tests;
