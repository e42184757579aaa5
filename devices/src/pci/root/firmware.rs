use vmm_core::bus::AddrRange;

use super::{Root, SLOT_COUNT};
use crate::pci::BAR_COUNT;
use crate::pci::spec::{command, reg};

/// Bits 2 and 1 of a base address register: 64-bit.
const TYPE: u32 = 0b110;
const TYPE_64_BIT: u32 = 0b100;
const FLAGS: u32 = 0b1111;

/// The functions' windows do not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PCI devices ask for more memory space than {aperture} has")]
pub struct AssignError {
    /// The addresses there are.
    pub aperture: AddrRange,
}

impl Root {
    /// Does what a firmware does before it starts a system: gives each window
    /// of each function an address in `aperture`, which must lie below 4 GiB,
    /// lets them be decoded, and notes `line` of the slot as the interrupt
    /// line of functions with a pin.
    ///
    /// # Errors
    /// [`AssignError`] if the aperture is too small.
    pub fn assign(&self, aperture: AddrRange, line: impl Fn(u8) -> u8) -> Result<(), AssignError> {
        let mut free = aperture.base();
        for slot in (0..SLOT_COUNT).filter_map(|slot| u8::try_from(slot).ok()) {
            if self.read32(slot, reg::VENDOR_ID) == u32::MAX {
                break;
            }
            let mut index = 0;
            while index < BAR_COUNT {
                let (size, registers) = self.measure(slot, index);
                if size != 0 {
                    let window = free
                        .checked_next_multiple_of(size)
                        .and_then(|base| AddrRange::new(base, size))
                        .filter(|window| window.last() <= aperture.last())
                        .ok_or(AssignError { aperture })?;
                    self.place(slot, index, window.base(), registers);
                    free = window.last() + 1;
                }
                index += registers;
            }
            self.write_config(slot, 0, reg::COMMAND, &command::MEMORY.to_le_bytes());
            let [_, pin, ..] = self.read32(slot, reg::INTERRUPT_LINE).to_le_bytes();
            if pin != 0 {
                self.write_config(slot, 0, reg::INTERRUPT_LINE, &[line(slot)]);
            }
        }
        Ok(())
    }

    /// The size of the window at register `index`, 0 if there is none, and
    /// how many registers it takes (PCI 3.0 §6.2.5.1, implementation note).
    fn measure(&self, slot: u8, index: usize) -> (u64, usize) {
        let low = self.probe(slot, index);
        if low & TYPE != TYPE_64_BIT {
            return (u64::from((low & !FLAGS).wrapping_neg()), 1);
        }
        let high = self.probe(slot, index + 1);
        let mask = u64::from(high) << 32 | u64::from(low & !FLAGS);
        (mask.wrapping_neg(), 2)
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
