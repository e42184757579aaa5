//! The host's side of a guest's console: where its output goes, and what
//! the output says about the guest.

mod escape;
mod facts;
mod input;
mod output;
#[cfg(any(test, feature = "testing"))]
mod play;
mod port;
#[cfg(any(test, feature = "testing"))]
mod reader;
mod signs;
mod strip;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub use escape::Escape;
pub use facts::ConsoleFacts;
pub use input::ConsoleInput;
pub use output::Output;
#[cfg(any(test, feature = "testing"))]
pub use play::play_lines;
pub use port::InputPort;
#[cfg(any(test, feature = "testing"))]
pub use reader::TestReader;
pub use strip::plain;
pub use watch::LineTest;
pub use writer::{Sink, Writer};
