//! Against OpenSSL's command line, over loopback, where there is one.
