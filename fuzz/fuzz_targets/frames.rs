//! Fuzzes frames on the network card.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::frames(data));
