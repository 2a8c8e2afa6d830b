//! Fuzzes the boot archive.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::boot_archive(data));
