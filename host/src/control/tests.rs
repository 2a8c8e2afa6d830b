//! Server and clients in one process.
