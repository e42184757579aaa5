use vmm_core::bus::BusDevice;

use super::PanicNote;

/// The register as a port, the device "QEMU0001" of ACPI.
///
/// It reads as the events that it takes; of a wider access the low byte counts.
pub struct PanicPort(PanicNote);

impl PanicPort {
    /// Length of the window from
    /// [`PVPANIC`](vmm_core::arch::x86_64::layout::PVPANIC), in ports.
    pub const WINDOW: u64 = 1;

    /// A port that tells `note`.
    pub fn new(note: PanicNote) -> Self {
        Self(note)
    }
}

impl BusDevice for PanicPort {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        read(offset, data);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        write(&self.0, offset, data);
    }
}

/// Reads the one register, at offset 0; reserved ones are zero.
pub(super) fn read(offset: u64, data: &mut [u8]) {
    data.fill(0);
    if offset == 0 {
        data[0] = PanicNote::offered();
    }
}

/// Writes it.
pub(super) fn write(note: &PanicNote, offset: u64, data: &[u8]) {
    if offset == 0 {
        note.take(data[0]);
    }
}
