use super::*;

/// A driver that reaches the windows through configuration space.
struct Detour {
    guest: Guest<PciRegisters<true>>,
    at: u16,
}

impl Detour {
    fn new() -> Self {
        let mut guest = live::<true>();
        let at = virtio_capability(&mut guest, 5);
        Self { guest, at }
    }

    fn aim(&mut self, bar: u8, offset: u32, len: u32) {
        self.guest.regs.bus.configure(self.at + 4, &[bar]);
        self.guest.regs.bus.configure(self.at + 8, &offset.to_le_bytes());
        self.guest.regs.bus.configure(self.at + 12, &len.to_le_bytes());
    }

    fn read(&mut self, bar: u8, offset: u32, len: u32) -> u32 {
        self.aim(bar, offset, len);
        u32::from_le_bytes(config(&mut self.guest, self.at + 16))
    }

    fn write(&mut self, bar: u8, offset: u32, len: u32, value: u32) {
        self.aim(bar, offset, len);
        self.guest.regs.bus.configure(self.at + 16, &value.to_le_bytes());
    }
}

#[test]
fn the_windows_are_reached_through_configuration_space() {
    let mut detour = Detour::new();
    assert_eq!(detour.read(0, 20, 1) & 0xff, 15);
    assert_eq!(detour.read(0, 24, 2) & 0xffff, 256);
    assert_eq!(detour.read(0, 0x2000, 4), 8, "the disk's capacity");
    assert_eq!(detour.read(1, 16, 4), 0xfee0_0000);
    detour.guest.queues[0].add(&detour.guest.mem, &[REQUEST]);
    detour.write(0, 0x3000, 2, 0);
    detour.guest.pump();
    assert!(detour.guest.used(0).is_some());
    detour.write(0, 20, 1, 0);
    assert_eq!(detour.guest.regs.status(), 0);
}

#[test]
fn a_detour_that_leads_nowhere_does_nothing() {
    let mut detour = Detour::new();
    let marker = 0x5a5a_5a5a;
    for (bar, offset, len) in [
        (0, 20, 0),
        (0, 20, 3),
        (0, 20, 8),
        (0, 20, u32::MAX),
        (0, 21, 2),
        (0, 18, 4),
        (0, 0x4000, 4),
        (0, 0xffff_fffc, 4),
        (1, 0x2000, 4),
        (2, 4, 4),
        (3, 0, 4),
        (6, 0, 4),
        (0xff, 0, 4),
    ] {
        detour.write(bar, offset, len, marker);
        assert_eq!(detour.read(bar, offset, len), marker, "{bar} {offset:#x} {len}");
    }
    assert_eq!(detour.guest.regs.status(), 15);
}
