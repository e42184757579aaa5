//! pvpanic: a register through which a guest's kernel says that it panics
//! (QEMU, `docs/specs/pvpanic.rst`), as a port or as a PCI function.

mod function;
mod note;
#[cfg(any(test, feature = "testing"))]
mod play;
mod port;
#[cfg(test)]
mod tests;

pub use function::PanicFunction;
pub use note::PanicNote;
#[cfg(any(test, feature = "testing"))]
pub use play::play_panics;
pub use port::PanicPort;
