//! `stockade`: runs the image on this host and speaks to running ones.
#![forbid(unsafe_code)]

fn main() {}
