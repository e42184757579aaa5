//! A host side that goes away.

use super::*;

/// A backend whose host side goes away with the first packet: readable, but
/// only with errors.
struct Gone {
    socket: UnixDatagram,
    is_lost: bool,
}

impl NetBackend for Gone {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
    fn mtu(&self) -> Option<u16> {
        Some(68)
    }
    fn set_offloads(&mut self, _: Offloads) -> io::Result<()> {
        if self.is_lost { Err(io::Error::other("gone")) } else { Ok(()) }
    }
    fn offloads(&self) -> Offloads {
        Offloads::ALL
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
    fn receive(&mut self, _: &[VolatileSlice<'_>]) -> io::Result<usize> {
        self.is_lost = true;
        Err(io::Error::other("gone"))
    }
    fn send(&mut self, _: &[VolatileSlice<'_>]) -> io::Result<()> {
        Err(io::Error::other("gone"))
    }
}

#[test]
fn a_lost_backend_takes_the_link_down_and_nothing_else() {
    let (socket, peer) = UnixDatagram::pair().unwrap();
    peer.send(b"readable").unwrap();
    let gone = Gone { socket, is_lost: false };
    let mut guest = Guest::mmio(device(gone));
    assert_eq!(guest.regs.device_features() & F_MTU, 0, "an MTU below 1280 is not told");
    guest.start(feature::VERSION_1);
    guest.queues[RX].add(&guest.mem, &[write_only(BUFFERS, 100)]);
    guest.kick(0);
    assert_eq!(guest.regs.take_interrupts(), isr::CONFIG);
    assert!(!guest.is_reset_needed());
    let mut status = [0xff; 2];
    guest.regs.read_config(6, &mut status);
    assert_eq!(status, [0, 0]);
    guest.write(PACKETS, &packet(60));
    guest.queues[TX].add(&guest.mem, &[read_only(PACKETS, 72)]);
    guest.kick(1);
    assert_eq!(guest.used(TX), Some((0, 0)));
    guest.start(feature::VERSION_1);
    assert!(!guest.is_reset_needed(), "the driver may start without a link");
}
