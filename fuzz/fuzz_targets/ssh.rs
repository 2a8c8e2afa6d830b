//! Fuzzes what an SSH server says.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::ssh(data));
