//! What lies where in the windows of a virtio function.

use crate::pci::{Bar, MsixPlace, MsixTable};
use crate::virtio::transport::NotifyPlace;

/// Base address register of the virtio structures.
pub(super) const STRUCTURES: u8 = 0;
/// Base address register of MSI-X.
pub(super) const MESSAGES: u8 = 1;
/// Base address register of the port that takes notifications.
pub(super) const PORT: u8 = 2;

/// How many ports that window has: no fewer can be asked for.
pub(super) const PORT_SIZE: u64 = 4;

/// Size of the window of the virtio structures, in bytes. Each begins a page,
/// so that a driver in the guest's user space can be given some alone.
pub(super) const STRUCTURES_SIZE: u64 = 0x4000;

/// A virtio structure in its window: offset and length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u32,
    pub(super) len: u32,
}

pub(super) const COMMON: Part = Part { offset: 0, len: 60 };
pub(super) const ISR: Part = Part { offset: 0x1000, len: 1 };
pub(super) const DEVICE: Part = Part { offset: 0x2000, len: 0x1000 };
const NOTIFY: u32 = 0x3000;
/// The port: it takes the index of any queue, in 2 bytes.
pub(super) const NOTIFY_PORT: Part = Part { offset: 0, len: 2 };

/// Bytes from one queue's notification address to the next.
pub(super) const NOTIFY_STRIDE: u32 = 4;
/// The most queues whose notification addresses fit.
pub(super) const MAX_QUEUES: u16 = 1024;

/// The notification addresses of `queues` queues.
pub(super) fn notify(queues: u16) -> Part {
    Part { offset: NOTIFY, len: NOTIFY_STRIDE * u32::from(queues) }
}

/// Where they are once the window lies at `base`; the window does not wrap.
pub(super) fn notify_place(base: u64) -> NotifyPlace {
    NotifyPlace::Array { base: base + u64::from(NOTIFY), stride: NOTIFY_STRIDE.into() }
}

/// What an access to the window of the virtio structures means: a structure,
/// and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Common(u64),
    Isr(u64),
    Device(u64),
    Notify(u64),
}

impl Place {
    pub(super) fn of(offset: u64) -> Self {
        let at = offset & 0xfff;
        match offset >> 12 {
            0 => Self::Common(at),
            1 => Self::Isr(at),
            2 => Self::Device(at),
            _ => Self::Notify(at),
        }
    }
}

/// Where in the window of MSI-X the pending bits of `table` lie: on a page of
/// their own behind it (PCI 3.0 §6.8.2).
pub(super) fn pba_offset(table: &MsixTable) -> u64 {
    table.table_size().next_multiple_of(0x1000)
}

/// The window of MSI-X for `table`.
pub(super) fn messages(table: &MsixTable) -> (Bar, MsixPlace) {
    let pba_offset = pba_offset(table);
    let size = (pba_offset + table.pba_size()).next_power_of_two();
    let place = MsixPlace {
        table_bar: MESSAGES,
        table_offset: 0,
        pba_bar: MESSAGES,
        pba_offset: u32::try_from(pba_offset).expect("a table has at most 32 KiB"),
    };
    (Bar::memory32(size), place)
}
