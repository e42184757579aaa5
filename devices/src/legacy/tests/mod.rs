//! Each device as a guest's port accesses see it.

mod end;
mod hostile;
mod serial;
mod uart;
