//! What becomes of configurations.
