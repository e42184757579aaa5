//! x86-64: the address map, CPUID, model-specific registers, entry states.

pub mod cpuid;
mod entry;
pub mod lapic;
pub mod layout;
pub mod msr;
pub mod regs;
#[cfg(test)]
mod tests;

pub use entry::EntryPoint;
