use std::process;
use std::time::{Duration, Instant};

use vm_memory::Bytes;
use vmm_sys_util::eventfd::EFD_NONBLOCK;

use super::*;
use crate::mem::{RamRegion, allocate};
use crate::sys::TapError;

const SIZE: u16 = 4;
const END: u64 = 0x1_0000;
const DESC: u64 = 0x1000;
const AVAIL: u64 = 0x2000;
/// The used ring ends as near the end of the memory as it can.
const USED: u64 = END - 6 - 8 * SIZE as u64 - 2;
const PACKET: u64 = 0x3000;
/// The header and the shortest frame.
const PACKET_LEN: u32 = 12 + 60;
const VERSION_1: u64 = 1 << 32;

struct Bench {
    mem: Arc<GuestRam>,
    vhost: VhostNet,
    tap: Tap,
    kick: EventFd,
    call: EventFd,
    error: EventFd,
}

/// An instance and a tap; nothing, having said why, where this host has not
/// both.
fn bench(name: &str) -> Option<Bench> {
    let vhost = match VhostNet::open() {
        Ok(vhost) => vhost,
        Err(error @ (VhostError::Absent | VhostError::Denied)) => {
            eprintln!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error:?}"),
    };
    let tap = match Tap::open(&format!("kv{}{name}", process::id() % 100_000), 1) {
        Ok(mut taps) => taps.remove(0),
        Err(error @ (TapError::NoTun | TapError::TunDenied | TapError::Absent { .. })) => {
            eprintln!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error:?}"),
    };
    let mem = Arc::new(allocate(&[RamRegion { base: 0, size: END }]).unwrap());
    let event = || EventFd::new(EFD_NONBLOCK).unwrap();
    Some(Bench { mem, vhost, tap, kick: event(), call: event(), error: event() })
}

impl Bench {
    fn start(&mut self, used: u64, next_avail: u16) -> io::Result<()> {
        let ring = VhostRing {
            size: SIZE,
            desc: DESC,
            avail: AVAIL,
            used,
            next_avail,
            kick: &self.kick,
            call: &self.call,
            error: &self.error,
        };
        self.vhost.start_ring(1, &ring, &self.tap)
    }

    fn write<T: vm_memory::ByteValued>(&self, at: u64, value: T) {
        self.mem.write_obj(value, GuestAddress(at)).unwrap();
    }

    /// Makes descriptor 0 available up to index `index`, and kicks.
    fn offer(&self, index: u16) {
        self.write(DESC, PACKET);
        self.write(DESC + 8, PACKET_LEN);
        self.write(AVAIL + 2, index);
        self.kick.write(1).unwrap();
    }
}

fn await_event(event: &EventFd) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while event.read().is_err() {
        assert!(Instant::now() < deadline, "the event never came");
        std::thread::yield_now();
    }
}

#[test]
fn a_packet_goes_to_the_tap_and_the_ring_comes_back() {
    let Some(mut bench) = bench("a") else { return };
    assert!(bench.vhost.features().unwrap() & VERSION_1 != 0);
    let mem = Arc::clone(&bench.mem);
    bench.vhost.prepare(VERSION_1, &mem).unwrap();
    assert_eq!(bench.start(USED + 4, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    bench.start(USED, 0).unwrap();
    bench.offer(1);
    await_event(&bench.call);
    assert_eq!(mem.read_obj::<u16>(GuestAddress(USED + 2)).unwrap(), 1);
    let path = format!("/sys/class/net/{}/statistics/rx_packets", bench.tap.name());
    assert_eq!(std::fs::read_to_string(path).unwrap().trim(), "1");
    assert_eq!(bench.vhost.stop_ring(1).unwrap(), 1);
    assert_eq!(bench.vhost.stop_ring(1).unwrap(), 1);
    // It goes on from there, also with new features.
    bench.vhost.prepare(VERSION_1, &mem).unwrap();
    bench.start(USED, 1).unwrap();
    bench.offer(2);
    await_event(&bench.call);
    assert_eq!(bench.vhost.stop_ring(1).unwrap(), 2);
}

#[test]
fn a_ring_that_breaks_the_rules_is_an_error() {
    let Some(mut bench) = bench("b") else { return };
    let mem = Arc::clone(&bench.mem);
    bench.vhost.prepare(VERSION_1, &mem).unwrap();
    bench.start(USED, 0).unwrap();
    // More than the ring has.
    bench.offer(SIZE + 1);
    await_event(&bench.error);
    drop(bench.vhost);
}
