//! Fuzzes what a Git server says.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::git_conversation(data));
