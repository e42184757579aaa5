//! Answers that are there as soon as something was sent.

use super::*;

/// A host that answers each packet with itself at once, and tells nobody.
struct Echo {
    silent: UnixDatagram,
    answers: Vec<Vec<u8>>,
}

impl NetBackend for Echo {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.silent.as_fd()
    }
    fn mtu(&self) -> Option<u16> {
        None
    }
    fn set_offloads(&mut self, _: Offloads) -> io::Result<()> {
        Ok(())
    }
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }
    fn set_enabled(&mut self, _: bool) -> io::Result<()> {
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn has_packet(&self) -> bool {
        false
    }
    fn relieve(&mut self) -> bool {
        false
    }
    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize> {
        let packet = self.answers.pop().ok_or(io::ErrorKind::WouldBlock)?;
        room[0].copy_from(&packet);
        Ok(packet.len())
    }
    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()> {
        let mut answer = Vec::new();
        for piece in packet {
            let mut bytes = vec![0; piece.len()];
            piece.copy_to(&mut bytes);
            answer.extend(bytes);
        }
        self.answers.push(answer);
        Ok(())
    }
}

/// A driver that is told of each queue by a message of its own, with as many
/// packets to send and buffers for those to come.
fn sender(packets: u64, buffers: u64) -> (Guest<PciRegisters<true>>, UnixDatagram) {
    let (silent, other) = UnixDatagram::pair().unwrap();
    let mut guest = Guest::<PciRegisters<true>>::new(device(Echo { silent, answers: Vec::new() }));
    guest.start(feature::VERSION_1);
    for number in 0..buffers {
        let buffer = write_only(BUFFERS + 0x1000 * number, 0x1000);
        guest.queues[RX].add(&guest.mem, &[buffer]);
    }
    guest.kick(0);
    guest.write(PACKETS, &packet(60));
    for _ in 0..packets {
        guest.queues[TX].add(&guest.mem, &[read_only(PACKETS, 72)]);
    }
    guest.regs.messages.take();
    guest.kick(1);
    (guest, other)
}

#[test]
fn a_driver_hears_of_an_answer_before_it_hears_of_what_it_sent() {
    let (mut guest, _other) = sender(1, 1);
    assert_eq!(guest.regs.messages.take(), [1, 2]);
    assert_eq!(guest.used(TX), Some((0, 0)));
    assert_eq!(guest.used(RX), Some((0, 72)));
}

#[test]
fn a_driver_that_has_no_buffers_hears_of_what_it_sent() {
    let (mut guest, _other) = sender(1, 0);
    assert_eq!(guest.regs.messages.take(), [2]);
    assert_eq!(guest.used(TX), Some((0, 0)));
}

#[test]
fn a_driver_that_sends_much_at_once_is_told_now_and_then() {
    let (guest, _other) = sender(50, 0);
    assert_eq!(guest.regs.messages.take(), [2]);
    let (mut guest, _other) = sender(100, 0);
    assert_eq!(guest.regs.messages.take(), [2, 2]);
    assert_eq!((0..100).filter(|_| guest.used(TX).is_some()).count(), 100);
}
