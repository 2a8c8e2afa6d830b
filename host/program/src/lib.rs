//! The `stockade` program: its commands, its options and what it prints.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
