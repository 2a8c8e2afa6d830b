//! What asks for its destination inside TLS: SOCKS and CONNECT, with curl and proxies.
