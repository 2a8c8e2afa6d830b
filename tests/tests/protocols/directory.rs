//! Directories: slapd and its clients.
