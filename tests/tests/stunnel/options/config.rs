//! Options that the launcher heeds, and whether every option has a row.
