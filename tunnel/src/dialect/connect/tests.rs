//! Proxies that are asked, and the one that we are.
