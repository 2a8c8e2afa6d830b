//! The one table of options: it feeds parsing, error messages and help.

use alloc::string::String;

/// One option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, with the dashes.
    pub name: &'static str,
    /// The form of its value, such as `ADDRESS/PREFIX`.
    pub value: &'static str,
    /// A value that is right.
    pub example: &'static str,
    /// What holds without the option; `None` when it can't be left out.
    pub default: Option<&'static str>,
    /// What it does, one sentence.
    pub help: &'static str,
}

/// Every option, in the order in which help shows them.
pub static OPTIONS: [OptionSpec; 11] = [
    OptionSpec {
        name: "--ipv4",
        value: "ADDRESS/PREFIX",
        example: "10.0.0.2/24",
        default: Some("DHCP, or no IPv4 when --ipv6 is given"),
        help: "The image's IPv4 address and the length of its network prefix.",
    },
    OptionSpec {
        name: "--ipv4-gateway",
        value: "ADDRESS",
        example: "10.0.0.1",
        default: Some("none with --ipv4, else DHCP's"),
        help: "The IPv4 router, on the network of --ipv4.",
    },
    OptionSpec {
        name: "--ipv6",
        value: "ADDRESS/PREFIX",
        example: "2001:db8::2/64",
        default: Some("no IPv6"),
        help: "The image's IPv6 address and the length of its network prefix.",
    },
    OptionSpec {
        name: "--ipv6-gateway",
        value: "ADDRESS",
        example: "2001:db8::1",
        default: Some("none"),
        help: "The IPv6 router, on the network of --ipv6 or link-local.",
    },
    OptionSpec {
        name: "--dns",
        value: "ADDRESS[,ADDRESS]",
        example: "10.0.0.1",
        default: Some("DHCP's, else the gateway"),
        help: "The name servers, at most 3; the option may be repeated.",
    },
    OptionSpec {
        name: "--accept",
        value: "[ADDRESS:]PORT",
        example: "443",
        default: Some("443"),
        help: "Where TLS clients connect to; without an address, every address of the image.",
    },
    OptionSpec {
        name: "--connect",
        value: "[HOST:]PORT",
        example: "10.0.0.1:80",
        default: Some("80 on the gateway"),
        help: "Where plaintext goes; without a host, the gateway.",
    },
    OptionSpec {
        name: "--cert",
        value: "file:NAME or base64:TEXT",
        example: "file:cert.pem",
        default: None,
        help: "The certificate chain, PEM, leaf first: a file of the boot archive, or inline.",
    },
    OptionSpec {
        name: "--key",
        value: "file:NAME or base64:TEXT",
        example: "file:key.pem",
        default: None,
        help: "The leaf's private key, PEM (PKCS#8, PKCS#1 or SEC1): a file of the boot archive, or inline.",
    },
    OptionSpec {
        name: "--log",
        value: "error|warn|info|debug|trace",
        example: "info",
        default: Some("info"),
        help: "The most talkative level that reaches the console.",
    },
    OptionSpec {
        name: "--crypto",
        value: "ring|rustcrypto",
        example: "ring",
        default: Some("ring"),
        help: "The cryptography behind TLS: ring is fast, rustcrypto is Rust alone.",
    },
];

/// The help text of all options, wrapped for a terminal of 80 columns.
pub fn help() -> String {
    let mut text = String::new();
    for option in &OPTIONS {
        text.push_str("  ");
        text.push_str(option.name);
        text.push('=');
        text.push_str(option.value);
        text.push_str("\n        ");
        text.push_str(option.help);
        text.push('\n');
    }
    text
}
