//! A network device whose packets the host's kernel moves.

mod device;
mod state;
#[cfg(test)]
mod tests;

pub use device::KernelNet;
