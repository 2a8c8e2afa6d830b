//! Fuzzes what is said around TLS in LDAP.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stockade_tests::fuzz::dialect_ldap(data));
