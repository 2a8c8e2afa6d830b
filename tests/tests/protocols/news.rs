//! News: nnrpd.
