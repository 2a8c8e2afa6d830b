//! Fuzzes what a hostile image sends to the launcher's end of the management channel.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::channel_host(data));
