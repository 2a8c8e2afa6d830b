//! Services of a stunnel configuration.
