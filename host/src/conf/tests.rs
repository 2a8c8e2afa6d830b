//! Configurations on this host: what is published, packed, converted and told.

mod keys;
mod publish;
mod report;
