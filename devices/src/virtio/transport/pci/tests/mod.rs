mod detour;

use std::sync::Arc;

use vmm_core::bus::{BusDevice, Knock};

use crate::backend::disk::MemoryDisk;
use crate::backend::net::SocketNet;
use crate::pci::Function;
use crate::pci::spec::{command, reg, status as pci_status};
use crate::virtio::blk::{Blk, DiskOptions};
use crate::virtio::net::{Net, NetOptions};
use crate::virtio::spec::{feature, status};
use crate::virtio::testing::*;
use crate::virtio::transport::RingPart;

const NO_VECTOR: u16 = 0xffff;
/// A buffer with no header: the device answers at once, and reads nothing.
const REQUEST: Segment = Segment { addr: 0x10_0000, len: 1, flags: 2 };

fn blk() -> Blk {
    let disk = MemoryDisk::new(vec![0; 4096], false);
    Blk::on_loop(Arc::new(disk), &DiskOptions::default()).unwrap()
}

/// A guest with a block device, live, whose vector of queue 0 is 1.
fn live<const MSIX: bool>() -> Guest<PciRegisters<MSIX>> {
    let mut guest = Guest::<PciRegisters<MSIX>>::new(blk());
    guest.start(!feature::EVENT_IDX);
    guest.regs.set(22, &[0, 0]);
    guest
}

/// Has the device use a buffer of queue 0.
fn use_one<const MSIX: bool>(guest: &mut Guest<PciRegisters<MSIX>>) {
    guest.queues[0].add(&guest.mem, &[REQUEST]);
    guest.kick(0);
    assert!(guest.used(0).is_some());
}

fn config<const MSIX: bool, const N: usize>(
    guest: &mut Guest<PciRegisters<MSIX>>,
    offset: u16,
) -> [u8; N] {
    let mut data = [0; N];
    for (at, chunk) in (0..).zip(data.chunks_mut(4)) {
        guest.regs.bus.0.read_config(offset + 4 * at, chunk);
    }
    data
}

/// Offset and id of each capability.
fn capabilities(guest: &mut Guest<PciRegisters<true>>) -> Vec<(u16, u8)> {
    let [mut at] = config(guest, reg::CAPABILITIES);
    let mut all = Vec::new();
    while at != 0 {
        let [id, next] = config(guest, at.into());
        all.push((u16::from(at), id));
        at = next;
    }
    all
}

/// Where the capability of virtio `kind` lies.
fn virtio_capability(guest: &mut Guest<PciRegisters<true>>, kind: u8) -> u16 {
    let all = capabilities(guest);
    let is_it = |(at, id): &(u16, u8)| *id == 9 && config::<true, 4>(guest, *at)[3] == kind;
    all.into_iter().find(is_it).expect("the function has that capability").0
}

#[test]
fn the_function_says_what_it_is() {
    let mut disk = Guest::<PciRegisters<true>>::new(blk());
    assert_eq!(config(&mut disk, 0), [0xf4, 0x1a, 0x42, 0x10]);
    assert_eq!(config(&mut disk, 8), [1, 0, 0x80, 1]);
    assert_eq!(config(&mut disk, 0x2c), [0xf4, 0x1a, 0x42, 0x10]);
    assert_eq!(config(&mut disk, 0x3d), [1]);
    let (backend, _peer) = SocketNet::pair().unwrap();
    let mut net = Guest::<PciRegisters<true>>::new(
        Net::new(vec![Box::new(backend)], &NetOptions::default()).unwrap(),
    );
    assert_eq!(config(&mut net, 0), [0xf4, 0x1a, 0x41, 0x10]);
    assert_eq!(config(&mut net, 8), [1, 0, 0, 2]);
    // To the guest, to the host, and for commands.
    assert_eq!(net.regs.get16(18), 3);
}

