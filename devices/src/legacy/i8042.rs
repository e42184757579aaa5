use vmm_core::bus::BusDevice;
use vmm_core::event::{MachineRequest, RequestSender};

/// Ports of the window, from [`I8042_DATA`] on: data, three that are not
/// ours, command and status.
///
/// [`I8042_DATA`]: vmm_core::arch::x86_64::layout::I8042_DATA
const DATA: u64 = 0;
const COMMAND: u64 = 4;

/// Status bit: a byte waits at the data port. The input buffer is never full.
const OUTPUT_FULL: u8 = 0x01;

/// Commands that a driver waits for an answer to.
const READ_CONFIG: u8 = 0x20;
const TEST_AUX: u8 = 0xa9;
const SELF_TEST: u8 = 0xaa;
const TEST_KEYBOARD: u8 = 0xab;
const READ_INPUT: u8 = 0xc0;
const READ_OUTPUT: u8 = 0xd0;

/// What a defective controller answers to the tests: "failed", and "clock
/// line stuck low".
const SELF_TEST_FAILED: u8 = 0xfc;
const CLOCK_STUCK: u8 = 0x01;

/// The keyboard controller of PCs, for its one use here: resetting the
/// machine (command 0xfe, `reboot=k`).
///
/// There is no keyboard behind it, and ACPI says so. A driver that looks
/// anyway finds at once a controller that fails every test and whose
/// configuration byte never reads the same twice, instead of waiting half a
/// second for each answer.
pub struct I8042 {
    requests: RequestSender,
    answer: Option<u8>,
    config: u8,
}

impl I8042 {
    /// Length of the window from
    /// [`I8042_DATA`](vmm_core::arch::x86_64::layout::I8042_DATA), in ports.
    pub const WINDOW: u64 = 5;

    /// A controller that asks `requests` for the reset.
    pub fn new(requests: RequestSender) -> Self {
        Self { requests, answer: None, config: 0 }
    }

    fn command(&mut self, command: u8) {
        self.answer = match command {
            READ_CONFIG => {
                self.config ^= 1;
                Some(self.config)
            }
            SELF_TEST => Some(SELF_TEST_FAILED),
            TEST_KEYBOARD | TEST_AUX => Some(CLOCK_STUCK),
            READ_INPUT | READ_OUTPUT => Some(0xff),
            // 0xf0 to 0xff pulse the output lines whose bits are clear; line
            // 0 resets the processor.
            0xf0..=0xff if command & 1 == 0 => {
                self.requests.send(MachineRequest::Reset { by: "the keyboard controller" });
                None
            }
            _ => None,
        };
    }
}

impl BusDevice for I8042 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0xff);
        match offset {
            DATA => data[0] = self.answer.take().unwrap_or(0),
            COMMAND => data[0] = if self.answer.is_some() { OUTPUT_FULL } else { 0 },
            // Ports between the two are nobody's.
            _ => {}
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == COMMAND {
            self.command(data[0]);
        }
    }
}
