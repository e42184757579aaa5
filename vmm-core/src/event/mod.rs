//! The event loop's vocabulary: what a device asks of the machine.

mod request;

pub use request::{MachineRequest, RequestSender};
