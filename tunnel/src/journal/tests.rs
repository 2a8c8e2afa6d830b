//! What a connection leaves in the log.
