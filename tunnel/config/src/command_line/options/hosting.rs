//! The options of hosts that are served by name.

use super::OptionSpec;

/// The value of an option that may also stand alone, which then is `true`.
pub(crate) const SWITCH: &str = "true|false";

pub(crate) static HOSTS: OptionSpec = OptionSpec {
    name: "--hosts",
    value: "file:DIR",
    example: "file:hosts",
    default: Some("no hosts of the boot archive"),
    help: "Serve hosts by name: every file below DIR/ in the boot archive, NAME.pem or as the store has.",
};

pub(crate) static REMOTE: OptionSpec = OptionSpec {
    name: "--remote",
    value: "USER@HOST:PATH[#BRANCH]",
    example: "git@10.0.0.1:certificates.git#master",
    default: Some("no store"),
    help: "Serve the hosts of this Git repository, the store, and renew their certificates (also -r).",
};

pub(crate) static SSH_KEY: OptionSpec = OptionSpec {
    name: "--ssh-key",
    value: "ed25519:TEXT, file:NAME or base64:TEXT",
    example: "file:key.txt",
    default: Some("none, it must be given with --remote"),
    help: "The key to log in to the store with, as stockade keygen prints it.",
};

pub(crate) static SSH_HOST_KEY: OptionSpec = OptionSpec {
    name: "--ssh-host-key",
    value: "ssh-ed25519:TEXT, file:NAME or base64:TEXT",
    example: "file:host-key.txt",
    default: Some("none; the one met is told"),
    help: "The key of the machine that has the store, as ssh-keyscan prints it.",
};

pub(crate) static PASS: OptionSpec = OptionSpec {
    name: "--pass",
    value: "TEXT, file:NAME or base64:TEXT",
    example: "file:pass.txt",
    default: Some("nobody may"),
    help: "What those know who may tell that the store has changed (stockade add, reload).",
};

pub(crate) static PRODUCTION: OptionSpec = OptionSpec {
    name: "--production",
    value: SWITCH,
    example: "true",
    default: Some("false, certificates for trial that no browser trusts"),
    help: "Whether Let's Encrypt issues certificates that browsers trust; it limits how many.",
};

pub(crate) static EMAIL: OptionSpec = OptionSpec {
    name: "--email",
    value: "ADDRESS",
    example: "admin@example.org",
    default: Some("none"),
    help: "Where the authority may write to about certificates.",
};

pub(crate) static AUTHORITY: OptionSpec = OptionSpec {
    name: "--authority",
    value: "URL",
    example: "https://ca.example.org/acme",
    default: Some("Let's Encrypt"),
    help: "The directory of the authority that issues certificates by ACME (RFC 8555).",
};

pub(crate) static AUTHORITY_CA: OptionSpec = OptionSpec {
    name: "--authority-ca",
    value: "file:NAME or base64:TEXT",
    example: "file:ca.pem",
    default: Some("the public ones of authorities that offer ACME"),
    help: "Certificates that the authority's own is trusted by, PEM.",
};

pub(crate) static PROFILE: OptionSpec = OptionSpec {
    name: "--profile",
    value: "NAME",
    example: "shortlived",
    default: Some("the authority's own choice"),
    help: "The kind of certificate, where the authority has several.",
};

pub(crate) static EAB: OptionSpec = OptionSpec {
    name: "--eab",
    value: "ID:KEY, file:NAME or base64:TEXT",
    example: "file:eab.txt",
    default: Some("none"),
    help: "What binds the account to one that the authority knows: its name and its key in base64url.",
};

pub(crate) static ACCOUNT_SEED: OptionSpec = OptionSpec {
    name: "--account-seed",
    value: "TEXT, file:NAME or base64:TEXT",
    example: "file:account.txt",
    default: Some("the key of --ssh-key"),
    help: "From what the key of the account with the authority grows.",
};

pub(crate) static KEY_TYPE: OptionSpec = OptionSpec {
    name: "--key-type",
    value: "p256|rsa2048|rsa3072|rsa4096",
    example: "p256",
    default: Some("p256"),
    help: "The kind of the certificates' keys, each of which is made anew.",
};

