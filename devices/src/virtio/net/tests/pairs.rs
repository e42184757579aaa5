use super::*;

const ALL_PAIRS: u64 = F_MQ | F_CTRL_VQ;

/// A backend that notes whether it is switched on.
struct Switched {
    net: SocketNet,
    index: usize,
    enabled: Arc<Mutex<Vec<bool>>>,
}

impl NetBackend for Switched {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.net.poll_fd()
    }
    fn mtu(&self) -> Option<u16> {
        self.net.mtu()
    }
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }
    fn set_offloads(&mut self, offloads: Offloads) -> io::Result<()> {
        self.net.set_offloads(offloads)
    }
    fn set_enabled(&mut self, enabled: bool) -> io::Result<()> {
        let before = std::mem::replace(&mut self.enabled.lock().unwrap()[self.index], enabled);
        // As a tap's queue does.
        if before == enabled { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
    fn has_packet(&self) -> bool {
        self.net.has_packet()
    }
    fn relieve(&mut self) -> bool {
        self.net.relieve()
    }
    fn receive(&mut self, room: &[VolatileSlice<'_>]) -> io::Result<usize> {
        self.net.receive(room)
    }
    fn send(&mut self, packet: &[VolatileSlice<'_>]) -> io::Result<()> {
        self.net.send(packet)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A live device with `count` pairs, the other ends of all but the first, and
/// which are switched on.
pub(super) fn bench(
    count: usize,
    features: u64,
) -> (Bench, Vec<UnixDatagram>, Arc<Mutex<Vec<bool>>>) {
    let enabled = Arc::new(Mutex::new(vec![true; count]));
    let mut backends: Vec<Box<dyn NetBackend>> = Vec::new();
    let mut peers = Vec::new();
    for index in 0..count {
        let (net, peer) = SocketNet::pair().unwrap();
        backends.push(Box::new(Switched { net, index, enabled: Arc::clone(&enabled) }));
        peers.push(peer);
    }
    let options = NetOptions { mac: MAC, ..NetOptions::default() };
    let mut guest = Guest::mmio(Net::new(backends, &options).unwrap());
    guest.start(feature::VERSION_1 | features);
    let peer = peers.remove(0);
    (Bench { guest, peer, offloads: Arc::default() }, peers, enabled)
}

fn set_pairs(bench: &mut Bench, control: usize, count: u8) {
    bench.guest.write(PACKETS, &[4, 0, count, 0]);
    let segments = [read_only(PACKETS, 4), write_only(PACKETS + 0x100, 1)];
    bench.guest.queues[control].add(&bench.guest.mem, &segments);
    bench.guest.kick(u32::try_from(control).unwrap());
    assert!(bench.guest.used(control).is_some());
    assert_eq!(bench.guest.read(PACKETS + 0x100, 1), [ctrl::OK]);
}

/// What the peer has seen.
fn seen(peer: &UnixDatagram) -> Option<Vec<u8>> {
    let mut packet = vec![0; 2000];
    let len = peer.recv(&mut packet).ok()?;
    packet.truncate(len);
    Some(packet)
}

#[test]
fn several_pairs_are_told_of() {
    let (mut bench, _, enabled) = bench(4, ALL_PAIRS);
    let mut config = [0; 2];
    bench.guest.regs.read_config(8, &mut config);
    assert_eq!(u16::from_le_bytes(config), 4);
    assert_eq!(bench.guest.queues.len(), 9);
    assert_eq!(*enabled.lock().unwrap(), [true, false, false, false], "one is used at first");
    let offered = bench.guest.regs.device_features();
    assert_eq!(offered & (F_MQ | F_CSUM | F_GUEST_CSUM | F_HOST_TSO4 | F_HOST_USO), F_MQ);
    let (mut bench, ..) = self::bench(1, ALL_PAIRS);
    assert_eq!(bench.guest.regs.device_features() & F_MQ, 0);
}

#[test]
fn each_pair_carries_packets_once_it_is_used() {
    let (mut bench, peers, _) = bench(2, ALL_PAIRS);
    bench.guest.write(PACKETS + 0x1000, &packet(60));
    bench.guest.queues[2].add(&bench.guest.mem, &[write_only(BUFFERS, 100)]);
    bench.guest.queues[3].add(&bench.guest.mem, &[read_only(PACKETS + 0x1000, 72)]);
    peers[0].send(&packet(40)).unwrap();
    bench.guest.kick(2);
    bench.guest.kick(3);
    assert_eq!((bench.guest.used(2), bench.guest.used(3)), (None, None));
    assert_eq!(seen(&peers[0]), None);
    // No kick: the device has to look by itself.
    set_pairs(&mut bench, 4, 2);
    assert_eq!(bench.guest.used(2), Some((0, 52)));
    assert_eq!(bench.guest.used(3), Some((0, 0)));
    assert_eq!(seen(&peers[0]), Some(packet(60)));
    assert_eq!(bench.send(PLAIN, &frame(30), &[]), Some(packet(30)), "the first still does");

    set_pairs(&mut bench, 4, 1);
    bench.guest.queues[2].add(&bench.guest.mem, &[write_only(BUFFERS, 100)]);
    peers[0].send(&packet(40)).unwrap();
    bench.guest.kick(2);
    assert_eq!(bench.guest.used(2), None);
    set_pairs(&mut bench, 4, 2);
    assert_eq!(bench.guest.used(2), Some((1, 52)));
}

#[test]
fn a_pair_that_receives_nothing_does_not_stop_the_others() {
    let (mut bench, peers, _) = bench(2, ALL_PAIRS);
    set_pairs(&mut bench, 4, 2);
    while peers[0].send(&packet(60)).is_ok() {
        bench.guest.pump();
    }
    for _ in 0..300 {
        bench.offer(&[100]);
        bench.arrive(&packet(50));
        assert_eq!(bench.guest.used(RX).map(|(_, len)| len), Some(62));
        assert_eq!(bench.send(PLAIN, &frame(60), &[]), Some(packet(60)));
    }
}
