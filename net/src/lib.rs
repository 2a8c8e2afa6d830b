//! (described when written)
