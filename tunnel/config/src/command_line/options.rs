//! The one table of options: it feeds parsing, error messages and help.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

mod hosting;

pub(super) use hosting::*;

/// One option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, with the dashes.
    pub name: &'static str,
    /// The form of its value, such as `ADDRESS/PREFIX`; empty for an option that takes none.
    pub value: &'static str,
    /// A value that is right.
    pub example: &'static str,
    /// What holds without the option; `None` when it can't be left out.
    pub default: Option<&'static str>,
    /// What it does, in one sentence.
    pub help: &'static str,
}

pub(super) static IPV4: OptionSpec = OptionSpec {
    name: "--ipv4",
    value: "ADDRESS/PREFIX",
    example: "10.0.0.2/24",
    default: Some("dhcp, or no IPv4 when --ipv6 is given"),
    help: "The image's IPv4 address and the length of its network prefix, or the word dhcp.",
};

pub(super) static IPV4_GATEWAY: OptionSpec = OptionSpec {
    name: "--ipv4-gateway",
    value: "ADDRESS",
    example: "10.0.0.1",
    default: Some("none beside an address, else DHCP's"),
    help: "The IPv4 router, on the network of --ipv4.",
};

pub(super) static IPV6: OptionSpec = OptionSpec {
    name: "--ipv6",
    value: "ADDRESS/PREFIX",
    example: "2001:db8::2/64",
    default: Some("no IPv6"),
    help: "The image's IPv6 address and the length of its network prefix.",
};

pub(super) static IPV6_GATEWAY: OptionSpec = OptionSpec {
    name: "--ipv6-gateway",
    value: "ADDRESS",
    example: "2001:db8::1",
    default: Some("none"),
    help: "The IPv6 router, on the network of --ipv6 or link-local.",
};

pub(super) static DNS: OptionSpec = OptionSpec {
    name: "--dns",
    value: "ADDRESS[,ADDRESS]",
    example: "10.0.0.1",
    default: Some("DHCP's, else the gateway"),
    help: "The name servers, at most 3; the option may be repeated.",
};

pub(super) static ACCEPT: OptionSpec = OptionSpec {
    name: "--accept",
    value: "[ADDRESS:]PORT",
    example: "443",
    default: Some("443"),
    help: "Where TLS clients connect to; without an address, every address of the image.",
};

pub(super) static CONNECT: OptionSpec = OptionSpec {
    name: "--connect",
    value: "[HOST:]PORT",
    example: "10.0.0.1:80",
    default: Some("80"),
    help: "Where the plaintext goes; without a host, to the gateway.",
};

pub(super) static CERT: OptionSpec = OptionSpec {
    name: "--cert",
    value: "file:NAME or base64:TEXT",
    example: "file:cert.pem",
    default: None,
    help: "The certificate chain, PEM, leaf first: a file of the boot archive, or the text.",
};

pub(super) static KEY: OptionSpec = OptionSpec {
    name: "--key",
    value: "file:NAME or base64:TEXT",
    example: "file:key.pem",
    default: None,
    help: "The private key, PEM (PKCS#8, PKCS#1, SEC1): a file of the boot archive, or the text.",
};

pub(super) static MODE: OptionSpec = OptionSpec {
    name: "--mode",
    value: "tcp|http",
    example: "http",
    default: Some("http for hosts of JSON files that speak http/1.1, else tcp"),
    help: "Carry bytes as they are, or requests of HTTP/1.1, each to its host's backend.",
};

pub(super) static HSTS: OptionSpec = OptionSpec {
    name: "--hsts",
    value: "SECONDS",
    example: "31536000",
    default: Some("browsers are told nothing"),
    help: "In mode http: for how long browsers that were here are to come by HTTPS alone (RFC 6797).",
};

pub(super) static MAX_BODY: OptionSpec = OptionSpec {
    name: "--max-body",
    value: "BYTES",
    example: "10485760",
    default: Some("any size"),
    help: "In mode http: how large a request's body may be; larger ones are answered with 413.",
};

pub(super) static LOG: OptionSpec = OptionSpec {
    name: "--log",
    value: "error|warn|info|debug|trace",
    example: "info",
    default: Some("info"),
    help: "The most talkative level that reaches the console.",
};

pub(super) static CRYPTO: OptionSpec = OptionSpec {
    name: "--crypto",
    value: "ring|rustcrypto",
    example: "ring",
    default: Some("ring"),
    help: "The cryptography behind TLS: ring is fast, rustcrypto is Rust alone.",
};

pub(super) static CONF: OptionSpec = OptionSpec {
    name: "--conf",
    value: "file:NAME or base64:TEXT",
    example: "file:stunnel.conf",
    default: Some("one service, told by the options above"),
    help: "A stunnel configuration: a file of the boot archive, or the text.",
};

