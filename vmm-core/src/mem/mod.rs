//! Guest memory: where RAM lies in the guest's address space and the mappings
//! behind it.

mod give_back;
mod ram;
mod regions;
#[cfg(test)]
mod tests;

pub use give_back::{address_of, give_back};
pub use ram::{GuestRam, MemError, allocate};
pub use regions::{RamRegion, plan};
