//! Fuzzes what a hostile launcher sends to the image's end of the management channel.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::channel_guest(data));
