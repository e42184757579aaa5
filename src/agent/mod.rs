//! The guest's side of `kiln run -- COMMAND`, and who talks to it on the host.
//!
//! Kiln's own program is the guest's first process, too: [`guest`] loads
//! modules, connects to the host, makes the root file system and runs the
//! command; [`host`] tells it which, and moves the command's streams. They
//! speak the [`protocol`] over stream sockets (vsock).

pub mod guest;
pub mod host;
pub mod protocol;

/// How the line in the kernel's log begins by which the guest's side says what
/// is wrong while it has no connection to the host's.
const COMPLAINT: &str = "kiln-agent: ";
