//! Certificates that look after themselves, with real Git servers and real authorities.

mod rigs;
