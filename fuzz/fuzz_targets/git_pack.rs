//! Fuzzes packs of a Git server.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::git_pack(data));
