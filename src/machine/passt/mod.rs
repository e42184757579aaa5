//! passt: an ordinary process that carries frames of the guest over sockets of
//! the host. Kiln starts it, and it ends with Kiln, however that ends: each
//! has one end of a connection, and passt goes when the other is closed.

mod arguments;
mod error;
mod probe;
mod process;
#[cfg(test)]
mod tests;

pub use error::PasstError;
pub(super) use process::PasstProcess;
