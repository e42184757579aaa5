//! What every Kiln machine needs, whatever its devices: KVM, guest memory,
//! the buses that carry guest accesses, interrupt lines, vCPU threads and the
//! event loop.
//!
//! Unsafe code lives in [`kvm`], [`mem`] and [`sys`] only.

pub mod arch;
pub mod bus;
pub mod event;
pub mod irq;
pub mod kvm;
pub mod mem;
pub mod sys;
pub mod vcpu;
