//! The socket device (VIRTIO 1.2 §5.10): stream sockets between programs in
//! the guest and Unix sockets of the host.
//!
//! What comes from the guest goes straight from its memory to the Unix
//! socket; only what that does not take at once is kept, within the credit
//! that the guest was given. What comes from the host is read straight into
//! the guest's buffers, within the credit that the guest gives: what has none
//! stays in the Unix socket. So a slow reader, at either end, stalls its own
//! connection and nothing else.
//!
//! `connection` is the protocol of one connection, without any I/O;
//! `hub` has all connections and their sockets; `rx` and `tx` move
//! packets between them and the queues.

mod backlog;
mod client;
mod connection;
mod credit;
mod device;
mod header;
mod hub;
mod link;
mod poller;
mod rx;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod tx;

pub use device::Vsock;
pub use header::Header;
pub use hub::{MAX_CLIENTS, MAX_CONNECTIONS};
