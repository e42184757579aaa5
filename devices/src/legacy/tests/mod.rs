//! Each device as a guest's port accesses see it.

mod end;
mod serial;
mod uart;
