//! Fuzzes what a client with a pre-shared key sends.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::psk_server(data));
