//! There is no image in this program: its user names one.

/// The image that is not there.
pub(crate) const IMAGE: Option<&[u8]> = None;