pub(super) static PUBLISHED: OptionSpec = OptionSpec {
    name: "--published",
    value: "",
    example: "",
    default: Some("the image's addresses are its own"),
    help: "The launcher's host is where clients come to: its are the addresses, loopback ones too.",
};

pub(super) static SYSLOG: OptionSpec = OptionSpec {
    name: "--syslog",
    value: "ADDRESS[:PORT]",
    example: "10.0.0.1",
    default: Some("no syslog server"),
    help: "A syslog server that gets every log line by UDP (RFC 5424), on port 514 by default.",
};

/// Every option, in the order in which help shows them.
pub static OPTIONS: [&OptionSpec; 37] = [
    &IPV4,
    &IPV4_GATEWAY,
    &IPV6,
    &IPV6_GATEWAY,
    &DNS,
    &ACCEPT,
    &CONNECT,
    &CERT,
    &KEY,
    &CONF,
    &HOSTS,
    &REMOTE,
    &SSH_KEY,
    &SSH_HOST_KEY,
    &PASS,
    &PRODUCTION,
    &EMAIL,
    &AUTHORITY,
    &AUTHORITY_CA,
    &PROFILE,
    &EAB,
    &ACCOUNT_SEED,
    &KEY_TYPE,
    &STORE_KEY,
    &NO_ACME,
    &POLL,
    &LEGACY_RELOAD,
    &RELOAD_PORT,
    &HTTP,
    &DEFAULT_HOST,
    &MODE,
    &HSTS,
    &MAX_BODY,
    &PUBLISHED,
    &LOG,
    &SYSLOG,
    &CRYPTO,
];

/// Words without leading dashes that virtual machine monitors, firmware and boot loaders add
/// for Linux's sake; each alone or followed by `=` and a value. The kernel reads
/// `virtio_mmio.device` itself, nobody reads the others.
pub static MACHINE_WORDS: [&str; 17] = [
    "virtio_mmio.device",
    "console",
    "earlycon",
    "earlyprintk",
    "8250.nr_uarts",
    "i8042.noaux",
    "i8042.nomux",
    "i8042.nokbd",
    "reboot",
    "panic",
    "pci",
    "nomodule",
    "root",
    "ro",
    "rw",
    "quiet",
    "BOOT_IMAGE",
];

/// Longest distance at which another name still counts as what was meant, in edits.
const MAX_EDITS: usize = 2;
/// Longest name that is compared, in bytes: comparing takes time in proportion.
const MAX_COMPARED: usize = 32;

impl OptionSpec {
    /// Whether the option stands alone, without a value.
    pub fn is_flag(&self) -> bool {
        self.value.is_empty()
    }

    /// Whether the option may stand alone, and takes `true` or `false`.
    pub fn is_switch(&self) -> bool {
        self.value == SWITCH
    }

    /// What the option takes, as messages say it.
    pub fn expected(&self) -> String {
        if self.is_flag() {
            "no value".into()
        } else if self.value.contains('|') {
            self.value.into()
        } else {
            format!("{} such as {}", self.value, self.example)
        }
    }
}

/// The option of this name, dashes included, or of this other name of its.
pub(super) fn find(name: &str) -> Option<&'static OptionSpec> {
    OPTIONS
        .into_iter()
        .find(|option| option.name == name)
        .or_else(|| alias(name))
}

/// Whether a word begins an option: it has two dashes, or is a short name that is known.
pub(super) fn is_option(word: &str) -> bool {
    word.starts_with("--")
        || word
            .split('=')
            .next()
            .is_some_and(|name| find(name).is_some())
}

/// Whether the option's value may be a text in base64, which may be secret.
pub(super) fn holds_text(option: &OptionSpec) -> bool {
    let texts = [&CERT, &KEY, &CONF, &SSH_HOST_KEY, &AUTHORITY_CA];
    is_secret(option) || texts.iter().any(|holder| holder.name == option.name)
}

/// Whether the option's value is a secret by itself, unless it names a file.
pub(super) fn is_secret(option: &OptionSpec) -> bool {
    let secrets = [&KEY, &SSH_KEY, &PASS, &EAB, &ACCOUNT_SEED, &STORE_KEY];
    secrets.iter().any(|secret| secret.name == option.name)
}

/// Whether the option's value may be the text itself, neither in base64 nor in a file.
pub(super) fn is_plain(option: &OptionSpec) -> bool {
    option.name == SSH_HOST_KEY.name || (is_secret(option) && option.name != KEY.name)
}

