use std::sync::Arc;

use proptest::prelude::*;
use vmm_core::event::RequestSender;

use super::state::{RX, TX};
use super::*;
use crate::backend::console::{InputPort, Sink, TestReader, Writer};
use crate::virtio::spec::console::F_SIZE;
use crate::virtio::spec::{ID_CONSOLE, feature, isr};
use crate::virtio::testing::*;

const TEXT: u64 = 0x10_0000;
const BUFFERS: u64 = 0x20_0000;
/// What the reader leaves unread before the output is busy.
const ROOM: usize = 8 << 10;

struct Bench {
    guest: Guest<MmioRegisters>,
    reader: TestReader,
    input: Arc<dyn InputPort>,
    handle: Handle,
}

impl Bench {
    fn new() -> Self {
        Self::sized(None)
    }

    fn sized(size: Option<Size>) -> Self {
        let reader = TestReader::new(ROOM).unwrap();
        let device = Console::new(Arc::clone(reader.output()), size).unwrap();
        let (input, handle) = (device.input(), device.handle());
        let mut guest = Guest::mmio(device);
        guest.start(u64::MAX);
        Self { guest, reader, input, handle }
    }

    /// Puts `text` into memory and makes it available as chains of these
    /// lengths.
    fn send(&mut self, text: &[u8], lens: &[usize]) {
        self.queue(text, lens);
        self.guest.kick(1);
    }

    /// The same, and the device does not hear of it.
    fn queue(&mut self, text: &[u8], lens: &[usize]) {
        self.guest.write(TEXT, text);
        let mut addr = TEXT;
        for len in lens {
            let segment = read_only(addr, u32::try_from(*len).unwrap());
            self.guest.queues[TX].add(&self.guest.mem, &[segment]);
            addr += u64::try_from(*len).unwrap();
        }
    }

    /// How many texts the device has given back.
    fn taken(&mut self) -> usize {
        std::iter::from_fn(|| self.guest.used(TX)).count()
    }

    /// Reads until nothing more comes.
    fn read(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        loop {
            let bytes = self.reader.read();
            if bytes.is_empty() {
                return got;
            }
            got.extend(bytes);
            self.guest.pump();
        }
    }

    /// Gives the device buffers of these lengths, 4 KiB apart.
    fn offer(&mut self, lens: &[u32]) {
        for len in lens {
            let queue = &mut self.guest.queues[RX];
            let head = queue.add(&self.guest.mem, &[write_only(0, 0)]);
            let buffer = write_only(BUFFERS + u64::from(head) * 0x1000, *len);
            queue.write_desc(&self.guest.mem, head, buffer, 0);
        }
        self.guest.kick(0);
    }

    /// What has arrived, buffer by buffer.
    fn arrived(&mut self) -> Vec<Vec<u8>> {
        let mut got = Vec::new();
        while let Some((head, len)) = self.guest.used(RX) {
            let at = BUFFERS + u64::from(head) * 0x1000;
            got.push(self.guest.read(at, usize::try_from(len).unwrap()));
        }
        got
    }

    fn is_ready(&self) -> bool {
        self.input.ready().read().is_ok()
    }
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|i| (i % 251).to_le_bytes()[0]).collect()
}

/// Whether the output was closed, so that its writer would end.
fn is_closed(reader: &TestReader) -> bool {
    assert!(reader.read().is_empty(), "something is left");
    reader.output().is_closed()
}

#[test]
fn it_is_a_console_with_two_queues_and_nothing_more() {
    let mut bench = Bench::new();
    let regs = &mut bench.guest.regs;
    assert_eq!((regs.device_id(), regs.device_features()), (ID_CONSOLE, feature::COMMON));
    assert_eq!([0, 1, 2].map(|queue| regs.queue_max(queue)), [64, 64, 0]);
}

#[test]
fn text_comes_out_and_its_buffers_are_given_back() {
    let mut bench = Bench::new();
    bench.send(b"hello, world", &[5, 0, 7]);
    assert_eq!(bench.read(), b"hello, world");
    assert_eq!(bench.taken(), 3);
    assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
}

#[test]
fn an_unread_output_leaves_text_in_the_queue_and_loses_none() {
    let mut bench = Bench::new();
    let text = pattern(60 * 1000);
    bench.send(&text, &[1000; 60]);
    // Nobody reads: what is beyond its room is not taken.
    assert_eq!(bench.taken(), ROOM / 1000 + 1);
    bench.guest.kick(1);
    assert_eq!(bench.taken(), 0);
    assert!(bench.read() == text);
    assert_eq!(bench.taken(), 60 - ROOM / 1000 - 1);
}

