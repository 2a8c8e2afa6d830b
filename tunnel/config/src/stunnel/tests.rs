//! Configurations in, services or errors out.
