//! Fuzzes what is said around TLS in POP3.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dialect_pop3(data));