#[test]
fn a_text_longer_than_the_room_comes_in_parts_and_once() {
    let mut bench = Bench::new();
    let text = pattern(10 * ROOM + 17);
    bench.send(&text, &[text.len() - 3, 3]);
    assert_eq!(bench.taken(), 0);
    assert!(bench.read() == text);
    assert_eq!(bench.taken(), 2);
}

#[test]
fn a_reset_forgets_what_of_a_text_was_not_taken() {
    for alone in [false, true] {
        let mut bench = Bench::new();
        bench.send(&pattern(3 * ROOM), &[3 * ROOM]);
        if alone {
            bench.guest.regs.reset_queue(1);
            bench.guest.queues[TX] = bench.guest.set_up_queue(1, DriverQueue::new(0x8_0000, 16));
        } else {
            bench.guest.start(u64::MAX);
        }
        assert!(bench.read() == pattern(ROOM));
        // The next text begins where it begins.
        bench.send(b"anew", &[4]);
        assert_eq!(bench.read(), b"anew");
    }
}

#[test]
fn an_endless_text_does_not_keep_the_loop() {
    let writer = Writer::for_virtio(Sink::Off, RequestSender::new().unwrap()).unwrap();
    let mut guest = Guest::mmio(Console::new(Arc::clone(writer.output()), None).unwrap());
    guest.start(u64::MAX);
    let endless = read_only(RAM[2].base, u32::try_from(RAM[2].size).unwrap());
    guest.queues[TX].add(&guest.mem, &[endless]);
    guest.regs.notify(1);
    assert!(!guest.turn(3), "it has more to do each time");
    assert_eq!(guest.used(TX), None);
    guest.regs.set_status(0);
    guest.pump();
}

#[test]
fn input_arrives_in_the_drivers_buffers() {
    let mut bench = Bench::new();
    bench.offer(&[4, 4, 4096]);
    assert_eq!(bench.input.room(), 4);
    assert_eq!(bench.input.receive(b"typed text"), 10);
    assert_eq!(bench.arrived(), [&b"type"[..], b"d te", b"xt"]);
    assert_eq!(bench.guest.regs.take_interrupts(), isr::QUEUE);
}

#[test]
fn input_waits_for_buffers_and_is_called_once_there_are_some() {
    let mut bench = Bench::new();
    bench.offer(&[3]);
    assert!(!bench.is_ready(), "nobody waits");
    assert_eq!(bench.input.receive(b"abcdef"), 3);
    bench.guest.kick(0);
    assert!(!bench.is_ready(), "there is no room yet");
    bench.offer(&[1]);
    assert!(bench.is_ready());
    assert_eq!(bench.input.receive(b"def"), 1);
    assert_eq!(bench.arrived().concat(), b"abcd");
}

#[test]
fn input_from_before_a_driver_is_there_before_its_interrupt() {
    let mut bench = Bench::new();
    assert_eq!(bench.input.room(), 0);
    bench.offer(&[4]);
    assert!(bench.is_ready());
    assert_eq!(bench.input.receive(b"early"), 4);
    bench.offer(&[4]);
    assert_eq!(bench.input.receive(b"y"), 1);
    assert_eq!(bench.arrived(), [&b"earl"[..], b"y"]);
    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    eventually(|| {
        bench.guest.pump();
        Some(bench.guest.regs.take_interrupts()).filter(|told| *told != 0)
    });
}

#[test]
fn input_is_called_when_a_driver_comes() {
    let mut bench = Bench::new();
    bench.guest.regs.set_status(0);
    assert_eq!((bench.input.room(), bench.input.receive(b"early")), (0, 0));
    bench.guest.start(u64::MAX);
    assert!(!bench.is_ready(), "it has no buffers yet");
    bench.offer(&[64]);
    assert!(bench.is_ready());
    assert_eq!(bench.input.receive(b"early"), 5);
    assert_eq!(bench.arrived(), [b"early"]);
}

#[test]
fn a_buffer_for_input_that_cannot_be_written_needs_a_reset() {
    let mut bench = Bench::new();
    assert_eq!(bench.input.room(), 0);
    bench.guest.queues[RX].add(&bench.guest.mem, &[read_only(BUFFERS, 16)]);
    bench.guest.kick(0);
    assert!(bench.guest.is_reset_needed());
    assert_eq!((bench.input.room(), bench.input.receive(b"x")), (0, 0));
    // Output has a queue of its own.
    bench.send(b"out", &[3]);
    assert_eq!(bench.read(), b"out");
}

