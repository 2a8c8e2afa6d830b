//! Fuzzes what a server with a pre-shared key answers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::psk_client(data));
