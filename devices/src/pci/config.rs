use super::spec::{command, reg, status};
use super::{BAR_COUNT, Bar, Capability, Space, Window};

/// Size of a function's configuration space, in bytes.
pub const CONFIG_SIZE: u16 = 256;

const SIZE: usize = CONFIG_SIZE as usize;
/// What a driver can write of the command register; its bit for ports only if
/// there are some.
const COMMAND_WRITABLE: u16 =
    command::MEMORY | command::BUS_MASTER | command::PARITY | command::SERR | command::INTX_DISABLE;

/// What a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Revision id.
    pub revision: u8,
    /// Class code, base class first: one of [`super::spec::class`].
    pub class: [u8; 3],
    /// Subsystem vendor id.
    pub subsystem_vendor: u16,
    /// Subsystem id.
    pub subsystem: u16,
    /// Whether the function has an INTA#.
    pub has_pin: bool,
}

/// The configuration space of a function with a header of type 0
/// (PCI 3.0 §6.1): plain bytes, of which a driver can write some.
pub struct ConfigSpace {
    bytes: [u8; SIZE],
    writable: [u8; SIZE],
    bars: [Option<Bar>; BAR_COUNT],
    /// The last capability's offset, and the first free byte after it.
    last_capability: Option<usize>,
    free: usize,
}

impl ConfigSpace {
    /// The space after a reset: nothing is decoded, no capabilities yet.
    pub fn new(identity: Identity) -> Self {
        let mut space = Self {
            bytes: [0; SIZE],
            writable: [0; SIZE],
            bars: [None; BAR_COUNT],
            last_capability: None,
            free: reg::HEADER_END.into(),
        };
        space.set16(reg::VENDOR_ID, identity.vendor);
        space.set16(reg::DEVICE_ID, identity.device);
        space.set16(reg::SUBSYSTEM_VENDOR_ID, identity.subsystem_vendor);
        space.set16(reg::SUBSYSTEM_ID, identity.subsystem);
        let [base, subclass, interface] = identity.class;
        let class = usize::from(reg::CLASS);
        space.bytes[class - 1] = identity.revision;
        space.bytes[class..class + 3].copy_from_slice(&[interface, subclass, base]);
        space.bytes[usize::from(reg::INTERRUPT_PIN)] = identity.has_pin.into();

        let at = usize::from(reg::COMMAND);
        space.writable[at..at + 2].copy_from_slice(&COMMAND_WRITABLE.to_le_bytes());
        for byte in [reg::CACHE_LINE_SIZE, reg::LATENCY_TIMER, reg::INTERRUPT_LINE] {
            space.writable[usize::from(byte)] = 0xff;
        }
        space
    }

    /// Has the function ask for a window at register `index`, unassigned.
    ///
    /// # Panics
    /// If the window cannot be expressed, there is no such register, or it is
    /// taken: a device that is made so is a bug.
    pub fn add_bar(&mut self, index: usize, bar: Bar) {
        assert!(bar.is_valid(), "no base address register can express {bar:?}");
        let registers = index..index + bar.registers();
        assert!(registers.end <= BAR_COUNT, "there is no base address register {index}");
        let is_taken = |i: usize| {
            let wide_below = i.checked_sub(1).and_then(|below| self.bars[below]);
            self.bars[i].is_some() || wide_below.is_some_and(|b| b.registers() == 2)
        };
        assert!(!registers.clone().any(is_taken), "base address register {index} is taken");
        self.bars[index] = Some(bar);
        if bar.space() == Space::Io {
            self.writable[usize::from(reg::COMMAND)] |= command::IO.to_le_bytes()[0];
        }
        let at = bar_offset(index);
        self.bytes[at..at + 4].copy_from_slice(&bar.flags().to_le_bytes());
        let mask = bar.mask().to_le_bytes();
        let len = 4 * bar.registers();
        self.writable[at..at + len].copy_from_slice(&mask[..len]);
    }

