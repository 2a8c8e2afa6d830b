//! Configurations with something changed: each is refused with a line, or is one.

use alloc::vec;

use super::*;

/// How many are tried.
const MUTATIONS: usize = 300;

const SEED: &str = "; a comment\nforeground = yes\ndebug = 6\noutput = /var/log/stunnel.log\n\
    cert = /c.pem\nkey = /k.pem\nCAfile = /ca.pem\noptions = NO_SSLv3\nsocket = l:TCP_NODELAY=1\n\
    ciphers = HIGH:!aNULL:@STRENGTH\ncurves = X25519:P-256\ninclude = /pem2\n\
    [server]\naccept = 0.0.0.0:443\nconnect = 127.0.0.1:80\nverifyChain = yes\nsessionCacheSize = 10\n\
    ticketKeySecret = 00112233445566778899aabbccddeeff\nticketMacSecret = 00112233445566778899aabbccddeeff\n\
    [virtual]\nsni = server:*.example\nconnect = 81\n\
    [client]\nclient = yes\naccept = localhost:2323\nconnect = [::1]:3004\nconnect = /run/x.sock\n\
    PSKsecrets = /psk\nTIMEOUTidle = 70\nverify = 2\ncheckHost = a\nfailover = rr\n";

/// A linear congruential generator (Knuth, MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

fn mutate(random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = SEED.lines().map(|line| line.as_bytes().to_vec()).collect();
    for _ in 0..=random.below(3) {
        let at = random.below(lines.len());
        match random.below(7) {
            0 => drop(lines.remove(at)),
            1 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            2 => {
                let copy = lines[at].clone();
                lines.push(copy);
            }
            3 => lines[at].truncate(random.below(20)),
            4 => {
                let byte = random.below(256) as u8;
                let place = random.below(lines[at].len() + 1);
                lines[at].insert(place, byte);
            }
            5 if !lines[at].is_empty() => {
                let place = random.below(lines[at].len());
                lines[at][place] = random.below(256) as u8;
            }
            _ => lines[at].extend_from_slice(b"x"),
        }
        if lines.is_empty() {
            lines = vec![Vec::new()];
        }
    }
    lines.join(&b'\n')
}

#[test]
fn each_is_refused_with_a_line_or_read() {
    let mut random = Random(7);
    let (mut read_ones, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let text = mutate(&mut random);
        let mut memory = Memory::with(&text);
        memory.put("/pem2/a.conf", "TIMEOUTbusy = 5\n");
        let examination = examine(PATH, &mut memory);
        match examination.configuration {
            Some(configuration) => {
                assert!(examination.errors.is_empty());
                assert!(!configuration.services.is_empty());
                for service in &configuration.services {
                    assert!(service.versions.0 <= service.versions.1);
                    assert!(!service.suites.is_empty() && !service.connect.is_empty());
                }
                read_ones += 1;
            }
            None => {
                assert!(!examination.errors.is_empty());
                for error in &examination.errors {
                    assert!(error.origin.line > 0, "{error}");
                    assert!(!error.text.is_empty());
                }
                refused += 1;
            }
        }
    }
    assert!(
        read_ones > 30 && refused > 100,
        "{read_ones} read, {refused} refused"
    );
}
