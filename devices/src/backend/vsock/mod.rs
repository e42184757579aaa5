//! Where the streams of a socket device end on the host: Unix sockets with
//! paths, or this process itself.
//!
//! A program of the host reaches port P of the guest through the device's own
//! socket, PATH: it connects, sends `CONNECT P\n` and reads `OK H\n`, where H
//! is the port that the guest sees at its other end; from there on, the
//! connection carries the stream. What the guest connects to, port P of the
//! host (CID 2), is the Unix socket `PATH_P`, unless this process serves that
//! port itself ([`LocalPorts`]).

mod error;
mod greeting;
mod local;
#[cfg(any(test, feature = "testing"))]
mod memory;
#[cfg(test)]
mod tests;
mod traits;
mod unix;

pub use error::VsockError;
pub use greeting::{GREETING_MAX, Greeting, read_greeting};
pub use local::{LocalPorts, LocalVsock};
#[cfg(any(test, feature = "testing"))]
pub use memory::{MemoryHost, MemoryVsock, play_greeting};
pub use traits::VsockBackend;
pub use unix::{PATH_MAX, UnixVsock};
