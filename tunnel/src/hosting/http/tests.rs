//! Requests, and what they are answered.
