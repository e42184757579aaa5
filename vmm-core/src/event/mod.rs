//! The event loop's vocabulary, what a device asks of the machine, and the
//! threads beside the loop.

mod fault;
mod request;
#[cfg(test)]
mod tests;
mod worker;

pub use fault::panic_if_asked;
pub use request::{MachineRequest, RequestSender};
pub use worker::{MAX_THREAD_NAME, StopFlag, Worker, WorkerPanic, WorkerSpec};