#[test]
fn a_terminal_has_a_size_that_changes() {
    let mut bench = Bench::sized(Some(Size { columns: 80, rows: 25 }));
    assert_eq!(bench.guest.regs.device_features(), feature::COMMON | F_SIZE);
    let config = |bench: &mut Bench| {
        let mut bytes = [0xff; 12];
        bench.guest.regs.read_config(0, &mut bytes);
        bytes
    };
    assert_eq!(config(&mut bench), [80, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bench.handle.resize(Size { columns: 80, rows: 25 });
    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    bench.handle.resize(Size { columns: 132, rows: 300 });
    assert_eq!(bench.guest.regs.take_interrupts(), isr::CONFIG);
    assert_eq!(config(&mut bench)[..4], [132, 0, 44, 1]);
    // What changes between two drivers is what the next one reads.
    bench.guest.regs.set_status(0);
    bench.handle.resize(Size { columns: 1, rows: 2 });
    bench.guest.start(u64::MAX);
    assert_eq!(config(&mut bench)[..4], [1, 0, 2, 0]);
}

#[test]
fn without_a_terminal_no_size_is_told() {
    let mut bench = Bench::new();
    bench.handle.resize(Size { columns: 80, rows: 25 });
    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    let mut bytes = [0xff; 4];
    bench.guest.regs.read_config(0, &mut bytes);
    assert_eq!(bytes, [0; 4]);
}

#[test]
fn an_end_takes_what_is_in_the_queue_however_slow_the_reader_is() {
    let mut bench = Bench::new();
    let text = pattern(5 * ROOM);
    // The last bytes before the end: the device has not looked yet.
    bench.queue(&text, &[text.len()]);
    bench.handle.close();
    assert!(bench.read() == text);
    assert!(is_closed(&bench.reader));
}

#[test]
fn an_end_without_a_driver_or_with_a_broken_one_is_at_once() {
    let mut bench = Bench::new();
    bench.guest.regs.set_status(0);
    assert!(!is_closed(&bench.reader));
    bench.handle.close();
    assert!(is_closed(&bench.reader));
    let mut bench = Bench::new();
    bench.guest.queues[TX].make_available(&bench.guest.mem, 64);
    bench.guest.kick(1);
    assert!(bench.guest.is_reset_needed() && !is_closed(&bench.reader));
    bench.handle.close();
    assert!(is_closed(&bench.reader));
}

proptest! {
    #[test]
    fn text_arrives_whole_however_it_is_cut(
        texts in prop::collection::vec(prop::collection::vec(0_u32..3000, 1..5), 1..12),
        reads in prop::collection::vec(any::<bool>(), 12),
    ) {
        let mut bench = Bench::new();
        let whole = pattern(12 * 4 * 3000);
        bench.guest.write(TEXT, &whole);
        let (mut end, mut got) = (0, Vec::new());
        for (text, read) in texts.iter().zip(reads) {
            let mut segments = Vec::new();
            for len in text {
                segments.push(read_only(TEXT + u64::from(end), *len));
                end += len;
            }
            bench.guest.queues[TX].add(&bench.guest.mem, &segments);
            bench.guest.kick(1);
            if read {
                got.extend(bench.reader.read());
                bench.guest.pump();
            }
        }
        got.extend(bench.read());
        prop_assert!(got == whole[..usize::try_from(end).unwrap()]);
        prop_assert_eq!(bench.taken(), texts.len());
    }

    #[test]
    fn input_arrives_whole_whatever_the_buffers_are(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        lens in prop::collection::vec(1_u32..40, 1..30),
        batch in 1_usize..8,
    ) {
        let mut bench = Bench::new();
        let (mut rest, mut got) = (&bytes[..], Vec::new());
        for lens in lens.chunks(batch) {
            bench.offer(lens);
            rest = &rest[bench.input.receive(rest)..];
            got.extend(bench.arrived().concat());
        }
        let room: u32 = lens.iter().sum();
        prop_assert_eq!(got.len(), bytes.len().min(usize::try_from(room).unwrap()));
        prop_assert!(got == bytes[..got.len()] && *rest == bytes[got.len()..]);
    }
}
