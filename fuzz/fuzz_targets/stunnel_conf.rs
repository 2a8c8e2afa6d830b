//! Fuzzes stunnel's configuration file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::stunnel_conf(data));
