//! Fuzzes what names a store, and keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::store_text(data));
