//! Many bytes each way.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use guest::{byte, summary};
use ring::digest::{Context, SHA256};

use super::*;

const MUCH: usize = 100 * 1024 * 1024;

/// Writes what [`Service::Source`] sends.
fn write_much(mut to: impl Write) {
    let mut piece = vec![0; 1 << 16];
    let mut written = 0;
    while written < MUCH {
        let count = piece.len().min(MUCH - written);
        for (place, to) in piece[..count].iter_mut().enumerate() {
            *to = byte(written + place);
        }
        to.write_all(&piece[..count]).unwrap();
        written += count;
    }
}

fn digest_of(mut from: impl Read) -> String {
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        match from.read(&mut piece).unwrap() {
            0 => return summary(total, &digest),
            count => {
                digest.update(&piece[..count]);
                total += count;
            }
        }
    }
}

fn expected() -> String {
    struct Sum(Context);
    impl Write for &mut Sum {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sum = Sum(Context::new(&SHA256));
    write_much(&mut sum);
    summary(MUCH, &sum.0)
}

#[test]
fn a_hundred_megabytes_each_way_arrive_as_they_were_sent() {
    let setup = Setup::new();
    let up = setup.publish(1, Service::Digest);
    let down = setup.publish(2, Service::Source(MUCH));
    let expected = expected();
    // Both at once, on one thread of the network.
    let sending = thread::spawn(move || {
        let client = client(up);
        write_much(&client);
        client.shutdown(Shutdown::Write).unwrap();
        String::from_utf8(read_all(&client)).unwrap()
    });
    assert_eq!(digest_of(client(down)), expected);
    assert_eq!(sending.join().unwrap(), expected);
    eventually(|| setup.network.counters().open == 0);
    assert_eq!(setup.network.counters().reset, 0);
}

#[test]
fn a_client_that_does_not_read_stops_the_guest_and_no_one_else() {
    let setup = Setup::new();
    let source = setup.publish(2, Service::Source(MUCH));
    let echo = setup.publish(7, Service::Echo);
    let idle = client(source);
    let came = || setup.network.counters().bytes_in;
    let mut before = 0;
    // What fits between the guest and a client is far less than all of it.
    eventually(|| {
        thread::sleep(Duration::from_millis(200));
        let now = came();
        let still = now == before && now > 0;
        before = now;
        still
    });
    assert!(before < MUCH as u64 / 2, "{before}");
    let mut other = client(echo);
    other.write_all(b"still here").unwrap();
    other.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&other), b"still here");
    assert_eq!(digest_of(idle), expected());
}
