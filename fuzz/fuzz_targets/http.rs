//! Fuzzes HTTP between clients and backends.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::http(data));
