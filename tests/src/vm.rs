//! The virtual machine under test.
