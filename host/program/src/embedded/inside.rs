//! The image is part of this program.

/// The image, as `cargo xtask dist` has built it.
pub(crate) const IMAGE: Option<&[u8]> = Some(include_bytes!(env!("STOCKADE_IMAGE")));
