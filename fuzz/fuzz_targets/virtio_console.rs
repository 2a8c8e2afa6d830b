//! Fuzzes the management channel's rings.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_kernel::virtio::fuzz::console(data));
