//! A network through passt, which turns frames into the host's own sockets.
//!
//! passt takes plain Ethernet frames on a stream, each behind its length as
//! four bytes, the highest first.

mod backend;
mod frames;
#[cfg(any(test, feature = "testing"))]
mod play;
#[cfg(test)]
mod tests;
mod words;

pub use backend::{Passt, PasstEnds};
#[cfg(any(test, feature = "testing"))]
pub use play::play_passt;
