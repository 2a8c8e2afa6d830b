//! Fuzzes answers of a DHCP server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dhcp(data));
