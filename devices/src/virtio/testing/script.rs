//! A fuzzer's bytes as what a driver does.

use std::io::{Read, Write};
use std::num::NonZeroU64;
use std::sync::Arc;

use super::{DriverQueue, Guest, PciRegisters, Registers, Segment};
use super::{read_only, write_desc, write_only};
use crate::backend::console::TestReader;
use crate::backend::disk::MemoryDisk;
use crate::backend::net::SocketNet;
use crate::backend::vsock::MemoryVsock;
use crate::virtio::balloon::{Balloon, BalloonOptions};
use crate::virtio::blk::{Blk, DiskOptions};
use crate::virtio::console::{Console, Size};
use crate::virtio::net::{Net, NetOptions};
use crate::virtio::rng::Rng;
use crate::virtio::spec::{desc, net};
use crate::virtio::transport::RingPart;
use crate::virtio::vsock::Vsock;

/// Where scripts put requests and indirect tables.
pub(super) const MEMORY: u64 = 0x10_0000;

/// Turns of the loop after each kick. A request that writes into its own
/// ring can keep a device busy for as long as the guest likes.
const TURNS: usize = 4;

/// Plays `data` to a block device. Whatever it does, the device can be reset.
pub fn play_blk(data: &[u8]) {
    let mut guest = Guest::mmio(blk());
    guest.start(u64::MAX);
    play(&mut guest, data, |_| ());
}

/// Plays `data` to a network device, among it packets from the host.
pub fn play_net(data: &[u8]) {
    let (backend, peer) = SocketNet::pair().expect("the host has descriptors");
    let mut guest = Guest::mmio(network(backend));
    guest.start(u64::MAX);
    // A packet that finds no room is lost, as are those from the guest.
    play(&mut guest, data, |packet| drop(peer.send(packet)));
}

/// Plays `data` as commands on the control queue of a network device with two
/// pairs of queues, packets between them. Each command is answered.
pub fn play_net_control(data: &[u8]) {
    const ANSWER: u64 = MEMORY + 0x1000;
    let (first, peer) = SocketNet::pair().expect("the host has descriptors");
    let (second, other) = SocketNet::pair().expect("the host has descriptors");
    let device = Net::new(vec![Box::new(first), Box::new(second)], &NetOptions::default());
    let mut guest = Guest::mmio(device.expect("the host has descriptors"));
    let mut script = Script(data);
    // Without several pairs, the control queue is another.
    let several = script.byte() & 1 != 0;
    let control = if several { 4 } else { 2 };
    guest.start(if several { u64::MAX } else { !net::F_MQ });
    while !script.0.is_empty() {
        let command = script.bytes();
        let (cut, room) = (usize::from(script.byte()).min(command.len()), script.byte() % 3);
        guest.write(MEMORY, &command);
        guest.write(ANSWER, &[0xee]);
        let len = |len: usize| u32::try_from(len).expect("a command of a few bytes");
        let segments = [
            read_only(MEMORY, len(cut)),
            read_only(MEMORY + u64::from(len(cut)), len(command.len() - cut)),
            write_only(ANSWER, room.into()),
        ];
        let head = guest.queues[control].add(&guest.mem, &segments);
        // A packet that finds no room is lost.
        let _ = (peer.send(&command), other.send(&command));
        for index in 0..4_u32 {
            let at = usize::try_from(index).expect("a small number");
            let flags = if index % 2 == 0 { desc::WRITE } else { 0 };
            guest.queues[at].add(&guest.mem, &[Segment { addr: ANSWER + 0x1000, len: 72, flags }]);
            guest.regs.notify(index);
        }
        guest.regs.notify(u32::try_from(control).expect("a small number"));
        guest.pump();
        let written = u32::from(room.min(1));
        assert_eq!(guest.used(control), Some((head.into(), written)));
        assert!(written == 0 || guest.read(ANSWER, 1)[0] <= net::ctrl::ERR);
        let mut mac = [0];
        guest.regs.read_config(0, &mut mac);
        assert_eq!(mac[0] & 1, 0, "the address is one of a group");
        while (0..4).any(|queue| guest.used(queue).is_some()) {}
    }
    assert!(!guest.is_reset_needed());
}

