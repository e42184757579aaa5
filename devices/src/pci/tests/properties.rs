use std::io;

use proptest::prelude::*;
use vmm_core::irq::MsiMessage;

use crate::pci::testing::{Messages, play_pci};
use crate::pci::{Bar, ConfigSpace, Identity, MsixTable};

#[derive(Clone, Debug)]
enum Act {
    Control(u16),
    Write { entry: u8, word: u8, value: u32 },
    Signal(u8),
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        prop_oneof![Just(0_u16), Just(0x8000), Just(0xc000), any::<u16>()].prop_map(Act::Control),
        (0..3_u8, 0..4_u8, 0..4_u32).prop_map(|(entry, word, value)| Act::Write {
            entry,
            word,
            value
        }),
        (0..3_u8).prop_map(Act::Signal),
        Just(Act::Clear),
    ]
}

/// What the specification says of one entry.
#[derive(Clone, Copy)]
struct Model {
    words: [u32; 4],
    pending: bool,
    sent: u64,
}

impl Model {
    fn settle(&mut self, control: u16) {
        let open = control & 0xc000 == 0x8000 && self.words[3] & 1 == 0;
        if open && self.pending {
            self.sent += 1;
        }
        self.pending &= control & 0x8000 != 0 && !open;
    }
}

proptest! {
    #[test]
    fn msix_does_what_its_model_does(acts in proptest::collection::vec(act(), 1..80)) {
        let messages = Messages::default();
        let table = MsixTable::new(3, &messages).map_err(|e: io::Error| TestCaseError::fail(e.to_string()))?;
        let mut control = 0;
        let mut model = [Model { words: [0, 0, 0, 1], pending: false, sent: 0 }; 3];
        for act in acts {
            match act {
                Act::Control(value) => {
                    table.set_control(value);
                    control = value;
                }
                Act::Write { entry, word, value } => {
                    let offset = u64::from(entry) * 16 + u64::from(word) * 4;
                    table.write_table(offset, &value.to_le_bytes());
                    let kept = [!3, u32::MAX, u32::MAX, 1][usize::from(word)];
                    model[usize::from(entry)].words[usize::from(word)] = value & kept;
                }
                Act::Signal(entry) => {
                    prop_assert_eq!(table.signal(entry.into()), control & 0x8000 != 0);
                    model[usize::from(entry)].pending |= control & 0x8000 != 0;
                }
                Act::Clear => {
                    table.clear_pending();
                    model.iter_mut().for_each(|entry| entry.pending = false);
                }
            }
            model.iter_mut().for_each(|entry| entry.settle(control));
            let mut bits = [0];
            table.read_pba(0, &mut bits);
            for (index, entry) in model.iter().enumerate() {
                prop_assert_eq!(bits[0] >> index & 1 != 0, entry.pending);
                prop_assert_eq!(messages.sent(index), entry.sent);
                let [low, high, data, mask] = entry.words;
                let address = u64::from(high) << 32 | u64::from(low);
                if control & 0x8000 == 0 {
                    prop_assert_eq!(messages.routed(index), None);
                } else if control & 0x4000 == 0 && mask == 0 {
                    prop_assert_eq!(messages.routed(index), Some(MsiMessage { address, data }));
                }
            }
        }
    }

    #[test]
    fn a_window_is_aligned_to_its_size_whatever_is_written(
        shift in 4..32_u32,
        writes in proptest::collection::vec((0..64_u16, any::<u32>(), 1..=4_usize), 1..40),
    ) {
        let mut space = ConfigSpace::new(Identity {
            vendor: 1, device: 2, revision: 3, class: [4, 5, 6],
            subsystem_vendor: 7, subsystem: 8, has_pin: true,
        });
        space.add_bar(0, Bar::memory32(1 << shift));
        space.add_bar(1, Bar::memory64(1 << (2 * shift - 4)));
        for (offset, value, width) in writes {
            space.write(offset, &value.to_le_bytes()[..width]);
            let enabled = space.command() & 2 != 0;
            for (index, size) in [(0, 1_u64 << shift), (1, 1 << (2 * shift - 4))] {
                let window = space.windows()[index];
                prop_assert_eq!(window.is_some(), enabled);
                if let Some(window) = window {
                    prop_assert_eq!((window.range.len(), window.range.base() % size), (size, 0));
                }
            }
            prop_assert_eq!(space.read32(0), 0x0002_0001);
            prop_assert_eq!(space.read32(8), 0x0405_0603);
        }
    }

    #[test]
    fn a_bus_survives_every_script(script in proptest::collection::vec(any::<u8>(), 0..800)) {
        play_pci(&script);
    }
}
