//! Boots real guests under the `kiln` that was just built: what Kiln's tests
//! share.
//!
//! A test says which [`Guest`] it wants and looks at the [`Outcome`]; between
//! the two it may follow the [`Running`] guest. Whatever goes wrong, a panic
//! shows all that was printed.

mod capture;
mod guest;
mod image;
mod initramfs;
mod lab;
mod limit;
mod pattern;
mod running;
mod tap;
mod terminal;
mod vsock;
mod watch;

pub use guest::{Guest, PATIENCE, TRANSPORTS, USER, kiln};
pub use image::{Form, tiny};
pub use initramfs::{busybox, kernel, test_crate, tools};
pub use lab::{in_lab, patiently};
pub use limit::run_with;
pub use nix::sys::signal::Signal;
pub use pattern::{fnv1a, pattern};
pub use running::{Outcome, Running};
pub use tap::Tap;
pub use terminal::Terminal;
pub use vsock::Vsock;
pub use watch::wait_for_write;
