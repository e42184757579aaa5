//! x86-64: the address map, CPUID, model-specific registers, entry states.

pub mod layout;
