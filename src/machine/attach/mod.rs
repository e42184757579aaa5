//! Devices of a machine, one file per kind: each makes the device and hands
//! it to the [`Platform`](super::platform::Platform).

mod balloon;
mod console;
mod disk;
mod legacy;
mod net;
mod pvpanic;
mod rng;
mod share;
mod vsock;

pub(super) use balloon::balloon;
pub(super) use console::{Consoles, hvc, serial};
pub(super) use disk::disks;
pub(super) use legacy::legacy;
pub(super) use net::nets;
pub(super) use pvpanic::pvpanic;
pub(super) use rng::rng;
pub(super) use share::shares;
pub(super) use vsock::{Sockets, vsock};
