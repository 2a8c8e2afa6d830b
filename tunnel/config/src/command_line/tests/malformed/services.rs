//! Malformed words, services and levels.

/// Lines, and what is wrong with each.
pub(super) const TABLE: &[(&str, &[&str])] = &[
    // Words that are no options.
    (
        "hello",
        &["\"hello\" (word 1, column 1): not an option, options begin with --"],
    ),
    (
        "-ipv4=10.0.0.2/24",
        &["\"-ipv4\" (word 1, column 1): not an option; did you mean --ipv4?"],
    ),
    (
        "ipv4=10.0.0.2/24",
        &["\"ipv4\" (word 1, column 1): not an option; did you mean --ipv4?"],
    ),
    (
        "--",
        &[
            "-- (word 1, column 1): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
        ],
    ),
    (
        "--=x",
        &[
            "-- (word 1, column 1): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
        ],
    ),
    (
        "--ipv5=10.0.0.2/24",
        &["--ipv5 (word 1, column 1): unknown option; did you mean --ipv4?"],
    ),
    (
        "--gateway 10.0.0.1 --log=info",
        &["--gateway (word 1, column 1): unknown option; did you mean --ipv4-gateway?"],
    ),
    (
        "--zzzzzz",
        &[
            "--zzzzzz (word 1, column 1): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
        ],
    ),
    (
        "--Log=info",
        &["--Log (word 1, column 1): unknown option; did you mean --log?"],
    ),
    (
        "--zz{x}=1 stray",
        &[
            "--zz (word 1, column 1): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
            "\"stray\" (word 2, column 11): not an option, options begin with --",
        ],
    ),
    (
        "--listen=443 --backend=80",
        &[
            "--listen (word 1, column 1): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
            "--backend (word 2, column 14): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
        ],
    ),
    // Missing and repeated values.
    (
        "--log",
        &["--log (word 1, column 1): no value; expected error|warn|info|debug|trace"],
    ),
    (
        "--log --crypto=ring",
        &["--log (word 1, column 1): no value; expected error|warn|info|debug|trace"],
    ),
    (
        "--log virtio_mmio.device=512@0xfeb02e00:12",
        &["--log (word 1, column 1): no value; expected error|warn|info|debug|trace"],
    ),
    (
        "--log=",
        &["--log (word 1, column 1): expected error|warn|info|debug|trace, found nothing"],
    ),
    (
        "--accept=",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found nothing"],
    ),
    (
        "--connect=",
        &["--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found nothing"],
    ),
    (
        "--ipv4=",
        &["--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found nothing"],
    ),
    (
        "--ipv6-gateway=",
        &["--ipv6-gateway (word 1, column 1): expected ADDRESS such as 2001:db8::1, found nothing"],
    ),
    (
        "--dns=",
        &["--dns (word 1, column 1): expected ADDRESS[,ADDRESS] such as 10.0.0.1, found nothing"],
    ),
    (
        "--log=info --accept=1 --log=debug",
        &["--log (word 3, column 23): given before (word 1, column 1); expected once"],
    ),
    (
        "--crypto ring --crypto=ring --crypto=ring",
        &[
            "--crypto (word 3, column 15): given before (word 1, column 1); expected once",
            "--crypto (word 4, column 29): given before (word 1, column 1); expected once",
        ],
    ),
    // What is made of plaintext.
    (
        "--mode=https --hsts=-1 --max-body=10M",
        &[
            "--mode (word 1, column 1): expected tcp|http, found \"https\"",
            "--hsts (word 2, column 14): expected SECONDS such as 31536000, found \"-1\"",
            "--max-body (word 3, column 24): expected BYTES such as 10485760, found \"10M\"",
        ],
    ),
    (
        "--hsts=1 --max-body=2",
        &[
            "--hsts (word 1, column 1): needs --mode with tcp|http",
            "--max-body (word 2, column 10): needs --mode with tcp|http",
        ],
    ),
    (
        "--mode=tcp --hsts=1 --max-body=2",
        &[
            "--hsts (word 2, column 12): can't stand beside --mode (word 1, column 1), which says the contrary",
            "--max-body (word 3, column 21): can't stand beside --mode (word 1, column 1), which says the contrary",
        ],
    ),
    (
        "--mode=http --hsts=4294967296",
        &["--hsts (word 2, column 13): expected SECONDS such as 31536000, found \"4294967296\""],
    ),
    // --accept
    (
        "--accept=0",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"0\""],
    ),
    (
        "--accept=65536",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"65536\""],
    ),
    (
        "--accept=99999999999",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"99999999999\""],
    ),
    (
        "--accept=443x",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"443x\""],
    ),
    (
        "--accept=+443",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"+443\""],
    ),
    (
        "--accept=-1",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"-1\""],
    ),
    (
        "--accept=https",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"https\""],
    ),
    (
        "--accept=:443",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \":443\""],
    ),
    (
        "--accept=10.0.0.2",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"10.0.0.2\""],
    ),
    (
        "--accept=10.0.0.2:",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found nothing"],
    ),
    (
        "--accept=10.0.0.2:0",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"0\""],
    ),
    (
        "--accept=10.0.0.2:https",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"https\""],
    ),
    (
        "--accept=localhost:443",
        &[
            "--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"localhost:443\"",
        ],
    ),
    (
        "--accept=::1:443",
        &[
            "--accept (word 1, column 1): expected an IPv6 address in brackets such as [2001:db8::1]:443, found \"::1:443\"",
        ],
    ),
    (
        "--accept=[::1]",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"[::1]\""],
    ),
    (
        "--accept=[::1]443",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"[::1]443\""],
    ),
    (
        "--accept=[::1]:0",
        &["--accept (word 1, column 1): expected a port from 1 to 65535, found \"0\""],
    ),
    (
        "--accept=[10.0.0.2]:443",
        &[
            "--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"[10.0.0.2]:443\"",
        ],
    ),
    (
        "--accept=0.0.0.0:443",
        &[
            "--accept (word 1, column 1): expected a port alone or an address of the image; found 0.0.0.0",
        ],
    ),
    (
        "--accept=*:443",
        &["--accept (word 1, column 1): expected [ADDRESS:]PORT such as 443, found \"*:443\""],
    ),
    (
        "--accept=[2001:db8::2]:443",
        &[
            "--accept (word 1, column 1): expected a port alone or an address of the image; found 2001:db8::2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --accept=10.0.0.3:443",
        &[
            "--accept (word 3, column 44): expected a port alone or an address of the image, 10.0.0.2; found 10.0.0.3",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --accept=0.0.0.0:443",
        &[
            "--accept (word 3, column 44): expected a port alone or an address of the image, 10.0.0.2; found 0.0.0.0",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --ipv6=2001:db8::2/64 --accept=[2001:db8::3]:443",
        &[
            "--accept (word 4, column 66): expected a port alone or an address of the image, 10.0.0.2 or 2001:db8::2; found 2001:db8::3",
        ],
    ),
    (
        "--ipv6=2001:db8::2/64 --ipv6-gateway=fe80::1 --accept=10.0.0.2:443",
        &[
            "--accept (word 3, column 46): expected a port alone or an address of the image, 2001:db8::2; found 10.0.0.2",
        ],
    ),
    // --connect
    (
        "--connect=0",
        &["--connect (word 1, column 1): expected a port from 1 to 65535, found \"0\""],
    ),
    (
        "--connect=70000",
        &["--connect (word 1, column 1): expected a port from 1 to 65535, found \"70000\""],
    ),
    (
        "--connect=backend",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"backend\"",
        ],
    ),
    (
        "--connect=10.0.0.1",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"10.0.0.1\"",
        ],
    ),
    (
        "--connect=backend:",
        &["--connect (word 1, column 1): expected a port from 1 to 65535, found nothing"],
    ),
    (
        "--connect=backend:http",
        &["--connect (word 1, column 1): expected a port from 1 to 65535, found \"http\""],
    ),
    (
        "--connect=10.0.0.256:80",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"10.0.0.256:80\"",
        ],
    ),
    (
        "--connect=a..b:80",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"a..b:80\"",
        ],
    ),
    (
        "--connect=-a:80",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"-a:80\"",
        ],
    ),
    (
        "--connect=2001:db8::1:80",
        &[
            "--connect (word 1, column 1): expected an IPv6 address in brackets such as [2001:db8::1]:443, found \"2001:db8::1:80\"",
        ],
    ),
    (
        "--connect=[2001:db8::1]",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"[2001:db8::1]\"",
        ],
    ),
    (
        "--connect=[backend]:80",
        &[
            "--connect (word 1, column 1): expected [HOST:]PORT such as 10.0.0.1:80, found \"[backend]:80\"",
        ],
    ),
    (
        "--connect=http://backend:80",
        &["--connect (word 1, column 1): expected a port from 1 to 65535, found \"//backend:80\""],
    ),
    (
        "--connect=127.0.0.1:8080",
        &[
            "--connect (word 1, column 1): the image is a machine of its own, where loopback reaches nothing; without a host it connects to the gateway",
        ],
    ),
    (
        "--connect=localhost:8080",
        &[
            "--connect (word 1, column 1): the image is a machine of its own, where loopback reaches nothing; without a host it connects to the gateway",
        ],
    ),
    (
        "--connect=app.LOCALHOST.:8080",
        &[
            "--connect (word 1, column 1): the image is a machine of its own, where loopback reaches nothing; without a host it connects to the gateway",
        ],
    ),
    (
        "--connect=[::1]:8080",
        &[
            "--connect (word 1, column 1): the image is a machine of its own, where loopback reaches nothing; without a host it connects to the gateway",
        ],
    ),
    (
        "--connect=[::ffff:127.0.0.1]:8080",
        &[
            "--connect (word 1, column 1): the image is a machine of its own, where loopback reaches nothing; without a host it connects to the gateway",
        ],
    ),
    (
        "--connect=0.0.0.0:80",
        &[
            "--connect (word 1, column 1): expected a host's address, found 0.0.0.0, the unspecified address",
        ],
    ),
    (
        "--connect=224.0.0.1:80",
        &[
            "--connect (word 1, column 1): expected a host's address, found 224.0.0.1, a multicast address",
        ],
    ),
    (
        "--connect=255.255.255.255:80",
        &[
            "--connect (word 1, column 1): expected a host's address, found 255.255.255.255, a broadcast address",
        ],
    ),
    (
        "--connect=[2001:db8::1]:80",
        &["--connect (word 1, column 1): 2001:db8::1 needs IPv6; give --ipv6"],
    ),
    (
        "--ipv6=2001:db8::2/64 --connect=10.0.0.1:80",
        &[
            "--connect (word 2, column 23): 10.0.0.1 needs IPv4, which only --ipv6 turned off; give --ipv4, too",
        ],
    ),
    (
        "--ipv6=2001:db8::2/64 --connect=[2001:db9::1]:80",
        &[
            "--connect (word 2, column 23): 2001:db9::1 is not on the image's network; give --ipv6-gateway",
        ],
    ),
    (
        "--ipv6=2001:db8::2/64 --connect=[2001:db8::2]:443",
        &[
            "--connect (word 2, column 23): expected another host's address, found the image's own, 2001:db8::2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --connect=10.0.0.2:443",
        &[
            "--connect (word 3, column 44): expected another host's address, found the image's own, 10.0.0.2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --accept=8443 --connect=10.0.0.2:80",
        &[
            "--connect (word 4, column 58): expected another host's address, found the image's own, 10.0.0.2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --connect=10.0.0.255:80",
        &[
            "--connect (word 3, column 44): expected a host's address, found 10.0.0.255, a broadcast address",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --connect=10.0.1.1:80",
        &[
            "--connect (word 2, column 20): 10.0.1.1 is not on the image's network; give --ipv4-gateway",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --connect=backend:80",
        &["--connect (word 2, column 20): a name needs --dns or a gateway to look it up"],
    ),
    (
        "--ipv4=10.0.0.2/24 --connect=80",
        &[
            "--connect (word 2, column 20): no gateway to connect to; give --connect=HOST:PORT, --ipv4-gateway or --ipv6-gateway",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24",
        &[
            "--connect: no gateway to connect to; give --connect=HOST:PORT, --ipv4-gateway or --ipv6-gateway",
        ],
    ),
    (
        "--ipv6=2001:db8::2/64",
        &[
            "--connect: no gateway to connect to; give --connect=HOST:PORT, --ipv4-gateway or --ipv6-gateway",
        ],
    ),
    // --log and --crypto
    (
        "--log=off",
        &["--log (word 1, column 1): expected error|warn|info|debug|trace, found \"off\""],
    ),
    (
        "--log=INFO",
        &["--log (word 1, column 1): expected error|warn|info|debug|trace, found \"INFO\""],
    ),
    (
        "--log=5",
        &["--log (word 1, column 1): expected error|warn|info|debug|trace, found \"5\""],
    ),
    (
        "--crypto=openssl",
        &["--crypto (word 1, column 1): expected ring|rustcrypto, found \"openssl\""],
    ),
    (
        "--crypto=Ring",
        &["--crypto (word 1, column 1): expected ring|rustcrypto, found \"Ring\""],
    ),
    // Several at once, in the order of the line.
    (
        "--crypto=x --ipv4=bad --accept=0 --qqqq stray1 stray2 --log",
        &[
            "--crypto (word 1, column 1): expected ring|rustcrypto, found \"x\"",
            "--ipv4 (word 2, column 12): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"bad\"",
            "--accept (word 3, column 23): expected a port from 1 to 65535, found \"0\"",
            "--qqqq (word 4, column 34): unknown option; expected one of --ipv4 --ipv4-gateway --ipv6 --ipv6-gateway --dns --accept --connect --cert --key --conf --hosts --remote --ssh-key --ssh-host-key --pass --production --email --authority --authority-ca --profile --eab --account-seed --key-type --store-key --no-acme --poll --legacy-reload --reload-port --http --default-host --mode --hsts --max-body --published --log --syslog --crypto",
            "\"stray2\" (word 6, column 48): not an option, options begin with --",
            "--log (word 7, column 55): no value; expected error|warn|info|debug|trace",
        ],
    ),
    (
        "--ipv4=10.0.0.0/24 --ipv4-gateway=10.0.1.1 --dns=10.0.1.1 --connect=10.0.0.0:80",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 10.0.0.0, the address of the network itself",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.1.1 --dns=10.0.0.2 --accept=10.0.0.1:1 --connect=10.0.0.0:80",
        &[
            "--ipv4-gateway (word 2, column 20): expected an address on the network 10.0.0.0/24, found 10.0.1.1",
            "--dns (word 3, column 44): expected another host's address, found the image's own, 10.0.0.2",
            "--accept (word 4, column 59): expected a port alone or an address of the image, 10.0.0.2; found 10.0.0.1",
            "--connect (word 5, column 79): expected a host's address, found 10.0.0.0, the address of the network itself",
        ],
    ),
];
