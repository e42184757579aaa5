use std::process::Command;

use testing::Tap;

use crate::Result;
use crate::guest::{Guest, Transport};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// A machine of Kiln's without a device, and one with an interface on a tap, vsock, rng and
/// balloon.
pub(crate) struct Pair {
    tap: Tap,
}

impl Pair {
    /// Makes a tap.
    ///
    /// # Errors
    /// If that is not permitted.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { tap: Tap::new("10.213.99.1/24").ok_or("only root may make a tap")? })
    }

    /// How `guest` is run without the devices, and with them.
    pub(crate) fn commands(&self, stage: &Stage, guest: &Guest) -> Result<[Command; 2]> {
        let without = ["--rng".to_owned(), "off".to_owned()];
        let socket = stage.path().join("vsock");
        let with = [
            "--net".to_owned(),
            format!("tap={}", self.tap.name()),
            "--vsock".to_owned(),
            format!("cid=3,socket={}", socket.display()),
            "--balloon".to_owned(),
        ];
        let command = |options: Vec<String>| {
            let transport = Some(Transport::Pci);
            let guest = Guest { transport, options, ..guest.clone() };
            stage.command(Vmm::Kiln, &guest)?.ok_or_else(|| "Kiln has all of these".into())
        };
        let [without, with]: [Result<Command>; 2] = [command(without.into()), command(with.into())];
        Ok([without?, with?])
    }
}