/// Whether the option's value may name a file of the boot archive.
pub(super) fn takes_file(option: &OptionSpec) -> bool {
    option.name == HOSTS.name || holds_text(option)
}

/// Whether a word is one that a machine adds.
pub(super) fn is_machine_word(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    MACHINE_WORDS.contains(&name)
}

/// The option that was most likely meant by an unknown name, with or without dashes.
pub(super) fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.trim_start_matches('-').to_ascii_lowercase();
    if unknown.is_empty() || unknown.len() > MAX_COMPARED {
        return None;
    }
    let score = |option: &OptionSpec| {
        let name = option.name.trim_start_matches('-');
        let edits = distance(&unknown, name);
        // One letter of a short name is no similarity.
        if edits <= MAX_EDITS && edits < unknown.len().min(name.len()) {
            Some(edits)
        } else if unknown.len() >= 3 && is_subsequence(&unknown, name) {
            Some(MAX_EDITS + 1) // gateway, ipv4-gw
        } else if unknown.starts_with(name) {
            Some(MAX_EDITS + 2) // certificate
        } else {
            None
        }
    };
    OPTIONS
        .into_iter()
        .filter_map(|option| Some((score(option)?, option.name)))
        .min_by_key(|(score, _)| *score)
        .map(|(_, name)| name)
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut rest = long.bytes();
    short
        .bytes()
        .all(|wanted| rest.by_ref().any(|byte| byte == wanted))
}

/// How many bytes must be put in, taken out or replaced (Levenshtein's distance).
fn distance(from: &str, to: &str) -> usize {
    let mut row: alloc::vec::Vec<usize> = (0..=to.len()).collect();
    for (index, byte) in from.bytes().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, other) in cells.zip(to.bytes()) {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The help text of all options, at most 100 columns wide.
pub fn help() -> String {
    let mut text = String::new();
    for option in OPTIONS {
        let OptionSpec {
            name, value, help, ..
        } = option;
        let default = option.default.unwrap_or("none, it must be given");
        let example = option.expected();
        // Writing to a string can't fail.
        let _ = if option.is_flag() {
            writeln!(text, "  {name}\n      {help}")
        } else if option.is_switch() {
            writeln!(text, "  {name}[={value}]\n      {help}")
        } else {
            writeln!(text, "  {name}={value}\n      {help}")
        };
        let _ = if example.contains(" such as ") {
            writeln!(
                text,
                "      Example: {name}={}. Default: {default}.",
                option.example
            )
        } else {
            writeln!(text, "      Default: {default}.")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein_s() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("ipv4", "ipv6", 1),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn slips_find_their_option() {
        for (unknown, expected) in [
            ("--ipv5", Some("--ipv4")),
            ("--IPV6", Some("--ipv6")),
            ("-ipv4", Some("--ipv4")),
            ("--ipv4-gatway", Some("--ipv4-gateway")),
            ("--ipv4-gw", Some("--ipv4-gateway")),
            ("--gateway", Some("--ipv4-gateway")),
            ("--certificate", Some("--cert")),
            ("--certs", Some("--cert")),
            ("--loglevel", Some("--log")),
            ("--conect", Some("--connect")),
            ("--cypto", Some("--crypto")),
            ("accept", Some("--accept")),
            ("--k", None),
            ("--", None),
            ("--zzzzzz", None),
            ("--a-name-that-is-longer-than-all-others", None),
        ] {
            assert_eq!(nearest(unknown), expected, "{unknown}");
        }
    }

    #[test]
    fn help_names_every_option_and_stays_narrow() {
        let text = help();
        for option in OPTIONS {
            let head = match (option.is_flag(), option.is_switch()) {
                (true, _) => format!("  {}\n", option.name),
                (_, true) => format!("  {}[={}]\n", option.name, option.value),
                _ => format!("  {}={}\n", option.name, option.value),
            };
            assert!(text.contains(&head), "{head}");
            assert!(text.contains(option.help));
        }
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        assert!(text.contains("Example: --ipv4=10.0.0.2/24. Default: dhcp, "));
        assert!(text.contains("Default: none, it must be given."));
    }

    #[test]
    fn other_names_are_no_option_s() {
        for name in ["-r", "--ssh-seed", "--ssh-ssh", "--certificate-key-type"] {
            assert!(OPTIONS.iter().all(|option| option.name != name));
            assert!(find(name).is_some(), "{name}");
            assert_eq!(instead(name), None, "{name}");
        }
    }

    #[test]
    fn no_name_is_there_twice() {
        for (index, option) in OPTIONS.iter().enumerate() {
            assert!(option.name.starts_with("--"));
            assert!(
                OPTIONS[..index]
                    .iter()
                    .all(|other| other.name != option.name)
            );
        }
    }
}
