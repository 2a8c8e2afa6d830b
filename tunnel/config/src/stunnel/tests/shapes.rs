//! Configurations as they are found: of guides, containers and programs that write them.

use super::*;

/// A server and a client with pre-shared keys, as musclefs' guide has them.
#[test]
fn two_ends_with_pre_shared_keys() {
    let server = right(
        "pid = /var/lib/muscle/stunnel.pid\noutput = /var/lib/muscle/stunnel.log\n\n\
         [muscle]\naccept = 3004\nconnect = 2323\nciphers = PSK\nPSKsecrets = /psk\n",
    );
    let service = &server.services[0];
    assert!(!service.client && service.psk_only);
    assert_eq!(service.psk.as_ref().unwrap().identity, None);
    assert_eq!(
        server.global.output.as_deref(),
        Some("/var/lib/muscle/stunnel.log")
    );

    let client = right(
        "pid = /var/lib/muscle/stunnel.pid\noutput = /var/lib/muscle/stunnel.log\n\n\
         [muscle]\nclient = yes\naccept = localhost:2323\nconnect = server-host:3004\n\
         PSKidentity = bert\nPSKsecrets = /psk\n",
    );
    let service = &client.services[0];
    assert!(service.client && !service.psk_only);
    assert_eq!(
        service.psk.as_ref().unwrap().identity.as_deref(),
        Some("bert")
    );
}

/// Two sides of a tunnel for databases, run by systemd under a user of its own.
#[test]
fn a_reverse_proxy_s_two_sides() {
    let configuration = right(
        "setuid = stunnel4\nsetgid = stunnel4\npid = /var/run/stunnel4/off.pid\noutput = /var/log/stunnel4/off.log\n\
         cert = /c.pem\nkey = /k.pem\nCAfile = /ca.pem\nverifyPeer = yes\n\
         [MongoDev]\nclient = yes\naccept = 10.1.0.200:27017\nconnect = ovh1.example:27017\n\
         [RedisDev]\nclient = no\naccept = 6380\nconnect = 10.1.0.113:6379\n",
    );
    let sides: Vec<_> = configuration.services.iter().map(|s| s.client).collect();
    assert_eq!(sides, [true, false]);
    assert!(
        configuration
            .services
            .iter()
            .all(|s| s.verify.peer && s.verify.require)
    );
    assert_eq!(configuration.notices.len(), 2, "setuid and setgid");
}

/// What xapi writes for its proxy on a UNIX socket.
#[test]
fn xapi_s_proxy() {
    let configuration = right(
        "client=yes\nforeground=yes\nsocket = r:TCP_NODELAY=1\nsocket = r:SO_KEEPALIVE=1\nsocket = a:SO_KEEPALIVE=1\n\
         TIMEOUTidle = 7200\nfips=no\ndebug=authpriv.5\n\n[client-proxy]\naccept=/tmp/stunnel-proxy.sock\n\
         connect=host.example:443\nsslVersion = TLSv1.2\n\
         ciphers = ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256\ncurve = secp384r1\n# verification\n\
         CAfile=/ca.pem\nsni=pool\nCRLpath=/ca\ncheckHost=host.example\nverifyChain=yes\n",
    );
    assert_eq!(configuration.global.facility, Facility::Authpriv);
    assert!(configuration.global.foreground);
    assert_eq!(configuration.notices, []);
    let service = &configuration.services[0];
    assert_eq!(
        service.accept,
        [Accept::Unix("/tmp/stunnel-proxy.sock".into())]
    );
    assert_eq!(service.versions, (Version::Tls12, Version::Tls12));
    assert_eq!(
        service.suites,
        [
            Suite::EcdheRsaAes256GcmSha384,
            Suite::EcdheRsaAes128GcmSha256
        ]
    );
    assert_eq!(service.groups, [Group::P384]);
    assert_eq!(service.sockets.remote.keepalive, Some(true));
    assert!(service.check_revocation && service.verify.chain && !service.verify.peer);
}

/// What the mount helper of AWS EFS writes.
#[test]
fn efs_s_mount_helper() {
    let configuration = right(
        "fips = no\nforeground = yes\nsocket = l:SO_REUSEADDR=yes\nsocket = a:SO_BINDTODEVICE=lo\n\
         debug = debug\noutput = /var/log/amazon/efs/fs.stunnel.log\npid = /var/run/efs/fs.pid\n\
         [efs]\nclient = yes\naccept = 127.0.0.1:20049\nconnect = fs.efs.example:2049\nsslVersion = TLSv1.2\n\
         renegotiation = no\nTIMEOUTbusy = 20\nTIMEOUTclose = 0\nTIMEOUTidle = 70\ndelay = yes\nverify = 2\n\
         CAfile = /ca.pem\ncheckHost = fs.efs.example\nlibwrap = no\nretry = yes\nOCSPaia = no\nsni = fs.efs.example\n",
    );
    let idle: Vec<_> = configuration
        .report
        .iter()
        .filter(|given| given.disposition != Disposition::Honoured)
        .map(|given| given.option)
        .collect();
    assert_eq!(idle, ["socket", "socket"]);
    let service = &configuration.services[0];
    assert_eq!(service.debug, 7);
    assert_eq!(service.timeouts.close.as_secs(), 0);
    assert!(service.delay && service.verify.chain && service.verify.require);
}

/// What the template of the container dweomer/stunnel makes.
#[test]
fn a_container_s_template() {
    let configuration = right(
        "cert = /c.pem\nkey = /k.pem\ncafile = /ca.pem\nverify = 0\nsslVersionMin = TLSv1.2\n\
         setuid = stunnel\nsetgid = stunnel\nsyslog = no\ndelay = no\nforeground = yes\n\
         client = no\noptions = NO_SSLv3\nsocket = r:TCP_NODELAY=1\nsocket = l:TCP_NODELAY=1\n\
         output = /dev/stdout\ndebug = 5\n\n[ldap]\naccept = 0.0.0.0:636\nconnect = directory:389\n",
    );
    assert!(!configuration.global.syslog);
    let service = &configuration.services[0];
    assert!(service.verify.request && !service.verify.require && !service.verify.chain);
    assert_eq!(service.authorities.len(), 1);
    assert_eq!(configuration.notices.len(), 2, "setuid and setgid");
}
