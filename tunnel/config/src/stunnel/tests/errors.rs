//! What is wrong with a line or a section, in stunnel's words where stunnel says it, too.

use super::*;

/// A line before the first section, and what is said about it.
#[rustfmt::skip]
const LINES: &[(&str, &str)] = &[
    ("bogus", "No '=' found"),
    ("[x", "No '=' found"),
    ("[x]y", "No '=' found"),
    ("   bogus   x   ", "No '=' found"),
    ("bogus=1", "Specified option name is not valid here"),
    ("=", "Specified option name is not valid here"),
    // Global options.
    ("foreground=maybe", "The argument needs to be either 'yes', 'quiet' or 'no'"),
    ("log=x", "The argument needs to be either 'append' or 'overwrite'"),
    ("syslog=x", "The argument needs to be either 'yes' or 'no'"),
    ("fips=x", "The argument needs to be either 'yes' or 'no'"),
    ("fips=yes", "FIPS mode is not available: use \"fips = no\""),
    ("compression=none", "Specified compression type is not available"),
    ("compression=zlib", "compression tells plaintext to listeners, so TLS has none any more: remove it"),
    ("compression=Deflate", "compression tells plaintext to listeners, so TLS has none any more: remove it"),
    ("RNDbytes=x", "Illegal number of bytes to read from random seed files"),
    ("RNDoverwrite=1", "The argument needs to be either 'yes' or 'no'"),
    ("debug=8", "Illegal debug level"),
    ("debug=", "Illegal debug level"),
    ("debug=warn", "Illegal debug level"),
    ("debug=foo.5", "Illegal syslog facility"),
    ("debug=daemon.foo", "Illegal debug level"),
    ("engine=auto", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("engineCtrl=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("engineDefault=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("provider=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("providerParameter=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    // Where connections come from and go to.
    ("accept=99999", "Cannot resolve accept target: port 99999 is higher than 65535"),
    ("accept=", "Cannot resolve accept target: Unknown TCP service \"\""),
    ("accept=:80", "Cannot resolve accept target: Error resolving \"\": no host has this name"),
    ("accept=a:b:c:1", "Cannot resolve accept target: Error resolving \"a:b:c\": no host has this name"),
    ("accept=80;c", "Cannot resolve accept target: Unknown TCP service \"80;c\""),
    ("connect=80x", "Cannot resolve connect target: Unknown TCP service \"80x\""),
    ("connect=0", "Cannot resolve connect target: nothing listens on port 0"),
    ("connect=[10.0.0.1:5", "Cannot resolve connect target: Error resolving \"[10.0.0.1\": no host has this name"),
    ("redirect=x:-1", "Cannot resolve redirect target: Unknown TCP service \"-1\""),
    ("client=maybe", "The argument needs to be either 'yes' or 'no'"),
    ("client=yes ; comment", "The argument needs to be either 'yes' or 'no'"),
    ("delay=", "The argument needs to be either 'yes' or 'no'"),
    ("failover=x", "The argument needs to be either 'rr' or 'prio'"),
    ("ident=anna", "clients are not asked for their users' names: use verifyChain or verifyPeer"),
    ("libwrap=yes", "/etc/hosts.allow and /etc/hosts.deny are not read: use \"libwrap = no\" and a firewall"),
    ("libwrap=", "The argument needs to be either 'yes' or 'no'"),
    ("local=foo", "Failed to resolve local address: give it as numbers"),
    ("protocol=foo", "Protocol not supported"),
    ("protocol=", "Protocol not supported"),
    ("protocol=CIFS", "CIFS is not spoken here: use connect, imap, ldap, nntp, pgsql, pop3, proxy, proxy2, smtp or socks"),
    ("protocolHost=", "protocolHost needs a host, such as mail.example:25"),
    ("protocolHost=a b", "protocolHost needs a host, such as mail.example:25"),
    ("protocolUsername=a\u{1}b", "protocolUsername can't have control characters in it"),
    ("protocolAuthentication=digest", "protocolAuthentication is basic (for connect), or plain or login (for smtp)"),
    ("protocolHeader=name", "protocolHeader needs a header, such as NAME: VALUE"),
    ("protocolHeader=: value", "protocolHeader needs a header, such as NAME: VALUE"),
    ("protocolHeader=a b: c", "protocolHeader needs a header, such as NAME: VALUE"),
    ("protocolHeader=a: b\rc", "protocolHeader can't have control characters in it"),
    ("alpn=", "alpn needs names of 1 to 255 bytes, such as h2,http/1.1 or postgresql"),
    ("alpn=h2,,http/1.1", "alpn needs names of 1 to 255 bytes, such as h2,http/1.1 or postgresql"),
    ("acceptProxy=yes", "acceptProxy needs the proxies' addresses, for whoever may send the header can claim to be anybody: expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=", "acceptProxy: \"\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=10.0.0.1,proxy", "acceptProxy: \"proxy\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=10.0.0.1/33", "acceptProxy: \"10.0.0.1/33\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=10.0.0.1/+8", "acceptProxy: \"10.0.0.1/+8\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=::1/129", "acceptProxy: \"::1/129\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("acceptProxy=::/", "acceptProxy: \"::/\": expected ADDRESS[/PREFIX], such as 10.0.0.5 or 10.0.0.0/24"),
    ("pty=1", "The argument needs to be either 'yes' or 'no'"),
    ("retry=x", "The argument needs to be either 'yes' or 'no'"),
    ("socket=x:1", "Illegal socket option"),
    ("socket=l:FOO=1", "Illegal socket option"),
    ("socket=q:TCP_NODELAY=1", "Illegal socket option"),
    ("socket=l:TCP_NODELAY", "Illegal socket option"),
    ("socket=l:TCP_NODELAY=2", "Illegal socket option"),
    ("socket=l:tcp_nodelay=1", "Illegal socket option"),
    ("socket=l:SO_LINGER=1:x", "Illegal socket option"),
    ("socket=l:SO_LINGER=1:2:3", "Illegal socket option"),
    ("socket=l:SO_RCVTIMEO=x", "Illegal socket option"),
    ("socket=l:TCP_KEEPCNT=-1", "Illegal socket option"),
    ("transparent=x", "Selected transparent proxy mode is not available"),
    ("transparent=source", "connections are made from the image's own address: use \"transparent = none\""),
    // Who they are with.
    ("CAengine=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("CAstore=a", "stores are code that can't be loaded here: use CAfile or CApath"),
    ("engineId=a", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("engineNum=1", "no code can be loaded into an image: keys and certificates come from files (key, cert, CAfile)"),
    ("checkHost=", "checkHost needs a value"),
    ("checkEmail=", "checkEmail needs a value"),
    ("checkIP=foo", "checkIP needs an IP address"),
    ("OCSP=ftp://a", "OCSP: Failed to parse the OCSP URL"),
    ("OCSP=http://a:0/", "OCSP: Failed to parse the OCSP URL"),
    ("OCSP=https://a/", "OCSP: TLS not supported for OCSP - an additional stunnel service needs to be defined"),
    ("OCSPaia=1", "The argument needs to be either 'yes' or 'no'"),
    ("OCSPnonce=1", "The argument needs to be either 'yes' or 'no'"),
    ("OCSPrequire=1", "The argument needs to be either 'yes' or 'no'"),
    ("TIMEOUTocsp=x", "Illegal OCSP timeout"),
    ("OCSPflag=NOVERIFY", "an answer that nobody has to sign proves nothing: remove it, or use \"OCSPrequire = no\""),
    ("OCSPflag=foo", "Illegal OCSP flag"),
    ("requireCert=2", "The argument needs to be either 'yes' or 'no'"),
    ("verify=5", "Bad verify level"),
    ("verify=-1", "Bad verify level"),
    ("verify= 2x", "Bad verify level"),
    ("verifyChain=1", "The argument needs to be either 'yes' or 'no'"),
    ("verifyPeer=1", "The argument needs to be either 'yes' or 'no'"),
    // TLS.
    ("config=Groups:P-256", "OpenSSL's own commands mean nothing here: use ciphers, ciphersuites, curves, options, sslVersionMin and sslVersionMax"),
    ("options=FOO", "Illegal TLS option"),
    ("options=", "Illegal TLS option"),
    ("options=0x4000", "Illegal TLS option"),
    ("renegotiation=x", "The argument needs to be either 'yes' or 'no'"),
    ("reset=x", "The argument needs to be either 'yes' or 'no'"),
    ("securityLevel=9", "Illegal security level"),
    ("securityLevel=3", "levels above 2 can't be asked for: use ciphers and curves"),
    ("session=x", "Illegal session cache timeout"),
    ("sessionCacheSize=x", "Illegal session cache size"),
    ("sessionCacheTimeout=x", "Illegal session cache timeout"),
    ("sessiond=a:1", "sessions are not shared through sessiond: give each image the same ticketKeySecret and ticketMacSecret"),
    ("sessionResume=x", "The argument needs to be either 'yes' or 'no'"),
    ("sslVersion=SSLv2", "Invalid protocol version"),
    ("sslVersionMin=TLSv1.5", "Invalid protocol version"),
    ("sslVersionMax=", "Invalid protocol version"),
    // The rest of a service.
    ("logId=x", "Invalid connection identifier type"),
    ("stack=x", "Illegal thread stack size"),
    ("TIMEOUTbusy=x", "Illegal busy timeout"),
    ("TIMEOUTclose=-1", "Illegal close timeout"),
    ("TIMEOUTconnect=1x", "Illegal connect timeout"),
    ("TIMEOUTidle=0x10", "Illegal idle timeout"),
    ("include=/missing", "Failed to include directory: No such file or directory"),
];

#[test]
fn a_wrong_line_is_quoted_with_its_number() {
    for (line, error) in LINES {
        let text = format!("; comment\n{line}\n{}", server(""));
        let expected = format!("2: \"{line}\": {error}");
        assert_eq!(wrong(&text), expected, "{line}");
        // The report has what the option does.
        let mut memory = Memory::with(&text);
        let report = examine(PATH, &mut memory).report;
        let refused = report
            .iter()
            .find(|reported| matches!(reported.disposition, Disposition::Refused(_)));
        let known = !error.contains("No '='") && !error.contains("not valid here");
        assert_eq!(refused.is_some(), known, "{line}");
    }
}

#[test]
fn secrets_of_wrong_lines_are_hidden() {
    for (option, value, error) in [
        (
            "ticketKeySecret",
            "0011",
            "ticketKeySecret value has 2 bytes instead of required 16 or 32 bytes",
        ),
        (
            "ticketMacSecret",
            "zz",
            "Required ticketMacSecret is 16 or 32 byte hexadecimal key",
        ),
        (
            "ticketMacSecret",
            "001",
            "Required ticketMacSecret is 16 or 32 byte hexadecimal key",
        ),
    ] {
        assert_eq!(
            wrong(format!("{option} = {value}\n{}", server(""))),
            format!("1: \"{option}=…\": Failed to read {option}: {error}"),
        );
    }
}

/// Sections that are wrong as a whole, and what is said.
#[rustfmt::skip]
const SECTIONS: &[(&str, &str)] = &[
    ("[x]\naccept=1\nconnect=2", "1: Service [x]: TLS server needs a certificate"),
    ("[ x ]\naccept=1\nconnect=2", "1: Service [ x ]: TLS server needs a certificate"),
    ("[x]\ncert=/c.pem\naccept=1", "1: Service [x]: Each service must define two endpoints"),
    ("[x]\nclient=yes\nconnect=1", "1: Service [x]: Each service must define two endpoints"),
    ("[x]\nclient=yes", "1: Service [x]: Each service must define two endpoints"),
    ("[x]\nclient=yes\nsni=p:h\nconnect=1", "1: Service [x]: Each service must define two endpoints"),
    ("cert=/c.pem\n[p]\naccept=1\nconnect=2\n[x]\nsni=p:h", "5: Service [x]: Each service must define two endpoints"),
    ("cert=/c.pem\n[p]\naccept=1\nconnect=2\n[x]\naccept=3\nsni=p:h\nconnect=4", "5: Service [x]: Each service must define two endpoints"),
    ("cert=/c.pem\n[x]\nsni=p:h\nconnect=1\n[p]\naccept=1\nconnect=2", "3: Service [x]: SNI section name not found"),
    ("cert=/c.pem\n[p]\naccept=1\nconnect=2\n[x]\nsni=p\nconnect=4", "6: Service [x]: Invalid SNI parameter format"),
    ("cert=/c.pem\n[p]\nclient=yes\naccept=1\nconnect=2\n[x]\nsni=p:h\nconnect=4", "7: Service [x]: SNI primary service is a TLS client"),
    ("[x]\ncert=/c.pem\naccept=1\nconnect=2\nverifyChain=yes", "1: Service [x]: Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nverify=1\nCAfile=", "1: Service [x]: Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncheckHost=a", "1: Service [x]: Either \"verifyChain\" or \"verifyPeer\" has to be enabled"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncheckIP=::1\nrequireCert=yes", "1: Service [x]: Either \"verifyChain\" or \"verifyPeer\" has to be enabled"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nredirect=3", "1: Service [x]: \"redirect\" is unsupported in client sections"),
    ("[x]\ncert=/c.pem\naccept=1\nconnect=2\nredirect=3", "1: Service [x]: Either \"verifyChain\" or \"verifyPeer\" has to be enabled for \"redirect\" to work"),
    ("[x]\ncert=/c.pem\naccept=1\nconnect=2\nticketMacSecret=00112233445566778899aabbccddeeff", "1: Service [x]: \"ticketKeySecret\" and \"ticketMacSecret\" must be set together"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nsslVersionMin=TLSv1.3\nsslVersionMax=TLSv1.2", "1: Service [x]: Invalid protocol version range"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nsslVersion=TLSv1.1", "1: Service [x]: Invalid protocol version range: TLS 1.1 and older don't exist here, use TLSv1.2 or TLSv1.3"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\noptions=NO_TLSv1_2\noptions=NO_TLSv1_3", "1: Service [x]: Invalid protocol version range: options leave no version"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\noptions=NO_SSL_MASK", "1: Service [x]: Invalid protocol version range: options leave no version"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nsslVersionMin=TLSv1.3\nciphersuites=", "1: Service [x]: Invalid protocol version range: options leave no version"),
    // Files and lists, by the lines that name them.
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncert=", "5: Service [x]: Failed to initialize TLS context: : No such file or directory"),
    ("[x]\ncert=/no\naccept=1\nconnect=2", "2: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("cert=/c.pem\nkey=/no\n[x]\naccept=1\nconnect=2", "2: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nverifyPeer=yes\nCAfile=/no", "6: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nverifyPeer=yes\nCApath=/no", "6: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nCRLfile=/no", "5: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nCAfile=/ca.pem\nverifyPeer=yes\nCRLpath=/no", "7: Service [x]: Failed to initialize TLS context: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nciphers=FOO", "5: Service [x]: Failed to initialize TLS context: no cipher match: none of these cipher suites exists here, use ECDHE+AESGCM:CHACHA20"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nciphers=", "5: Service [x]: Failed to initialize TLS context: no cipher match: none of these cipher suites exists here, use ECDHE+AESGCM:CHACHA20"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nciphersuites=FOO", "5: Service [x]: Failed to initialize TLS context: no cipher match: none of these cipher suites exists here, use TLS_AES_128_GCM_SHA256"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncurves=X25519:foo", "5: Service [x]: Failed to initialize TLS context: Invalid groups list in 'curves': there is no curve \"foo\""),
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncurves=p-256", "5: Service [x]: Failed to initialize TLS context: Invalid groups list in 'curves': there is no curve \"p-256\""),
    ("[x]\nclient=yes\naccept=1\nconnect=2\ncurves=X448:P-521", "5: Service [x]: Failed to initialize TLS context: Invalid groups list in 'curves': none of them exists here, use X25519, P-256 or P-384"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nPSKsecrets=/psk\nPSKidentity=carl", "6: Service [x]: No key found for the specified PSK identity"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nPSKsecrets=/no", "5: \"PSKsecrets=/no\": Failed to read PSK secrets: /no: No such file or directory"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nPSKsecrets=/psk\nsslVersion=TLSv1.2", "5: Service [x]: Failed to initialize TLS context: pre-shared keys are served with TLS 1.3 only, which sslVersion, sslVersionMax or options rule out"),
    ("[x]\nclient=yes\naccept=1\nconnect=2\nPSKsecrets=/psk\noptions=NO_TLSv1_3", "5: Service [x]: Failed to initialize TLS context: pre-shared keys are served with TLS 1.3 only, which sslVersion, sslVersionMax or options rule out"),
    ("[x]\naccept=1\nconnect=2\nciphers=PSK\nPSKsecrets=/psk\nciphersuites=TLS_AES_256_GCM_SHA384", "6: Service [x]: Failed to initialize TLS context: pre-shared keys need a suite with SHA-256, such as TLS_AES_128_GCM_SHA256"),
    // No section, and global options inside one.
    ("accept=1\nconnect=2", "2: Inetd mode: 'accept' option is only allowed in a [section]"),
    ("connect=2", "1: Inetd mode: TLS server needs a certificate"),
    ("", "1: Inetd mode: TLS server needs a certificate\n1: Inetd mode: Inetd mode must define one endpoint"),
    ("cert=/c.pem\nexec=/bin/cat\nconnect=2", "3: Inetd mode: Inetd mode must define one endpoint"),
    ("[x]\nclient=yes\npid=\naccept=1\nconnect=2", "3: \"pid=\": Specified option name is not valid here"),
    ("[x]\nclient=yes\nfips=no\naccept=1\nconnect=2", "3: \"fips=no\": Specified option name is not valid here"),
    ("[x]\nclient=yes\ndebug=daemon.7\naccept=1\nconnect=2", "3: \"debug=daemon.7\": Illegal debug level"),
    ("[x]\nclient=yes\nCHROOT=/\naccept=1\nconnect=2", "3: \"CHROOT=/\": Specified option name is not valid here"),
    ("output=x\n[x]\nclient=yes\naccept=1\nconnect=2", "1: Global options: Log file must include full path name"),
    ("pid=x\n[x]\nclient=yes\naccept=1\nconnect=2", "1: Global options: Pid file must include full path name"),
    ("[x]\ncert=/c.pem\nexec=/bin/cat\naccept=1\nconnect=2", "1: Service [x]: Each service must define two endpoints"),
    // Every error is told, and none that only follows from another.
    ("[x]\nconect=1\naccept=1\n[y]\naccept=1", "2: \"conect=1\": Specified option name is not valid here\n4: Service [y]: TLS server needs a certificate\n4: Service [y]: Each service must define two endpoints"),
    ("clinet=yes\n[x]\naccept=1\nconnect=2", "1: \"clinet=yes\": Specified option name is not valid here"),
];

#[test]
fn a_wrong_section_is_told_with_its_line() {
    for (text, error) in SECTIONS {
        assert_eq!(wrong(text), *error, "{text}");
    }
}

#[test]
fn keys_that_can_not_be_used_are_told_with_their_line() {
    let most = "x".repeat(513);
    let identity = "i".repeat(256);
    for (secrets, error) in [
        ("a", "line 1: Not in identity:key format"),
        ("\n\na:short", "line 3: Key shorter than 16 bytes"),
        ("a:0123456789abcdef", "line 1: Key shorter than 16 bytes"),
        (&format!("a:{most}"), "line 1: Key longer than 512 bytes"),
        (
            &format!("{identity}:0123456789abcdef0"),
            "line 1: Identity longer than 256 characters",
        ),
        ("\u{0}\n", "line 1: Not in identity:key format"),
    ] {
        let mut memory = Memory::with(client("PSKsecrets=/own"));
        memory.put("/own", secrets);
        let errors = read(PATH, &mut memory).expect_err(secrets).to_string();
        let expected = format!(
            "{PATH}:5: \"PSKsecrets=/own\": Failed to read PSK secrets: PSKsecrets {error}"
        );
        assert_eq!(errors, expected);
    }
    let mut memory = Memory::with(client("PSKsecrets=/own"));
    memory.put("/own", "\n\n");
    assert!(read(PATH, &mut memory).is_err());
    // The longest that are right.
    let identity = "i".repeat(255);
    let key = "k".repeat(512);
    memory.put("/own", format!("{identity}:{key}"));
    assert!(read(PATH, &mut memory).is_ok());
}

#[test]
fn errors_are_counted_when_there_are_too_many_to_keep() {
    let errors = wrong("x\n".repeat(100));
    assert_eq!(errors.lines().count(), 65);
    assert!(errors.ends_with("\nand 36 errors more"), "{errors}");
}

#[test]
fn bounds_end_the_reading_with_an_error() {
    let lines = wrong("pid=\n".repeat(20_000));
    assert_eq!(lines, "16385: more than 16384 lines");
    let sections = wrong(server("").repeat(600));
    assert_eq!(sections, "2561: more than 512 services");
    let values = wrong(client(&"checkHost=a\n".repeat(300)));
    assert!(
        values.starts_with("261: \"checkHost=a\": more than 256 values"),
        "{values}"
    );
    let defaults = format!(
        "verifyPeer = yes\nCAfile = /ca.pem\ncheckHost={}\n",
        "a".repeat(16_000)
    );
    let large = wrong(defaults.repeat(10) + &client("").repeat(500));
    assert_eq!(
        large,
        "291: the services together are larger than 8388608 bytes"
    );
    let long = wrong(client(&format!("checkHost={}", "a".repeat(16_374))));
    assert_eq!(long, "5: longer than 16383 bytes");
    assert_eq!(
        wrong("#".repeat(1024 * 1024 + 1)),
        " Cannot open configuration file: longer than 1048576 bytes"
    );
}