#[test]
fn every_structure_has_its_capability() {
    let mut guest = Guest::new(blk());
    let word = |value: u32| value.to_le_bytes();
    let all = [
        // The port comes first: it is what a driver is to prefer.
        (1, 0, 0, 60, None),
        (2, 2, 0, 2, Some(0)),
        (2, 0, 0x3000, 4, Some(4)),
        (3, 0, 0x1000, 1, None),
        (4, 0, 0x2000, 0x1000, None),
    ];
    let found = capabilities(&mut guest);
    let found = found.iter().filter(|(_, id)| *id == 9).map(|(at, _)| *at);
    for ((kind, bar, offset, len, stride), at) in all.into_iter().zip(found) {
        let capability: [u8; 20] = config(&mut guest, at);
        let size = if stride.is_some() { 20 } else { 16 };
        assert_eq!(capability[2..8], [size, kind, bar, 0, 0, 0]);
        assert_eq!(capability[8..16], [word(offset), word(len)].concat());
        if let Some(stride) = stride {
            assert_eq!(capability[16..], word(stride));
        }
    }
    let at = virtio_capability(&mut guest, 5);
    assert_eq!(config::<true, 4>(&mut guest, at)[2..], [20, 5]);
    // Two vectors: message control holds one less.
    let (msix, _) = capabilities(&mut guest)[0];
    assert_eq!(config::<true, 12>(&mut guest, msix)[2..], [1, 0x80, 1, 0, 0, 0, 1, 0x10, 0, 0]);
}

#[test]
fn a_vector_that_does_not_exist_reads_back_as_none() {
    let mut guest = Guest::<PciRegisters<true>>::new(blk());
    for field in [16, 26] {
        assert_eq!(guest.regs.get16(field), NO_VECTOR);
        for (vector, kept) in [(0, 0), (1, 1), (2, NO_VECTOR), (0x8000, NO_VECTOR)] {
            guest.regs.set(field, &u16::to_le_bytes(vector));
            assert_eq!(guest.regs.get16(field), kept);
        }
        guest.regs.set(field, &1_u16.to_le_bytes());
        guest.regs.set(field, &NO_VECTOR.to_le_bytes());
        assert_eq!(guest.regs.get16(field), NO_VECTOR);
    }
    // A queue that does not exist has none either.
    guest.regs.set(22, &1_u16.to_le_bytes());
    guest.regs.set(26, &1_u16.to_le_bytes());
    assert_eq!(guest.regs.get16(26), NO_VECTOR);
    assert_eq!(guest.regs.get16(24), 0);
    assert_eq!(guest.regs.get16(30), 0);
}

#[test]
fn resets_take_the_vectors() {
    let mut guest = live::<true>();
    assert_eq!((guest.regs.get16(16), guest.regs.get16(26)), (0, 1));
    guest.regs.reset_queue(0);
    assert_eq!((guest.regs.get16(16), guest.regs.get16(26)), (0, NO_VECTOR));
    guest.regs.set_status(0);
    assert_eq!(guest.regs.get16(16), NO_VECTOR);
}

#[test]
fn each_event_has_its_message() {
    let mut guest = live::<true>();
    use_one(&mut guest);
    assert_eq!(guest.regs.messages.take(), [1]);
    guest.queues[0].make_available(&guest.mem, 0xffff);
    guest.kick(0);
    assert_eq!(guest.regs.messages.take(), [0]);
    assert_eq!(guest.regs.take_interrupts(), 0);
}

#[test]
fn an_event_without_a_vector_is_silent() {
    let mut guest = live::<true>();
    guest.regs.set(26, &NO_VECTOR.to_le_bytes());
    use_one(&mut guest);
    assert_eq!(guest.regs.messages.take(), [0_u32; 0]);
    assert_eq!(guest.regs.take_interrupts(), 0);
}