/// Plays `data` to a console, among it input, a terminal that changes its size
/// and a reader that reads now and then.
pub fn play_console(data: &[u8]) {
    let reader = TestReader::new(8 << 10).expect("the host has descriptors");
    let size = Size { columns: 80, rows: 25 };
    let device = Console::new(Arc::clone(reader.output()), Some(size));
    let device = device.expect("the host has descriptors");
    let (input, handle) = (device.input(), device.handle());
    let mut guest = Guest::mmio(device);
    guest.start(u64::MAX);
    play(&mut guest, data, |bytes| match bytes {
        [0xc0..=0xff, ..] => drop(reader.read()),
        [columns @ 0x80..=0xbf, rows, ..] => {
            handle.resize(Size { columns: u16::from(*columns), rows: u16::from(*rows) });
        }
        bytes => assert!(input.receive(bytes) <= bytes.len()),
    });
    handle.close();
}

/// Plays `data` to an entropy device, whose bytes are the same in every run.
pub fn play_rng(data: &[u8]) {
    let mut device = Rng::new(NonZeroU64::MAX).expect("the host has descriptors");
    device.take_from(|memory| {
        memory.copy_from(&vec![0x5a_u8; memory.len()]);
        Ok(())
    });
    let mut guest = Guest::mmio(device);
    guest.start(u64::MAX);
    play(&mut guest, data, |_| ());
}

/// Plays `data` to a socket device, among it what programs of the host do.
pub fn play_vsock(data: &[u8]) {
    let (backend, host) = MemoryVsock::new(u32::MAX).expect("the host has descriptors");
    let device = Vsock::new(3, Box::new(backend)).expect("the host has descriptors");
    let mut guest = Guest::mmio(device);
    guest.start(u64::MAX);
    let mut streams = Vec::new();
    play(&mut guest, data, |bytes| {
        streams.extend(host.accepted().into_iter().map(|(_, stream)| stream));
        let (what, bytes) = bytes.split_first().unwrap_or((&0, &[]));
        match what % 4 {
            0 => streams.truncate(usize::from(what / 4)),
            1 if streams.len() < 64 => {
                let client = host.connect().expect("the host has descriptors");
                streams.push(client);
            }
            _ => {}
        }
        if let Some(mut stream) = streams.last() {
            // Neither blocks; what does not fit, or comes from nobody, is lost.
            let _ = stream.write(bytes);
            let _ = stream.read(&mut [0; 256]);
        }
    });
}

/// Plays `data` to a balloon with all its queues, among it targets and
/// questions of the host.
pub fn play_balloon(data: &[u8]) {
    let options = BalloonOptions { size: 1 << 20, deflate_on_oom: true, free_page_reporting: true };
    let device = Balloon::new(options).expect("the host has descriptors");
    let handle = device.handle();
    let mut guest = Guest::mmio(device);
    guest.start(u64::MAX);
    play(&mut guest, data, |bytes| match bytes.len() {
        0 => handle.ask_for_stats(),
        len => handle.set_target(u64::try_from(len).expect("a byte's worth") << 12),
    });
}

/// Plays `data` to the registers of a device that no driver has touched.
pub fn play_mmio(data: &[u8]) {
    match data.split_first() {
        Some((0x80.., data)) => {
            let (backend, _peer) = SocketNet::pair().expect("the host has descriptors");
            play(&mut Guest::mmio(network(backend)), data, |_| ());
        }
        Some((_, data)) => play(&mut Guest::mmio(blk()), data, |_| ()),
        None => {}
    }
}

/// Plays `data` to a PCI function: its windows, with MSI-X among them, and
/// its configuration space.
pub fn play_function(data: &[u8]) {
    match data.split_first() {
        Some((0x80.., data)) => {
            let (backend, _peer) = SocketNet::pair().expect("the host has descriptors");
            play(&mut Guest::<PciRegisters<true>>::new(network(backend)), data, |_| ());
        }
        Some((_, data)) => play(&mut Guest::<PciRegisters<false>>::new(blk()), data, |_| ()),
        None => {}
    }
}

fn blk() -> Blk {
    let disk = MemoryDisk::new(vec![0x42; 64 * 512], false);
    let options = DiskOptions { serial: "disk".into(), ..DiskOptions::default() };
    Blk::on_loop(Arc::new(disk), &options).expect("the host has descriptors")
}

fn network(backend: SocketNet) -> Net {
    Net::new(vec![Box::new(backend)], &NetOptions::default()).expect("the host has descriptors")
}

/// Bytes to take numbers from; zeros when they are used up.
pub(super) struct Script<'d>(pub(super) &'d [u8]);

