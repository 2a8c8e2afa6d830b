//! Files that are refused. Each begins with `foreground = yes`, `syslog = no` and `pid =`.

/// What it is about, the file, and a line that both must have.
pub const WRONG: &[(&str, &str, &str)] = &[
    (
        "an option that there is not",
        "colour = red\n",
        "[!] {dir}/stunnel.conf:4: \"colour = red\": Specified option name is not valid here",
    ),
    (
        "an option of a service that there is not",
        "[s]\ncolour = red\n",
        "[!] {dir}/stunnel.conf:5: \"colour = red\": Specified option name is not valid here",
    ),
    (
        "a line without a sign",
        "[s]\naccept\n",
        "[!] {dir}/stunnel.conf:5: \"accept\": No '=' found",
    ),
    (
        "a section without an end",
        "[s\naccept = 1\n",
        "[!] {dir}/stunnel.conf:4: ",
    ),
    ("a section without a service", "[s]\n", "[!] Service [s]: "),
    (
        "a level that there is not",
        "debug = loud\n",
        "\"debug = loud\": Illegal debug level",
    ),
    (
        "neither yes nor no",
        "[s]\nclient = maybe\n",
        "\"client = maybe\": The argument needs to be either 'yes' or 'no'",
    ),
    (
        "foreground is neither",
        "foreground = maybe\n",
        "\"foreground = maybe\": ",
    ),
    (
        "a time that is no number",
        "[s]\nTIMEOUTidle = soon\n",
        "\"TIMEOUTidle = soon\": Illegal idle timeout",
    ),
    (
        "a port that there is not",
        "[s]\naccept = nowhere.invalid:1\nconnect = {backend}\nclient = yes\n",
        "[!] Service [s]: Cannot resolve accept target",
    ),
    (
        "no port",
        "[s]\naccept = 127.0.0.1:none-such\nconnect = {backend}\nclient = yes\n",
        "[!] ",
    ),
    (
        "a way to fail over that there is not",
        "[s]\nfailover = never\n",
        "\"failover = never\": The argument needs to be either 'rr' or 'prio'",
    ),
    (
        "a version that there is not",
        "[s]\nsslVersion = TLSv9\n",
        "\"sslVersion = TLSv9\": Invalid protocol version",
    ),
    (
        "a newest version before the oldest",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nsslVersionMin = TLSv1.3\nsslVersionMax = TLSv1.2\n",
        "[!] Service [s]: Invalid protocol version range",
    ),
    (
        "ciphers that there are not",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nciphers = NONE-SUCH\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "a curve that there is not",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nCAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = x\ncurves = P-9\n",
        "[!] ",
    ),
    (
        "an option of OpenSSL's that there is not",
        "[s]\noptions = NO_SUCH\n",
        "\"options = NO_SUCH\": Illegal TLS option",
    ),
    (
        "a socket option that there is not",
        "[s]\nsocket = l:NONE=1\n",
        "\"socket = l:NONE=1\": Illegal socket option",
    ),
    (
        "a protocol that there is not",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nprotocol = gopher\n",
        "[!] Service [s]: Protocol not supported",
    ),
    (
        "no certificate",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\n",
        "[!] Service [s]: TLS server needs a certificate",
    ),
    (
        "a certificate that is not there",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/none.pem\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "a certificate that is none",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/psk\nkey = {dir}/server.key\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "a key that is not there",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/none.key\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "another certificate's key",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/client.key\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "a key that is none",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/psk\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "nothing to verify with",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nverifyChain = yes\n",
        "[!] Service [s]: Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured",
    ),
    (
        "authorities that are not there",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nverifyChain = yes\nCAfile = {dir}/none.pem\n",
        "[!] Service [s]: Failed to initialize TLS context",
    ),
    (
        "a host to check without a verification",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nCAfile = {dir}/ca.pem\ncheckHost = localhost\n",
        "[!] ",
    ),
    (
        "one endpoint",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\n",
        "[!] Service [s]: Each service must define two endpoints",
    ),
    (
        "keys that are not there",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nPSKsecrets = {dir}/none\n",
        "Failed to read PSK secrets",
    ),
    (
        "keys in another form",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nPSKsecrets = {dir}/ca.pem\n",
        "[!] PSKsecrets line 1: Not in identity:key format",
    ),
    (
        "an identity without a key",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nPSKsecrets = {dir}/psk\nPSKidentity = nobody\n",
        "No key found for the specified PSK identity",
    ),
    (
        "a virtual service of nobody",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/server.key\n[v]\nsni = none:x.example\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/server.key\n",
        "SNI section name not found",
    ),
    (
        "a name without a service",
        "[v]\nsni = x.example\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/server.key\n",
        "[!] ",
    ),
    (
        "a folder that is not there",
        "include = {dir}/none\n",
        "\"include = {dir}/none\": Failed to include directory",
    ),
    (
        "a user that there is not",
        "setuid = nobody-is-called-so\n[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {good}\n",
        "\"setuid = nobody-is-called-so\": Illegal UID",
    ),
    (
        "a group that there is not",
        "setgid = nobody-is-called-so\n[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {good}\n",
        "\"setgid = nobody-is-called-so\": Illegal GID",
    ),
    (
        "a redirect of a client",
        "[s]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nredirect = {backend}\n",
        "[!] ",
    ),
    (
        "one ticket key",
        "[s]\naccept = 127.0.0.1:{A}\nconnect = {backend}\ncert = {dir}/server.pem\nkey = {dir}/server.key\nticketKeySecret = 000102030405060708090a0b0c0d0e0f\n",
        "\"ticketKeySecret\" and \"ticketMacSecret\" must be set together",
    ),
    (
        "a port that is taken",
        "[s]\nclient = yes\naccept = 127.0.0.1:{H}\nconnect = {backend}\nCAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = x\n",
        "[!] Binding service [s] failed",
    ),
    (
        "a port that is taken, after one that is free",
        "[a]\nclient = yes\naccept = 127.0.0.1:{A}\nconnect = {backend}\nCAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = x\n[s]\nclient = yes\naccept = 127.0.0.1:{H}\nconnect = {backend}\nCAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = x\n",
        "[!] Binding service [s] failed",
    ),
    (
        "a logId that there is not",
        "[s]\nlogId = colour\n",
        "\"logId = colour\": Invalid connection identifier type",
    ),
    (
        "a session cache that is no number",
        "[s]\nsessionCacheSize = many\n",
        "\"sessionCacheSize = many\": Illegal session cache size",
    ),
];
