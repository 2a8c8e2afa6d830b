//! Fuzzes a host's file in the store.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::host_file(data));