impl Script<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let len = self.0.len().min(N);
        bytes[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        bytes
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes.to_vec()
    }

    /// Any address, most of them in the same few pages.
    fn addr(&mut self) -> u64 {
        match self.byte() {
            0 => u64::from_le_bytes(self.take()),
            1 => 0x40_0000 - u64::from(self.byte()),
            2 => 0x1_0000 + u64::from(self.word()),
            _ => MEMORY + u64::from(self.word()),
        }
    }

    /// Any buffer, most of them short.
    fn segment(&mut self) -> Segment {
        let (addr, flags) = (self.addr(), u16::from(self.byte() & 7));
        let len = match self.byte() {
            0 => u32::from_le_bytes(self.take()),
            1..=63 => 16,
            64..=127 => 513,
            _ => u32::from(self.word()),
        };
        Segment { addr, len, flags }
    }
}

pub(super) fn play<R: Registers>(guest: &mut Guest<R>, data: &[u8], mut host: impl FnMut(&[u8])) {
    let mut script = Script(data);
    while !script.0.is_empty() {
        match script.byte() % 12 {
            0 => guest.start(u64::from_le_bytes(script.take()) | 1 << 32),
            1 => guest.regs.set_status(script.byte()),
            2 => host(&script.bytes()),
            3 => {
                let bytes = script.bytes();
                guest.write(MEMORY + u64::from(script.word()), &bytes);
            }
            4 => {
                let (table, index) = (MEMORY + u64::from(script.byte()) * 256, script.byte());
                let next = u16::from(script.byte());
                let segment = script.segment();
                write_desc(&guest.mem, table, u16::from(index), segment, next);
            }
            5 | 6 => access(guest, &mut script),
            7 | 8 => {
                let what = script.byte();
                match what {
                    ..0xe0 => {
                        let queue = which(guest, what);
                        guest.regs.notify(queue);
                    }
                    _ => reset_queue(guest, what),
                }
                guest.turn(TURNS);
            }
            what => on_queue(guest, &mut script, what),
        }
    }
    guest.regs.set_status(0);
    guest.pump();
    guest.start(u64::MAX);
    assert!(!guest.is_reset_needed());
}

/// One access of any size to the registers.
fn access<R: Registers>(guest: &mut Guest<R>, script: &mut Script<'_>) {
    let (kind, offsets) = (script.byte(), R::offsets());
    let offset = offsets[usize::from(script.word()) % offsets.len()];
    let len = match kind {
        ..0xa0 => 4,
        0xa0..0xc0 => 1,
        0xc0..0xe0 => 2,
        _ => usize::from(kind % 8) + 1,
    };
    let mut value: [u8; 8] = script.take();
    let (bus, _) = guest.regs.bus();
    if kind & 1 == 0 {
        bus.write(offset, &value[..len]);
    } else {
        bus.read(offset, &mut value[..len]);
    }
    guest.turn(TURNS);
}

/// Any queue, or one of the first that there is not.
fn which<R: Registers>(guest: &Guest<R>, number: u8) -> u32 {
    u32::from(number) % u32::try_from(guest.queues.len()).expect("a few queues").max(3)
}

/// Resets a queue alone; if `what` is odd, it is set up again.
fn reset_queue<R: Registers>(guest: &mut Guest<R>, what: u8) {
    let index = which(guest, what >> 1);
    guest.regs.reset_queue(index);
    let known = usize::try_from(index).ok().and_then(|i| guest.queues.get_mut(i));
    if let Some(queue) = known.filter(|_| what & 1 != 0) {
        queue.clear(&guest.mem);
        let queue = queue.clone();
        guest.regs.set_queue_size(index, queue.size.into());
        for (part, address) in [
            (RingPart::Desc, queue.desc),
            (RingPart::Driver, queue.driver),
            (RingPart::Device, queue.device),
        ] {
            guest.regs.set_queue_part(index, part, address);
        }
        guest.regs.set_queue_ready(index, true);
    }
}

/// Something done to a queue, if there are queues already.
fn on_queue<R: Registers>(guest: &mut Guest<R>, script: &mut Script<'_>, what: u8) {
    let index = script.byte();
    let count = guest.queues.len();
    let mem = Arc::clone(&guest.mem);
    let Some(index) = usize::from(index).checked_rem(count) else { return };
    let queue: &mut DriverQueue = &mut guest.queues[index];
    match what {
        9 => {
            let index = script.word() % queue.size;
            let next = script.word();
            queue.write_desc(&mem, index, script.segment(), next);
        }
        10 => match script.byte() {
            0 => queue.set_avail_index(&mem, script.word()),
            1 => queue.set_used_event(&mem, script.word()),
            _ => queue.make_available(&mem, script.word()),
        },
        _ => {
            let count = usize::from(script.byte() % 9) + 1;
            let segments: Vec<_> = (0..count).map(|_| script.segment()).collect();
            queue.add_anyway(&mem, &segments);
        }
    }
}
