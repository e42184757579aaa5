use vmm_core::bus::BusDevice;
use vmm_core::event::{MachineRequest, RequestSender};

/// Bits that can be written: hard or soft (1), reset now (2), power cycle (3).
const WRITABLE: u8 = 0x0e;
/// Resets the processor when it goes from 0 to 1.
const RESET_CPU: u8 = 0x04;

/// The reset control register of PC chipsets at port 0xcf9 (Intel I/O
/// Controller Hub 9 data sheet §13.7.5, `reboot=p`).
///
/// Soft, hard and full resets all ask for the same one.
pub struct ResetControl {
    requests: RequestSender,
    value: u8,
}

impl ResetControl {
    /// A register that asks `requests` for the reset.
    pub fn new(requests: RequestSender) -> Self {
        Self { requests, value: 0 }
    }
}

impl BusDevice for ResetControl {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
        data[0] = self.value;
    }

    fn write(&mut self, _offset: u64, data: &[u8]) {
        let before = std::mem::replace(&mut self.value, data[0] & WRITABLE);
        if !before & self.value & RESET_CPU != 0 {
            self.requests.send(MachineRequest::Reset { by: "the reset control register" });
        }
    }
}