#[test]
fn a_masked_message_waits_for_its_mask_to_go() {
    let mut guest = live::<true>();
    guest.regs.set_entry(1, 0xfee0_0000, true);
    use_one(&mut guest);
    use_one(&mut guest);
    assert_eq!(guest.regs.messages.take(), [0_u32; 0]);
    assert_eq!(guest.regs.pending(), 0b10);
    guest.regs.set_entry(1, 0xfee0_0000, false);
    assert_eq!(guest.regs.messages.take(), [1]);
    assert_eq!(guest.regs.pending(), 0);
    // Nothing is left to wait for after a reset.
    guest.regs.set_entry(1, 0xfee0_0000, true);
    use_one(&mut guest);
    guest.regs.set_status(0);
    assert_eq!(guest.regs.pending(), 0);
}

#[test]
fn the_pin_is_used_until_messages_are_on() {
    let mut guest = live::<false>();
    use_one(&mut guest);
    assert!(guest.line.is_high());
    let [.., status] = config::<false, 3>(&mut guest, reg::COMMAND);
    assert_ne!(u16::from(status) & pci_status::INTERRUPT, 0);
    let held = command::MEMORY | command::INTX_DISABLE;
    guest.regs.bus.configure(reg::COMMAND, &held.to_le_bytes());
    assert!(!guest.line.is_high());
    let [.., status] = config::<false, 3>(&mut guest, reg::COMMAND);
    assert_ne!(u16::from(status) & pci_status::INTERRUPT, 0, "held back, not gone");
    guest.regs.bus.configure(reg::COMMAND, &command::MEMORY.to_le_bytes());
    assert!(guest.line.is_high());
    guest.regs.bus.configure(0x42, &0x8000_u16.to_le_bytes());
    assert!(!guest.line.is_high());
}

#[test]
fn reading_the_interrupt_status_acknowledges_it() {
    let mut guest = live::<false>();
    use_one(&mut guest);
    for (told, high) in [(1, false), (0, false)] {
        assert_eq!(guest.regs.take_interrupts(), told);
        assert_eq!(guest.line.is_high(), high);
    }
    let [.., status] = config::<false, 3>(&mut guest, reg::COMMAND);
    assert_eq!(u16::from(status) & pci_status::INTERRUPT, 0);
}

#[test]
fn only_a_one_enables_a_queue() {
    let mut guest = Guest::<PciRegisters<false>>::new(blk());
    guest.negotiate(u64::MAX);
    guest.set_up_queues(8);
    guest.regs.set(22, &[0, 0]);
    for value in [0, 2, 0x101, 0xffff_u16] {
        guest.regs.set(28, &value.to_le_bytes());
        assert_eq!(guest.regs.get16(28), 1, "{value}");
    }
    guest.negotiate(u64::MAX);
    guest.regs.set_queue_part(0, RingPart::Desc, 0x1_0000);
    guest.regs.set_queue_part(0, RingPart::Driver, 0x2_0000);
    guest.regs.set_queue_part(0, RingPart::Device, 0x3_0000);
    for (value, enabled) in [(0, 0), (2, 0), (0xffff, 0), (1_u16, 1)] {
        guest.regs.set(28, &value.to_le_bytes());
        assert_eq!(guest.regs.get16(28), enabled, "{value}");
    }
}

#[test]
fn fields_have_one_width() {
    let mut guest = live::<false>();
    let read = |guest: &mut Guest<PciRegisters<false>>, offset, len| {
        let mut data = vec![0xaa; len];
        guest.regs.bus.read(offset, &mut data);
        data
    };
    for (offset, width) in [(20, 1), (24, 2), (28, 2), (32, 4), (40, 4), (48, 4)] {
        for len in 1..=8 {
            let data = read(&mut guest, offset, len);
            assert_eq!(data != vec![0; len], len == width, "{len} bytes at {offset}");
        }
    }
    for len in 2..=8 {
        guest.regs.set(20, &vec![0; len]);
    }
    assert_ne!(guest.regs.status() & status::DRIVER_OK, 0);
}

