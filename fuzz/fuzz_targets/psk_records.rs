//! Fuzzes the records of a connection with a pre-shared key.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::psk_records(data));
