//! I/O ports.

#![allow(unsafe_code)]

use core::arch::asm;
use core::marker::PhantomData;

/// One I/O port, read and written in units of `T` (`u8`, `u16` or `u32`).
#[derive(Clone, Copy, Debug)]
pub struct Port<T> {
    number: u16,
    width: PhantomData<T>,
}

impl<T> Port<T> {
    /// Names a port.
    ///
    /// # Safety
    ///
    /// No sequence of reads and writes of this port, at this width, may violate memory safety
    /// (a register that starts DMA to an arbitrary address would).
    pub const unsafe fn new(number: u16) -> Port<T> {
        Port {
            number,
            width: PhantomData,
        }
    }
}

macro_rules! width {
    ($type:ty, $input:literal, $output:literal, $register:tt) => {
        impl Port<$type> {
            /// Reads the port.
            #[inline]
            pub fn read(&self) -> $type {
                let value: $type;
                // SAFETY: `new`'s caller promised that reads of this port are harmless.
                unsafe {
                    asm!($input, in("dx") self.number, out($register) value,
                        options(nomem, nostack, preserves_flags));
                }
                value
            }

            /// Writes the port.
            #[inline]
            pub fn write(&self, value: $type) {
                // SAFETY: `new`'s caller promised that writes of this port are harmless.
                unsafe {
                    asm!($output, in("dx") self.number, in($register) value,
                        options(nomem, nostack, preserves_flags));
                }
            }
        }
    };
}

width!(u8, "in al, dx", "out dx, al", "al");
width!(u16, "in ax, dx", "out dx, ax", "ax");
width!(u32, "in eax, dx", "out dx, eax", "eax");

impl Port<u8> {
    /// Writes all of `bytes` to the port, one after another, in one instruction: under KVM that
    /// is one exit to the hypervisor instead of one a byte.
    #[inline]
    pub fn write_all(&self, bytes: &[u8]) {
        // SAFETY: `new`'s caller promised that writes are harmless; the pointer and count are a
        // slice's own.
        unsafe {
            asm!("rep outsb", in("dx") self.number,
                inout("rsi") bytes.as_ptr() => _, inout("rcx") bytes.len() => _,
                options(readonly, nostack, preserves_flags));
        }
    }
}
