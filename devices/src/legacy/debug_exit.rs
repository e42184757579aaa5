use vmm_core::bus::BusDevice;
use vmm_core::event::{MachineRequest, RequestSender};

/// A port whose first written byte ends the run and is the exit status, as
/// given: test kernels report their result so.
///
/// Of a wider write, the low byte counts. Reads give zero.
pub struct DebugExit {
    requests: RequestSender,
}

impl DebugExit {
    /// Length of the window from
    /// [`DEBUG_EXIT`](vmm_core::arch::x86_64::layout::DEBUG_EXIT), in ports:
    /// room for a 32-bit write.
    pub const WINDOW: u64 = 4;

    /// A port that asks `requests` for the exit.
    pub fn new(requests: RequestSender) -> Self {
        Self { requests }
    }
}

impl BusDevice for DebugExit {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == 0 {
            self.requests.send(MachineRequest::Exit(data[0]));
        }
    }
}