pub(crate) static STORE_KEY: OptionSpec = OptionSpec {
    name: "--store-key",
    value: "TEXT, file:NAME or base64:TEXT",
    example: "file:store-key.txt",
    default: Some("private keys are in the store as they are"),
    help: "With what private keys are encrypted in the store, whose history keeps them.",
};

pub(crate) static NO_ACME: OptionSpec = OptionSpec {
    name: "--no-acme",
    value: "",
    example: "",
    default: Some("certificates are renewed"),
    help: "Serve the store's certificates as they are, and ask no authority for others.",
};

pub(crate) static POLL: OptionSpec = OptionSpec {
    name: "--poll",
    value: "SECONDS",
    example: "300",
    default: Some("300"),
    help: "How often the store is looked at, besides when somebody tells that it has changed.",
};

pub(crate) static LEGACY_RELOAD: OptionSpec = OptionSpec {
    name: "--legacy-reload",
    value: "",
    example: "",
    default: Some("notices are authenticated, and never accepted twice"),
    help: "Take contruno's notices, too: the bare text of --pass, which who hears it can repeat.",
};

pub(crate) static RELOAD_PORT: OptionSpec = OptionSpec {
    name: "--reload-port",
    value: "PORT",
    example: "9418",
    default: Some("9418"),
    help: "Where notices come that the store has changed.",
};

pub(crate) static HTTP: OptionSpec = OptionSpec {
    name: "--http",
    value: "[ADDRESS:]PORT or none",
    example: "80",
    default: Some("80"),
    help: "Where HTTP is answered in the clear: an authority's questions, and redirects to https.",
};

pub(crate) static DEFAULT_HOST: OptionSpec = OptionSpec {
    name: "--default-host",
    value: "NAME",
    example: "www.example.org",
    default: Some("none, they are refused"),
    help: "The host for clients that ask for none or for one that is not known.",
};

/// Other names of options: contruno's.
static ALIASES: [(&str, &OptionSpec); 4] = [
    ("-r", &REMOTE),
    ("--ssh-seed", &SSH_KEY),
    // So it stands in contruno's manual.
    ("--ssh-ssh", &SSH_KEY),
    ("--certificate-key-type", &KEY_TYPE),
];

/// Options of contruno that there are none of here: what they take, and what to do instead.
static FOREIGN: [(&str, &str); 8] = [
    (
        "--certificate-seed",
        "each certificate has a key of its own, made anew and kept in the store",
    ),
    (
        "--certificate-bits",
        "--key-type says it all, such as --key-type=rsa4096",
    ),
    (
        "--account-key-type",
        "the account's key is always of P-256, and grows from --account-seed",
    ),
    (
        "--account-bits",
        "the account's key is always of P-256, and grows from --account-seed",
    ),
    (
        "--ssh-auth",
        "--ssh-host-key takes the other machine's whole key, as ssh-keyscan -t ed25519 prints it",
    ),
    (
        "--ssh-authenticator",
        "--ssh-host-key takes the other machine's whole key, as ssh-keyscan -t ed25519 prints it",
    ),
    (
        "--ssh-password",
        "a key opens the store: stockade keygen makes one for --ssh-key",
    ),
    (
        "--name",
        "the image has no name; that of a run stands before the --, as in stockade run --name NAME",
    ),
];

/// The option that goes by this other name.
pub(super) fn alias(name: &str) -> Option<&'static OptionSpec> {
    ALIASES
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, option)| *option)
}

/// What is to be done instead of giving contruno's option of this name.
pub(crate) fn instead(name: &str) -> Option<&'static str> {
    FOREIGN
        .iter()
        .find(|(foreign, _)| *foreign == name)
        .map(|(_, instead)| *instead)
}

/// Whether contruno's option of this name takes a secret.
pub(crate) fn is_foreign_secret(name: &str) -> bool {
    matches!(name, "--certificate-seed" | "--ssh-password")
}
