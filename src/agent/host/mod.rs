//! What Kiln does on the host for the command in the guest: tells the agent
//! what to run, moves the command's streams, learns how it ends.

mod complaint;
mod job;
mod pump;
mod same_file;
mod session;

pub use complaint::complaint;
pub use job::{JobError, job};
pub use session::{Progress, Session};
