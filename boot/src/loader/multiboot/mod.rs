//! Multiboot 1: the header in the kernel, the information for it.
//!
//! Source: Multiboot Specification 0.6.96.

mod header;
mod info;

pub(super) use header::{Header, is_version_2, parse_flat};
pub(super) use info::write;
