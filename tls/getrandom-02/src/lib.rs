//! getrandom 0.2's interface over getrandom 0.4.
//!
//! getrandom 0.2 takes a custom entropy source only on targets it does not know, so in the image,
//! whose target is Linux's, it would call libc. The crates that still use it (*ring* and what
//! stands on rand_core 0.6) get this one in its place through `[patch.crates-io]`: on the host it
//! draws from the system, in the image from the machine's generator, as getrandom 0.4 does.
//!
//! Every feature of the real crate is declared, so that no dependency can ask cargo for one that
//! only the registry's version has. None changes anything here.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

use core::fmt;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;

/// Fills `dest` with random bytes.
///
/// # Errors
///
/// When the entropy source fails; `dest` may then be partly written.
pub fn getrandom(dest: &mut [u8]) -> Result<(), Error> {
    getrandom_04::fill(dest).map_err(Error::from_newer)
}

/// Initialises `dest` with random bytes and returns it as such.
///
/// # Errors
///
/// When the entropy source fails.
pub fn getrandom_uninit(dest: &mut [MaybeUninit<u8>]) -> Result<&mut [u8], Error> {
    getrandom_04::fill_uninit(dest).map_err(Error::from_newer)
}

/// Why no random bytes could be had: an operating system's error number below
/// [`INTERNAL_START`](Self::INTERNAL_START), getrandom's own codes from there, a caller's own from
/// [`CUSTOM_START`](Self::CUSTOM_START).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(NonZeroU32);

const fn internal(number: u32) -> Error {
    // Never `None`: the sum is at least INTERNAL_START.
    match NonZeroU32::new(Error::INTERNAL_START + number) {
        Some(code) => Error(code),
        None => Error(NonZeroU32::MAX),
    }
}

impl Error {
    /// The target has no entropy source that getrandom knows.
    pub const UNSUPPORTED: Error = internal(0);
    /// The system reported an error number that is not positive.
    pub const ERRNO_NOT_POSITIVE: Error = internal(1);
    /// Something happened that should not be possible.
    pub const UNEXPECTED: Error = internal(2);
    /// `SecRandomCopyBytes` failed (iOS).
    pub const IOS_SEC_RANDOM: Error = internal(3);
    /// `RtlGenRandom` failed (Windows).
    pub const WINDOWS_RTL_GEN_RANDOM: Error = internal(4);
    /// RDRAND kept failing.
    pub const FAILED_RDRAND: Error = internal(5);
    /// The processor has no RDRAND.
    pub const NO_RDRAND: Error = internal(6);
    /// There is no Web Crypto API.
    pub const WEB_CRYPTO: Error = internal(7);
    /// `crypto.getRandomValues` failed.
    pub const WEB_GET_RANDOM_VALUES: Error = internal(8);
    /// `randSecure` is not initialised (VxWorks).
    pub const VXWORKS_RAND_SECURE: Error = internal(11);
    /// Node.js has no `crypto` module.
    pub const NODE_CRYPTO: Error = internal(12);
    /// `crypto.randomFillSync` failed (Node.js).
    pub const NODE_RANDOM_FILL_SYNC: Error = internal(13);
    /// Called from an ES module (Node.js).
    pub const NODE_ES_MODULE: Error = internal(14);

    /// The first code that is no operating system's error number.
    pub const INTERNAL_START: u32 = 1 << 31;
    /// The first code that callers may give a meaning of their own.
    pub const CUSTOM_START: u32 = (1 << 31) + (1 << 30);

    /// The operating system's error number, if it was the system that failed.
    #[must_use]
    pub fn raw_os_error(self) -> Option<i32> {
        i32::try_from(self.0.get()).ok()
    }

    /// The bare code.
    #[must_use]
    pub const fn code(self) -> NonZeroU32 {
        self.0
    }

    fn from_newer(error: getrandom_04::Error) -> Error {
        error
            .raw_os_error()
            .and_then(|number| u32::try_from(number).ok())
            .and_then(NonZeroU32::new)
            .map_or(Error::UNEXPECTED, Error)
    }
}

impl From<NonZeroU32> for Error {
    fn from(code: NonZeroU32) -> Error {
        Error(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.raw_os_error() {
            Some(number) => write!(
                out,
                "the system's entropy source failed with error {number}"
            ),
            None => write!(out, "the entropy source failed with code {:#x}", self.0),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Error").field(&self.0).finish()
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests;
