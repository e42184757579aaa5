use vmm_core::arch::x86_64::layout::ACPI_S5_SLEEP_TYPE;
use vmm_core::bus::BusDevice;
use vmm_core::event::{MachineRequest, RequestSender};

/// Offset of the sleep control register; the sleep status register follows.
const CONTROL: u64 = 0;

/// Enters the sleep state whose type is in bits 2 to 4.
const SLP_EN: u8 = 1 << 5;
const SLP_TYP_SHIFT: u32 = 2;
const SLP_TYP_MASK: u8 = 0x7;

/// The sleep registers of hardware-reduced ACPI (ACPI 6.5 §4.8.3.7).
///
/// S5, soft off, is the only state. The control register reads as zero; the
/// status register too, as nothing here ever wakes from sleep.
pub struct AcpiSleep {
    requests: RequestSender,
}

impl AcpiSleep {
    /// Length of the window from
    /// [`ACPI_SLEEP`](vmm_core::arch::x86_64::layout::ACPI_SLEEP), in ports.
    pub const WINDOW: u64 = 2;

    /// Registers that ask `requests` to power off.
    pub fn new(requests: RequestSender) -> Self {
        Self { requests }
    }
}

impl BusDevice for AcpiSleep {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let sleep_type = (data[0] >> SLP_TYP_SHIFT) & SLP_TYP_MASK;
        if offset == CONTROL && data[0] & SLP_EN != 0 && sleep_type == ACPI_S5_SLEEP_TYPE {
            self.requests.send(MachineRequest::PowerOff);
        }
    }
}
