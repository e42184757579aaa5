//! Unit tests of KVM's wrappers. Those of interrupts need /dev/kvm.

mod host;
mod interrupts;
