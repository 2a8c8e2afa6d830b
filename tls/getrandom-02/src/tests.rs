//! The old interface gives what the new one's does.

use core::mem::MaybeUninit;
use core::num::NonZeroU32;

use super::{Error, getrandom, getrandom_uninit};

#[test]
fn fills_with_different_bytes_each_time() {
    let (mut a, mut b) = ([0u8; 32], [0u8; 32]);
    getrandom(&mut a).unwrap();
    getrandom(&mut b).unwrap();
    assert_ne!(a, b);
    assert_ne!(a, [0u8; 32]);
}

#[test]
fn initialises_uninitialised_bytes() {
    let mut bytes = [MaybeUninit::uninit(); 32];
    let bytes = getrandom_uninit(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 32);
    assert_ne!(bytes, [0u8; 32]);
}

#[test]
fn codes_tell_system_errors_from_others() {
    let system = Error::from(NonZeroU32::new(5).unwrap());
    assert_eq!(system.raw_os_error(), Some(5));
    assert_eq!(system.code().get(), 5);
    let own = Error::from(NonZeroU32::new(Error::CUSTOM_START + 7).unwrap());
    assert_eq!(own.raw_os_error(), None);
    assert_eq!(Error::UNSUPPORTED.code().get(), Error::INTERNAL_START);
    assert_eq!(
        Error::NODE_ES_MODULE.code().get(),
        Error::INTERNAL_START + 14
    );
}
