use super::{PanicNote, port};
use crate::pci::{BAR_COUNT, Bar, ConfigSpace, Function, Identity, Window, spec};

/// Red Hat's vendor id for devices of QEMU.
const VENDOR: u16 = 0x1b36;
/// pvpanic among them.
const DEVICE: u16 = 0x0011;
/// What virtio devices have there too.
const SUBSYSTEM_VENDOR: u16 = 0x1af4;
const SUBSYSTEM: u16 = 0x1100;
/// The smallest window that there is: the register has its first byte.
const WINDOW: u64 = 16;

/// The register as the first window of a PCI function.
pub struct PanicFunction {
    config: ConfigSpace,
    note: PanicNote,
}

impl PanicFunction {
    /// A function that tells `note`.
    pub fn new(note: PanicNote) -> Self {
        let mut config = ConfigSpace::new(Identity {
            vendor: VENDOR,
            device: DEVICE,
            revision: 1,
            class: spec::class::SYSTEM_OTHER,
            subsystem_vendor: SUBSYSTEM_VENDOR,
            subsystem: SUBSYSTEM,
            has_pin: false,
        });
        config.add_bar(0, Bar::memory32(WINDOW));
        Self { config, note }
    }
}

impl Function for PanicFunction {
    fn read_config(&mut self, offset: u16, data: &mut [u8]) {
        self.config.read(offset, data);
    }

    fn write_config(&mut self, offset: u16, data: &[u8]) {
        self.config.write(offset, data);
    }

    fn windows(&self) -> [Option<Window>; BAR_COUNT] {
        self.config.windows()
    }

    fn read_bar(&mut self, _bar: usize, offset: u64, data: &mut [u8]) {
        port::read(offset, data);
    }

    fn write_bar(&mut self, _bar: usize, offset: u64, data: &[u8]) {
        port::write(&self.note, offset, data);
    }
}
