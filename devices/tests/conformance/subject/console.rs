use std::sync::Arc;

use devices::backend::console::{InputPort, TestReader};
use devices::virtio::console::{Console, Size};
use devices::virtio::testing::{Guest, Registers, Segment, read_only, write_only};

use super::{GOOD, Subject, run};

/// More than any rule has a device print before somebody reads.
const ROOM: usize = 16 << 20;
/// A text of the driver's, or of the host's.
const LEN: u32 = 24;

/// A console on a terminal, whose reader reads when a rule uses the device.
pub(crate) struct ConsoleSubject {
    reader: TestReader,
    input: Arc<dyn InputPort>,
    serial: u8,
}

impl Subject for ConsoleSubject {
    type Device = Console;

    const QUEUES: u32 = 2;
    const SERVED: u32 = 1;

    fn new() -> (Self, Console) {
        let reader = TestReader::new(ROOM).expect("the host has descriptors");
        let size = Some(Size { columns: 80, rows: 25 });
        let device = Console::new(Arc::clone(reader.output()), size);
        let device = device.expect("the host has descriptors");
        (Self { reader, input: device.input(), serial: 0 }, device)
    }

    fn poke<R: Registers>(&mut self, guest: &mut Guest<R>, queue: u32) {
        self.input.receive(b"?");
        guest.kick(queue);
    }

    fn request<R: Registers>(&self, guest: &Guest<R>) -> Vec<Segment> {
        guest.write(GOOD, b"a text of 24 characters\n");
        vec![read_only(GOOD, LEN)]
    }

    fn work<R: Registers>(&mut self, guest: &mut Guest<R>) {
        for _ in 0..2 {
            self.serial = self.serial % 255 + 1;
            let text = [self.serial; LEN as usize];
            self.receive(guest, &text);
            self.send(guest, &text);
        }
    }
}

impl ConsoleSubject {
    /// What is typed arrives in the guest.
    fn receive<R: Registers>(&self, guest: &mut Guest<R>, text: &[u8]) {
        guest.write(GOOD, &[0; LEN as usize + 1]);
        guest.queues[0].add(&guest.mem, &[write_only(GOOD, LEN + 1)]);
        guest.kick(0);
        assert_eq!(self.input.receive(text), text.len());
        assert_eq!(guest.used(0).map(|(_, len)| len), Some(LEN));
        assert_eq!(guest.read(GOOD, text.len() + 1), [text, &[0]].concat());
    }

    /// A text leaves the guest, behind what left before.
    fn send<R: Registers>(&self, guest: &mut Guest<R>, text: &[u8]) {
        while !self.reader.read().is_empty() {
            guest.pump();
        }
        guest.write(GOOD, text);
        assert_eq!(run(guest, 1, &[read_only(GOOD, LEN)]), 0);
        assert_eq!(self.reader.read(), text);
    }
}
