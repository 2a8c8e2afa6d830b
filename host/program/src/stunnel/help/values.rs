//! The values of each option in one line, for `-help`.

/// Options and their values, in the order of their names.
const VALUES: &[(&str, &str)] = &[
    ("accept", "[HOST:]PORT: where connections come from"),
    (
        "acceptProxy",
        "NETWORK: proxies whose PROXY headers are believed",
    ),
    ("alpn", "NAME[,NAME...]: protocols inside TLS"),
    ("CAfile", "FILE: authorities, PEM"),
    ("CApath", "FOLDER: authorities, named by hashes"),
    ("cert", "FILE: certificate chain, PEM or PKCS #12"),
    (
        "checkEmail",
        "ADDRESS: a mail address of the peer's certificate",
    ),
    ("checkHost", "NAME: a host name of the peer's certificate"),
    (
        "checkIP",
        "ADDRESS: an IP address of the peer's certificate",
    ),
    ("ciphers", "LIST: cipher suites of TLS 1.2"),
    ("ciphersuites", "LIST: cipher suites of TLS 1.3"),
    ("client", "yes|no: whether TLS is towards connect"),
    ("compression", "none that can be had"),
    ("connect", "[HOST:]PORT: where connections go"),
    ("CRLfile", "FILE: revocation lists, PEM"),
    ("CRLpath", "FOLDER: revocation lists, named by hashes"),
    ("curve", "as curves"),
    ("curves", "LIST: groups of the key exchange"),
    ("debug", "[FACILITY.]LEVEL: what is logged"),
    (
        "delay",
        "yes|no: whether names are resolved for each connection",
    ),
    ("exec", "PROGRAM: a program of this host, for each client"),
    ("execArgs", "NAME ...: its name and arguments"),
    ("failover", "prio|rr: in which order backends are tried"),
    ("fips", "no"),
    (
        "foreground",
        "yes|quiet|no: whether to stay a process of the terminal",
    ),
    ("include", "FOLDER: read every file in it"),
    ("key", "FILE: private key, PEM"),
    ("libwrap", "no"),
    ("local", "HOST: source address towards connect"),
    (
        "log",
        "append|overwrite: what becomes of the log file at the start",
    ),
    (
        "logId",
        "sequential|unique|thread|process: how connections are numbered",
    ),
    ("OCSP", "URL: the responder that is asked about the peer"),
    (
        "OCSPaia",
        "yes|no: ask the responder that a certificate names",
    ),
    ("OCSPflag", "NOINTERN: responders must be the issuers"),
    ("OCSPnonce", "yes|no: whether answers repeat a nonce"),
    (
        "OCSPrequire",
        "yes|no: refuse peers of whom nobody has an answer",
    ),
    ("options", "[-]NAME: a TLS option, see -options"),
    ("output", "FILE: the log"),
    ("pid", "FILE: the process's number"),
    ("protocol", "NAME: what is said around TLS"),
    ("protocolAuthentication", "METHOD: basic, plain or login"),
    (
        "protocolHeader",
        "NAME:VALUE: a header towards an HTTP proxy",
    ),
    ("protocolHost", "HOST:PORT: where a proxy is to connect"),
    ("protocolPassword", "PASSWORD"),
    ("protocolUsername", "NAME"),
    ("PSKidentity", "IDENTITY: which of PSKsecrets a client uses"),
    ("PSKsecrets", "FILE: lines of IDENTITY:KEY"),
    ("pty", "yes|no: whether the program has a terminal"),
    (
        "redirect",
        "[HOST:]PORT: where clients without authentication go",
    ),
    ("renegotiation", "yes|no"),
    (
        "requireCert",
        "yes|no: whether a client needs a certificate",
    ),
    ("reset", "yes|no: whether errors end with a TCP reset"),
    (
        "retry",
        "yes|no|MILLISECONDS: start a program with connect again",
    ),
    ("RNDbytes", "NUMBER"),
    ("RNDoverwrite", "yes|no"),
    ("securityLevel", "NUMBER: 0 to 5"),
    ("service", "NAME: how the system's log calls it"),
    ("session", "as sessionCacheTimeout"),
    ("sessionCacheSize", "NUMBER: how many sessions are kept"),
    ("sessionCacheTimeout", "SECONDS: how long a session is kept"),
    ("sessionResume", "yes|no: whether sessions are resumed"),
    (
        "setgid",
        "GROUP: which group to become, or to give a UNIX socket",
    ),
    (
        "setuid",
        "USER: which user to become, or to give a UNIX socket",
    ),
    ("sni", "SERVICE:PATTERN as a server, NAME as a client"),
    (
        "socket",
        "a|l|r:OPTION=VALUE: a socket option, see -sockets",
    ),
    ("sslVersion", "all|TLSv1.2|TLSv1.3"),
    ("sslVersionMax", "all|TLSv1.2|TLSv1.3"),
    ("sslVersionMin", "all|TLSv1.2|TLSv1.3"),
    ("stack", "BYTES"),
    ("syslog", "yes|no: whether the system's log has the lines"),
    ("ticketKeySecret", "HEX: key of session tickets"),
    (
        "ticketMacSecret",
        "HEX: key that authenticates session tickets",
    ),
    ("TIMEOUTbusy", "SECONDS: for what is expected"),
    ("TIMEOUTclose", "SECONDS: for the other side's end"),
    ("TIMEOUTconnect", "SECONDS: for each address of connect"),
    ("TIMEOUTidle", "SECONDS: for anything on an open connection"),
    ("TIMEOUTocsp", "SECONDS: for each OCSP responder"),
    ("transparent", "none"),
    (
        "verify",
        "0 to 4, or none: an older way to say the three below",
    ),
    (
        "verifyChain",
        "yes|no: the peer's chain must lead to an authority",
    ),
    (
        "verifyPeer",
        "yes|no: the peer's certificate must be among CAfile's",
    ),
];

/// An option's values; empty for one that is not listed.
pub(super) fn of(name: &str) -> &'static str {
    let found = VALUES.iter().find(|(known, _)| *known == name);
    found.map_or("", |(_, values)| *values)
}
