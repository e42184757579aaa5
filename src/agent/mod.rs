//! The guest's side of `kiln run -- COMMAND`, and who talks to it on the host.
//!
//! Kiln's own program is the guest's first process, too: [`guest`] loads
//! modules, connects to the host, makes the root file system and runs the
//! command; [`host`] tells it which, and moves the command's streams. They
//! speak the [`protocol`] over stream sockets (vsock).

pub mod guest;
pub mod host;
pub mod protocol;
