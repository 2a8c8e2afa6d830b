//! What backends are told.
