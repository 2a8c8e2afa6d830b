//! Fuzzes the kernel command line.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::command_line(data));
