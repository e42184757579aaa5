//! The capabilities of a virtio function (VIRTIO 1.2 §4.1.4).

use super::layout::{self, PORT, Part, STRUCTURES};
use crate::pci::spec::capability::VENDOR;
use crate::pci::{Capability, ConfigSpace};

/// What a capability is of: `cfg_type`.
mod kind {
    pub(super) const COMMON: u8 = 1;
    pub(super) const NOTIFY: u8 = 2;
    pub(super) const ISR: u8 = 3;
    pub(super) const DEVICE: u8 = 4;
    pub(super) const ACCESS: u8 = 5;
}

/// `struct virtio_pci_cap` without the first two bytes, which are PCI's, and
/// what follows it.
fn capability(kind: u8, bar: u8, part: Part, more: &[u8]) -> Capability {
    let len = u8::try_from(16 + more.len()).expect("a few bytes");
    let mut body = vec![len, kind, bar, 0, 0, 0];
    body.extend(part.offset.to_le_bytes());
    body.extend(part.len.to_le_bytes());
    body.extend(more);
    Capability::read_only(VENDOR, body)
}

/// Adds the capabilities of a function of `queues` queues to `config`.
///
/// A driver may notify at a port or in memory, and finds the one it is to
/// prefer first (§4.1.4.1): of an access to a port the processor tells all that
/// there is to know, while one to memory has to be found out from the
/// instruction, at the least on AMD's.
pub(super) fn add(config: &mut ConfigSpace, queues: u16) -> Access {
    let (all_at_one, stride) = ([0; 4], layout::NOTIFY_STRIDE.to_le_bytes());
    let notify = layout::notify(queues);
    config.add_capability(&capability(kind::COMMON, STRUCTURES, layout::COMMON, &[]));
    config.add_capability(&capability(kind::NOTIFY, PORT, layout::NOTIFY_PORT, &all_at_one));
    config.add_capability(&capability(kind::NOTIFY, STRUCTURES, notify, &stride));
    config.add_capability(&capability(kind::ISR, STRUCTURES, layout::ISR, &[]));
    config.add_capability(&capability(kind::DEVICE, STRUCTURES, layout::DEVICE, &[]));
    let mut access = capability(kind::ACCESS, 0, Part { offset: 0, len: 0 }, &[0; 4]);
    // `bar`, then `offset`, `length` and the data.
    access.writable = [&[0, 0, 0xff, 0, 0, 0][..], &[0xff; 12]].concat();
    Access { at: config.add_capability(&access) }
}

/// The PCI configuration access capability (§4.1.4.9): a driver writes where
/// in the windows to read or write, and then does it in configuration space.
pub(super) struct Access {
    /// Where it lies in configuration space.
    at: u16,
}

/// One access that a driver asks for; `len` is 1, 2 or 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) bar: usize,
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Access {
    /// What an access of `len` bytes at `offset` of configuration space asks
    /// for: something if it touches the data and the rest makes sense. The
    /// function still has to check the window's size.
    pub(super) fn target(&self, config: &ConfigSpace, offset: u16, len: usize) -> Option<Target> {
        let end = usize::from(offset) + len;
        let data = usize::from(self.data());
        if usize::from(offset) >= data + 4 || end <= data {
            return None;
        }
        let mut bar = [0];
        config.read(self.at + 4, &mut bar);
        let offset = config.read32(self.at + 8);
        let len = usize::try_from(config.read32(self.at + 12)).ok()?;
        let is_right = matches!(len, 1 | 2 | 4) && usize::try_from(offset).ok()? % len == 0;
        is_right.then_some(Target { bar: bar[0].into(), offset: offset.into(), len })
    }

    /// Where the data lies in configuration space.
    pub(super) fn data(&self) -> u16 {
        self.at + 16
    }
}
