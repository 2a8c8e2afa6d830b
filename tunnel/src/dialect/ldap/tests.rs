//! Directories' answers, in the forms of BER that are allowed, and in others.

use alloc::{string::ToString, vec, vec::Vec};

use super::*;
use crate::dialect::{
    Protocol,
    trial::{PIECES, Trial, clear, setup},
};

fn dialect() -> Box<dyn Dialect> {
    client(&setup(Protocol::Ldap))
}

/// A success as OpenLDAP sends it.
const SUCCESS: &[u8] = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";

fn check(says: &[u8], expect: Result<(), &str>) {
    for piece in PIECES {
        let (progress, client, backend) = clear(dialect(), b"application", says, piece);
        match expect {
            Ok(()) => assert_eq!(progress, Ok(Progress::Next), "{says:x?} by {piece}"),
            Err(text) => {
                let fault = progress.expect_err("the answer is refused");
                assert_eq!((fault.end, &*fault.to_string()), (End::Backend, text));
            }
        }
        assert_eq!(backend.heard, REQUEST);
        assert_eq!(
            (&*client.says, &*client.heard),
            (&b"application"[..], &b""[..])
        );
    }
}

#[test]
fn definite_lengths_of_all_forms_are_read() {
    for says in [
        SUCCESS,
        b"\x30\x81\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x82\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        b"\x30\x83\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
        // Active Directory's.
        b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00",
        // With the name of the response.
        b"\x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037",
        // With a control behind the response.
        b"\x30\x0e\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\xa0\x00",
    ] {
        check(says, Ok(()));
    }
}

#[test]
fn answers_that_say_no_or_are_none_are_refused() {
    for (says, text) in [
        (&b"\x31"[..], "LDAP response is not UNIVERSAL SEQUENCE"),
        (b"HTTP/1.0 400", "LDAP response is not UNIVERSAL SEQUENCE"),
        (
            b"\x30\x80\x02\x01\x01",
            "LDAP response has no definite length",
        ),
        (
            b"\x30\x85\0\0\0\0\x0c",
            "LDAP response has no definite length",
        ),
        (b"\x30\xff", "LDAP response has no definite length"),
        (b"\x30\x82\x10\x01", "LDAP response too long"),
        (b"\x30\x84\xff\xff\xff\xff", "LDAP response too long"),
        (b"\x30\x00", "LDAP response is malformed"),
        (b"\x30\x02\x02\x05", "LDAP response is malformed"),
        (
            b"\x30\x03\x04\x01\x01",
            "LDAP response has an incorrect message ID type",
        ),
        (
            b"\x30\x04\x02\x02\x00\x01",
            "LDAP response has an unexpected message ID length",
        ),
        (
            b"\x30\x03\x02\x01\x00",
            "LDAP response has an unexpected message ID value",
        ),
        (b"\x30\x03\x02\x01\x01", "LDAP response is malformed"),
        // The operation is longer than the message.
        (
            b"\x30\x08\x02\x01\x01\x78\x04\x0a\x01\x00",
            "LDAP response is malformed",
        ),
        (
            b"\x30\x08\x02\x01\x01\x61\x03\x0a\x01\x00",
            "LDAP response protocol op is not ExtendedResponse",
        ),
        (
            b"\x30\x08\x02\x01\x01\x78\x03\x02\x01\x00",
            "LDAP response has an unexpected result code type",
        ),
        (
            b"\x30\x09\x02\x01\x01\x78\x04\x0a\x02\x00\x00",
            "LDAP response has an unexpected result code length",
        ),
        (
            b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x34\x04\x00\x04\x02no",
            "LDAP response has indicated an error (52, unavailable): no",
        ),
        (
            b"\x30\x08\x02\x01\x01\x78\x03\x0a\x01\x50",
            "LDAP response has indicated an error: ",
        ),
    ] {
        check(says, Err(text));
    }
}

#[test]
fn nothing_may_wait_behind_the_response() {
    for early in [&b"x"[..], SUCCESS, b"\x16\x03\x01"] {
        let says = [SUCCESS, early].concat();
        let (progress, ..) = clear(dialect(), b"", &says, usize::MAX);
        assert!(progress.is_err(), "{early:x?}");
    }
}

#[test]
fn the_longest_response_is_read() {
    let text = MAX_RESPONSE - 3 - 4 - 5 - 4;
    let mut says = Vec::from(*b"\x30\x82\x10\x00\x02\x01\x01\x78\x82");
    says.extend(((text + 9) as u16).to_be_bytes());
    says.extend(b"\x0a\x01\x00\x04\x00\x04\x82");
    says.extend((text as u16).to_be_bytes());
    says.resize(says.len() + text, b'm');
    check(&says, Ok(()));
}

#[test]
fn a_server_that_leaves_before_its_answer_is_a_fault() {
    for length in 0..SUCCESS.len() {
        let mut trial = Trial::new(dialect(), b"", &SUCCESS[..length]);
        assert_eq!(trial.stage(Stage::Clear, 3), Ok(Progress::Wait));
        trial.backend.ends = true;
        let fault = trial.stage(Stage::Clear, 3).unwrap_err();
        assert_eq!(fault.text, "Unexpected socket close", "{length}");
    }
}

#[test]
fn spoilt_answers_are_judged_alike_in_whole_and_in_pieces() {
    for (at, byte) in (0..SUCCESS.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
        let mut says = SUCCESS.to_vec();
        says[at] = byte;
        let results = PIECES.map(|piece| clear(dialect(), b"", &says, piece).0);
        let all = &results[PIECES.len() - 1];
        // What is behind the end shows only where all is there at once.
        if *all != Err(early()) {
            assert!(results.iter().all(|result| result == all), "{says:x?}");
        }
    }
}

fn early() -> Fault {
    let mut output = vec![];
    Wire::new(End::Backend, b"x", false, &mut output)
        .refuse_early()
        .unwrap_err()
}