#[test]
fn doorbells_follow_the_window() {
    let mut guest = live::<false>();
    let place = |base: u64| vec![Knock::Memory(base + 0x3000)];
    assert_eq!(guest.doorbells.attached(), place(0xe000_0000));
    guest.regs.move_to(0xe800_0000);
    assert_eq!(guest.doorbells.attached(), place(0xe800_0000));
    use_one(&mut guest);
    guest.regs.bus.configure(reg::COMMAND, &[0, 0]);
    assert_eq!(guest.doorbells.attached(), []);
    guest.regs.move_to(0xf000_0000);
    guest.regs.bus.configure(reg::COMMAND, &command::MEMORY.to_le_bytes());
    assert_eq!(guest.doorbells.attached(), place(0xf000_0000));
    use_one(&mut guest);
    // The last window of the address space, and one at its start.
    for base in [0xffff_c000_u32, 0] {
        guest.regs.move_to(base);
        assert_eq!(guest.doorbells.attached(), place(base.into()));
    }
}

#[test]
fn doorbells_follow_the_port() {
    let mut guest = live::<true>();
    assert_eq!(guest.doorbells.attached(), [Knock::Port(0xc040, 0)]);
    use_one(&mut guest);
    for (base, port) in [(0xc080_u32, 0xc080), (u32::MAX, 0xfffc), (0, 0)] {
        guest.regs.bus.configure(reg::BAR0 + 8, &base.to_le_bytes());
        assert_eq!(guest.doorbells.attached(), [Knock::Port(port, 0)]);
        use_one(&mut guest);
    }
    // Without ports, memory is left, and without both nothing.
    guest.regs.bus.configure(reg::COMMAND, &command::MEMORY.to_le_bytes());
    assert_eq!(guest.doorbells.attached(), [Knock::Memory(0xe000_3000)]);
    use_one(&mut guest);
    guest.regs.bus.configure(reg::COMMAND, &[0, 0]);
    assert_eq!(guest.doorbells.attached(), []);
}

#[test]
fn doorbells_move_to_where_the_driver_knocks() {
    let mut guest = live::<true>();
    let (port, memory) = ([Knock::Port(0xc040, 0)], [Knock::Memory(0xe000_3000)]);
    for _ in 0..2 {
        guest.queues[0].add(&guest.mem, &[REQUEST]);
        guest.regs.bus.write(0x3000, &[0, 0]);
        guest.pump();
        assert!(guest.used(0).is_some());
        assert_eq!(guest.doorbells.attached(), memory);
        // This driver knocks at the port.
        use_one(&mut guest);
        assert_eq!(guest.doorbells.attached(), port);
    }
}

#[test]
fn the_port_takes_two_bytes_at_its_start_and_gives_none() {
    let mut guest = live::<true>();
    guest.regs.bus.configure(reg::COMMAND, &command::MEMORY.to_le_bytes());
    guest.queues[0].add(&guest.mem, &[REQUEST]);
    for (offset, data) in [(0, &[0][..]), (0, &[0; 4]), (1, &[0; 2]), (2, &[0; 2]), (0, &[1, 0])] {
        guest.regs.bus.0.write_bar(2, offset, data);
    }
    guest.pump();
    assert!(guest.used(0).is_none());
    let mut data = [0xaa; 4];
    guest.regs.bus.0.read_bar(2, 0, &mut data);
    assert_eq!(data, [0; 4]);
    guest.regs.bus.0.write_bar(2, 0, &[0, 0]);
    guest.pump();
    assert!(guest.used(0).is_some());
}

#[test]
fn configuration_space_is_dumped_without_effect() {
    let mut guest = Guest::<PciRegisters<false>>::new(blk());
    guest.start(!feature::EVENT_IDX);
    use_one(&mut guest);
    let _: [u8; 256] = config(&mut guest, 0);
    assert_eq!(guest.regs.take_interrupts(), 1);
}
