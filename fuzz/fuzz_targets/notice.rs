//! Fuzzes both ends of a notice that the store has changed.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::notice(data));
