use crate::pci::spec::class;
use crate::pci::{BAR_COUNT, ConfigSpace, Function, Identity, Window};

/// The generic PCI Express host bridge of the pci.ids list: guests know it,
/// and have no workarounds for it.
const VENDOR: u16 = 0x1b36;
const DEVICE: u16 = 0x0008;

/// The host bridge as a function of its own bus. It has nothing to say but
/// that it is there; Linux looks for it before it trusts the ports.
pub(super) struct HostBridge(ConfigSpace);

impl HostBridge {
    pub(super) fn new() -> Self {
        Self(ConfigSpace::new(Identity {
            vendor: VENDOR,
            device: DEVICE,
            revision: 0,
            class: class::HOST_BRIDGE,
            subsystem_vendor: 0,
            subsystem: 0,
            has_pin: false,
        }))
    }
}

impl Function for HostBridge {
    fn read_config(&mut self, offset: u16, data: &mut [u8]) {
        self.0.read(offset, data);
    }

    fn write_config(&mut self, offset: u16, data: &[u8]) {
        self.0.write(offset, data);
    }

    fn windows(&self) -> [Option<Window>; BAR_COUNT] {
        self.0.windows()
    }

    fn read_bar(&mut self, _bar: usize, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write_bar(&mut self, _bar: usize, _offset: u64, _data: &[u8]) {}
}
