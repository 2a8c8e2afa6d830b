//! PROXY headers: HAProxy and nginx on either side.
