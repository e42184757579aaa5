//! What devices are backed by on the host.

pub mod console;
pub mod disk;
pub mod fs;
pub mod net;
pub mod vsock;
