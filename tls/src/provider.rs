//! The two cryptography providers.

use core::fmt;

/// Whose cryptography runs a connection. Both are in every build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// *ring*: assembly for x86-64 and AArch64, the default.
    #[default]
    Ring,
    /// RustCrypto: pure Rust.
    RustCrypto,
}

impl Provider {
    /// Its name on the command line and in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Provider::Ring => "ring",
            Provider::RustCrypto => "rustcrypto",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
