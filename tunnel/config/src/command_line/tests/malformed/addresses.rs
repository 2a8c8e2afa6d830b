//! Malformed addresses, gateways and name servers.

/// Lines, and what is wrong with each.
pub(super) const TABLE: &[(&str, &[&str])] = &[
    // --ipv4
    (
        "--log=debug --log-- --ipv4=10.0.0.2",
        &[
            "--log-- (word 2, column 13): unknown option; did you mean --log?",
            "--ipv4 (word 3, column 21): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"10.0.0.2\"",
        ],
    ),
    (
        "--ipv4=10.0.0.2",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"10.0.0.2\"",
        ],
    ),
    (
        "--ipv4=10.0.0/24",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"10.0.0/24\"",
        ],
    ),
    (
        "--ipv4=010.0.0.2/24",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"010.0.0.2/24\"",
        ],
    ),
    (
        "--ipv4=10.0.0.256/24",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"10.0.0.256/24\"",
        ],
    ),
    (
        "--ipv4=2001:db8::2/64",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"2001:db8::2/64\"",
        ],
    ),
    (
        "--ipv4=host/24",
        &[
            "--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"host/24\"",
        ],
    ),
    (
        "--ipv4=DHCP",
        &["--ipv4 (word 1, column 1): expected ADDRESS/PREFIX such as 10.0.0.2/24, found \"DHCP\""],
    ),
    (
        "--ipv4=10.0.0.2/0",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"0\""],
    ),
    (
        "--ipv4=10.0.0.2/33",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"33\""],
    ),
    (
        "--ipv4=10.0.0.2/",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found nothing"],
    ),
    (
        "--ipv4=10.0.0.2/+24",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"+24\""],
    ),
    (
        "--ipv4=10.0.0.2/24/24",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"24/24\""],
    ),
    (
        "--ipv4=10.0.0.2/255.255.255.0",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"255.255.255.0\""],
    ),
    (
        "--ipv4=10.0.0.0/24",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 10.0.0.0, the address of the network itself",
        ],
    ),
    (
        "--ipv4=10.0.0.255/24",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 10.0.0.255, a broadcast address",
        ],
    ),
    (
        "--ipv4=0.0.0.0/24",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 0.0.0.0, the unspecified address",
        ],
    ),
    (
        "--ipv4=0.1.2.3/8",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 0.1.2.3, a reserved address",
        ],
    ),
    (
        "--ipv4=127.0.0.1/8",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 127.0.0.1, a loopback address",
        ],
    ),
    (
        "--ipv4=224.0.0.1/24",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 224.0.0.1, a multicast address",
        ],
    ),
    (
        "--ipv4=255.255.255.255/32",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 255.255.255.255, a broadcast address",
        ],
    ),
    (
        "--ipv4=240.0.0.1/24",
        &[
            "--ipv4 (word 1, column 1): expected a host's address, found 240.0.0.1, a reserved address",
        ],
    ),
    // --ipv4-gateway
    (
        "--ipv4-gateway=10.0.0.1",
        &[
            "--ipv4-gateway (word 1, column 1): needs --ipv4 with ADDRESS/PREFIX such as 10.0.0.2/24",
        ],
    ),
    (
        "--ipv4=dhcp --ipv4-gateway=10.0.0.1",
        &[
            "--ipv4-gateway (word 2, column 13): needs --ipv4 with ADDRESS/PREFIX such as 10.0.0.2/24",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0",
        &[
            "--ipv4-gateway (word 2, column 20): expected ADDRESS such as 10.0.0.1, found \"10.0.0\"",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1/24",
        &[
            "--ipv4-gateway (word 2, column 20): expected ADDRESS such as 10.0.0.1, found \"10.0.0.1/24\"",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=2001:db8::1",
        &[
            "--ipv4-gateway (word 2, column 20): expected ADDRESS such as 10.0.0.1, found \"2001:db8::1\"",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.1.1",
        &[
            "--ipv4-gateway (word 2, column 20): expected an address on the network 10.0.0.0/24, found 10.0.1.1",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.2",
        &[
            "--ipv4-gateway (word 2, column 20): expected another host's address, found the image's own, 10.0.0.2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.0",
        &[
            "--ipv4-gateway (word 2, column 20): expected a host's address, found 10.0.0.0, the address of the network itself",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.255",
        &[
            "--ipv4-gateway (word 2, column 20): expected a host's address, found 10.0.0.255, a broadcast address",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=0.0.0.0",
        &[
            "--ipv4-gateway (word 2, column 20): expected a host's address, found 0.0.0.0, the unspecified address",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=224.0.0.1",
        &[
            "--ipv4-gateway (word 2, column 20): expected a host's address, found 224.0.0.1, a multicast address",
        ],
    ),
    (
        "--ipv4=10.0.0.2/32 --ipv4-gateway=10.0.0.1",
        &[
            "--ipv4-gateway (word 2, column 20): expected an address on the network 10.0.0.2/32, found 10.0.0.1",
        ],
    ),
    (
        "--ipv4=10.0.0.2/99 --ipv4-gateway=10.0.9.1",
        &["--ipv4 (word 1, column 1): expected a prefix from 1 to 32, found \"99\""],
    ),
    // --ipv6
    (
        "--ipv6=2001:db8::2",
        &[
            "--ipv6 (word 1, column 1): expected ADDRESS/PREFIX such as 2001:db8::2/64, found \"2001:db8::2\"",
        ],
    ),
    (
        "--ipv6=10.0.0.2/24",
        &[
            "--ipv6 (word 1, column 1): expected ADDRESS/PREFIX such as 2001:db8::2/64, found \"10.0.0.2/24\"",
        ],
    ),
    (
        "--ipv6=[2001:db8::2]/64",
        &[
            "--ipv6 (word 1, column 1): expected ADDRESS/PREFIX such as 2001:db8::2/64, found \"[2001:db8::2]/64\"",
        ],
    ),
    (
        "--ipv6=fe80::2%eth0/64",
        &[
            "--ipv6 (word 1, column 1): expected ADDRESS/PREFIX such as 2001:db8::2/64, found \"fe80::2%eth0/64\"",
        ],
    ),
    (
        "--ipv6=2001:db8::2/0",
        &["--ipv6 (word 1, column 1): expected a prefix from 1 to 128, found \"0\""],
    ),
    (
        "--ipv6=2001:db8::2/129",
        &["--ipv6 (word 1, column 1): expected a prefix from 1 to 128, found \"129\""],
    ),
    (
        "--ipv6=2001:db8::2/256",
        &["--ipv6 (word 1, column 1): expected a prefix from 1 to 128, found \"256\""],
    ),
    (
        "--ipv4=dhcp --ipv6=::/64",
        &[
            "--ipv6 (word 2, column 13): expected a host's address, found ::, the unspecified address",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=::1/128",
        &["--ipv6 (word 2, column 13): expected a host's address, found ::1, a loopback address"],
    ),
    (
        "--ipv4=dhcp --ipv6=ff02::1/64",
        &[
            "--ipv6 (word 2, column 13): expected a host's address, found ff02::1, a multicast address",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=::ffff:10.0.0.2/96",
        &[
            "--ipv6 (word 2, column 13): expected a host's address, found ::ffff:10.0.0.2, a reserved address",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::/64",
        &[
            "--ipv6 (word 2, column 13): expected a host's address, found 2001:db8::, the address of the network itself",
        ],
    ),
    // --ipv6-gateway
    (
        "--ipv6-gateway=2001:db8::1",
        &[
            "--ipv6-gateway (word 1, column 1): needs --ipv6 with ADDRESS/PREFIX such as 2001:db8::2/64",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --ipv6-gateway=10.0.0.1",
        &[
            "--ipv6-gateway (word 3, column 35): expected ADDRESS such as 2001:db8::1, found \"10.0.0.1\"",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --ipv6-gateway=2001:db8:0:1::1",
        &[
            "--ipv6-gateway (word 3, column 35): expected an address on the network 2001:db8::/64, found 2001:db8:0:1::1",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --ipv6-gateway=2001:db8::2",
        &[
            "--ipv6-gateway (word 3, column 35): expected another host's address, found the image's own, 2001:db8::2",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --ipv6-gateway=::",
        &[
            "--ipv6-gateway (word 3, column 35): expected a host's address, found ::, the unspecified address",
        ],
    ),
    (
        "--ipv4=dhcp --ipv6=2001:db8::2/64 --ipv6-gateway=ff02::2",
        &[
            "--ipv6-gateway (word 3, column 35): expected a host's address, found ff02::2, a multicast address",
        ],
    ),
    // --dns
    (
        "--dns=name",
        &["--dns (word 1, column 1): expected ADDRESS[,ADDRESS] such as 10.0.0.1, found \"name\""],
    ),
    (
        "--dns=10.0.0.1,",
        &["--dns (word 1, column 1): expected ADDRESS[,ADDRESS] such as 10.0.0.1, found nothing"],
    ),
    (
        "--dns=10.0.0.1,,10.0.0.2",
        &["--dns (word 1, column 1): expected ADDRESS[,ADDRESS] such as 10.0.0.1, found nothing"],
    ),
    (
        "--dns=10.0.0.1:53",
        &[
            "--dns (word 1, column 1): expected ADDRESS[,ADDRESS] such as 10.0.0.1, found \"10.0.0.1:53\"",
        ],
    ),
    (
        "--dns=0.0.0.0",
        &[
            "--dns (word 1, column 1): expected a host's address, found 0.0.0.0, the unspecified address",
        ],
    ),
    (
        "--dns=127.0.0.53",
        &[
            "--dns (word 1, column 1): expected a host's address, found 127.0.0.53, a loopback address",
        ],
    ),
    (
        "--dns=224.0.0.251,255.255.255.255,10.0.0.1",
        &[
            "--dns (word 1, column 1): expected a host's address, found 224.0.0.251, a multicast address",
            "--dns (word 1, column 1): expected a host's address, found 255.255.255.255, a broadcast address",
        ],
    ),
    (
        "--dns=2001:db8::53",
        &["--dns (word 1, column 1): 2001:db8::53 needs IPv6; give --ipv6"],
    ),
    (
        "--dns=10.0.0.1,10.0.0.2 --dns=10.0.0.3,10.0.0.4",
        &["--dns (word 2, column 25): expected at most 3 name servers, found more"],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --dns=10.0.0.2",
        &[
            "--dns (word 3, column 44): expected another host's address, found the image's own, 10.0.0.2",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --dns=10.0.0.255",
        &[
            "--dns (word 3, column 44): expected a host's address, found 10.0.0.255, a broadcast address",
        ],
    ),
    (
        "--ipv4=10.0.0.2/24 --connect=10.0.0.3:80 --dns=10.0.1.1",
        &["--dns (word 3, column 42): 10.0.1.1 is not on the image's network; give --ipv4-gateway"],
    ),
    (
        "--ipv6=2001:db8::2/64 --ipv6-gateway=fe80::1 --dns=10.0.0.1",
        &[
            "--dns (word 3, column 46): 10.0.0.1 needs IPv4, which only --ipv6 turned off; give --ipv4, too",
        ],
    ),
    (
        "--ipv6=2001:db8::2/64 --connect=[2001:db8::3]:80 --dns=2001:db9::1",
        &[
            "--dns (word 3, column 50): 2001:db9::1 is not on the image's network; give --ipv6-gateway",
        ],
    ),
];
