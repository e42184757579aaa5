use vmm_core::bus::AddrRange;

use super::{Root, SLOT_COUNT};
use crate::pci::spec::bar::{FLAGS, IO_FLAGS, IO_SPACE, TYPE, TYPE_64_BIT};
use crate::pci::spec::{command, reg};
use crate::pci::{BAR_COUNT, Space};

/// The functions' windows do not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PCI devices ask for more {space} than {aperture} has")]
pub struct AssignError {
    /// What there is too little of.
    pub space: Space,
    /// The addresses there are.
    pub aperture: AddrRange,
}

/// What a register asks for.
struct Wish {
    space: Space,
    /// In bytes; 0 if nothing.
    size: u64,
    /// How many registers it takes.
    registers: usize,
}

/// Addresses to give away, from the first on.
struct Free {
    space: Space,
    aperture: AddrRange,
    next: u64,
}

impl Free {
    fn new(space: Space, aperture: AddrRange) -> Self {
        Self { space, aperture, next: aperture.base() }
    }

    /// The next `size` of them, aligned to as many.
    fn take(&mut self, size: u64) -> Result<u64, AssignError> {
        let Self { space, aperture, .. } = *self;
        let window = self
            .next
            .checked_next_multiple_of(size)
            .and_then(|base| AddrRange::new(base, size))
            .filter(|window| window.last() <= aperture.last())
            .ok_or(AssignError { space, aperture })?;
        self.next = window.last() + 1;
        Ok(window.base())
    }
}

impl Root {
    /// Does what a firmware does before it starts a system: gives each window
    /// of each function an address in `memory`, which must lie below 4 GiB, or
    /// in `ports`, lets them be decoded, and notes `line` of the slot as the
    /// interrupt line of functions with a pin.
    ///
    /// # Errors
    /// [`AssignError`] if one of the two is too small.
    pub fn assign(
        &self,
        memory: AddrRange,
        ports: AddrRange,
        line: impl Fn(u8) -> u8,
    ) -> Result<(), AssignError> {
        let mut memory = Free::new(Space::Memory, memory);
        let mut ports = Free::new(Space::Io, ports);
        for slot in (0..SLOT_COUNT).filter_map(|slot| u8::try_from(slot).ok()) {
            if self.read32(slot, reg::VENDOR_ID) == u32::MAX {
                break;
            }
            let mut index = 0;
            while index < BAR_COUNT {
                let wish = self.measure(slot, index);
                if wish.size != 0 {
                    let base = match wish.space {
                        Space::Memory => memory.take(wish.size)?,
                        Space::Io => ports.take(wish.size)?,
                    };
                    self.place(slot, index, base, wish.registers);
                }
                index += wish.registers;
            }
            // A function without ports keeps that bit clear.
            let decode = command::MEMORY | command::IO;
            self.write_config(slot, 0, reg::COMMAND, &decode.to_le_bytes());
            let [_, pin, ..] = self.read32(slot, reg::INTERRUPT_LINE).to_le_bytes();
            if pin != 0 {
                self.write_config(slot, 0, reg::INTERRUPT_LINE, &[line(slot)]);
            }
        }
        Ok(())
    }

    /// What register `index` asks for (PCI 3.0 §6.2.5.1, implementation note).
    fn measure(&self, slot: u8, index: usize) -> Wish {
        let low = self.probe(slot, index);
        if low & IO_SPACE != 0 {
            // The upper half may be zeros.
            let size = ((low | 0xffff_0000) & !IO_FLAGS).wrapping_neg();
            return Wish { space: Space::Io, size: size.into(), registers: 1 };
        }
        if low & TYPE != TYPE_64_BIT {
            let size = (low & !FLAGS).wrapping_neg();
            return Wish { space: Space::Memory, size: size.into(), registers: 1 };
        }
        let high = self.probe(slot, index + 1);
        let mask = u64::from(high) << 32 | u64::from(low & !FLAGS);
        Wish { space: Space::Memory, size: mask.wrapping_neg(), registers: 2 }
    }

    fn probe(&self, slot: u8, index: usize) -> u32 {
        self.write_config(slot, 0, bar_offset(index), &u32::MAX.to_le_bytes());
        self.read32(slot, bar_offset(index))
    }

    fn place(&self, slot: u8, index: usize, base: u64, registers: usize) {
        let bytes = base.to_le_bytes();
        let offset = bar_offset(index);
        self.write_config(slot, 0, offset, &bytes[..4 * registers]);
    }

    fn read32(&self, slot: u8, offset: u16) -> u32 {
        let mut data = [0; 4];
        self.read_config(slot, 0, offset, &mut data);
        u32::from_le_bytes(data)
    }
}

fn bar_offset(index: usize) -> u16 {
    reg::BAR0 + 4 * u16::try_from(index).expect("at most BAR_COUNT")
}
