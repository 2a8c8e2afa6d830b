//! The launcher, over stand-ins for QEMU.