    /// Puts a capability at the end of the list; returns its offset.
    ///
    /// # Panics
    /// If it does not fit: a device that is made so is a bug.
    pub fn add_capability(&mut self, capability: &Capability) -> u16 {
        let offset = self.free.next_multiple_of(4);
        let body = offset + 2;
        let end = body + capability.body.len();
        assert!(end <= SIZE, "the capabilities do not fit into the configuration space");
        assert!(capability.writable.len() <= capability.body.len(), "a mask without bytes");
        let pointer = self.last_capability.map_or(reg::CAPABILITIES.into(), |last| last + 1);
        self.bytes[pointer] = u8::try_from(offset).expect("below 256");
        self.bytes[offset] = capability.id;
        self.bytes[body..end].copy_from_slice(&capability.body);
        let mask_end = body + capability.writable.len();
        self.writable[body..mask_end].copy_from_slice(&capability.writable);
        self.bytes[usize::from(reg::STATUS)] |= status::CAPABILITIES.to_le_bytes()[0];
        self.last_capability = Some(offset);
        self.free = end;
        u16::try_from(offset).expect("below 256")
    }

    /// Fills `data` from `offset`; all ones past the end of the space.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        for (at, byte) in (usize::from(offset)..).zip(data) {
            *byte = self.bytes.get(at).copied().unwrap_or(0xff);
        }
    }

    /// Applies `data` at `offset`, as far as a driver can write there.
    pub fn write(&mut self, offset: u16, data: &[u8]) {
        for (at, new) in (usize::from(offset)..).zip(data) {
            if let (Some(byte), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) {
                *byte = *byte & !mask | new & mask;
            }
        }
    }

    /// Sets bytes of the function's own, whether a driver can write them or
    /// not; those past the end of the space are dropped.
    pub fn set(&mut self, offset: u16, data: &[u8]) {
        for (at, new) in (usize::from(offset)..).zip(data) {
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte = *new;
            }
        }
    }

    /// The two bytes at `offset`; all ones past the end of the space.
    pub fn read16(&self, offset: u16) -> u16 {
        let mut data = [0; 2];
        self.read(offset, &mut data);
        u16::from_le_bytes(data)
    }

    /// The four bytes at `offset`; all ones past the end of the space.
    pub fn read32(&self, offset: u16) -> u32 {
        let mut data = [0; 4];
        self.read(offset, &mut data);
        u32::from_le_bytes(data)
    }

    /// The command register: bits of [`command`].
    pub fn command(&self) -> u16 {
        self.read16(reg::COMMAND)
    }

    /// Shows in the status register whether the function's INTx# would be
    /// asserted, but for the command register.
    pub fn set_interrupt_status(&mut self, asserted: bool) {
        let status = self.read16(reg::STATUS) & !status::INTERRUPT;
        self.set16(reg::STATUS, status | if asserted { status::INTERRUPT } else { 0 });
    }

    /// Where the function decodes memory and ports now, by register; nowhere
    /// while the command register says so.
    pub fn windows(&self) -> [Option<Window>; BAR_COUNT] {
        let has = |bit| self.command() & bit != 0;
        let (memory, io) = (has(command::MEMORY), has(command::IO));
        let is_decoded = |bar: &Bar| match bar.space() {
            Space::Memory => memory,
            Space::Io => io,
        };
        let mut windows = [None; BAR_COUNT];
        for (index, (window, bar)) in windows.iter_mut().zip(self.bars).enumerate() {
            let register = |i| self.read32(u16::try_from(bar_offset(i)).expect("below 256"));
            let bar = bar.filter(is_decoded);
            *window = bar.and_then(|bar| bar.window(register(index), register(index + 1)));
        }
        windows
    }

    fn set16(&mut self, offset: u16, value: u16) {
        self.set(offset, &value.to_le_bytes());
    }
}

/// Where register `index` lies; one past the last is still inside the header.
const fn bar_offset(index: usize) -> usize {
    reg::BAR0 as usize + 4 * index
}
