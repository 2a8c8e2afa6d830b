//! Fuzzes a guest's frames at the launcher's end of its link.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::gateway_frames(data));
