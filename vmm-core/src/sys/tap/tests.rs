use std::fs;
use std::os::fd::IntoRawFd;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use vm_memory::VolatileSlice;

use super::*;
use crate::sys::write_once;

/// A name that no other interface has.
fn unused_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("kc{}x{number}", process::id() % 100_000)
}

/// A tap of this test's own; nothing, having said why, where taps are not ours
/// to make.
fn own_tap(queues: u16) -> Option<Vec<Tap>> {
    match Tap::open(&unused_name(), queues) {
        Ok(taps) => Some(taps),
        Err(error @ (TapError::NoTun | TapError::TunDenied | TapError::Absent { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn attribute(tap: &Tap, name: &str) -> String {
    let path = format!("/sys/class/net/{}/{name}", tap.name());
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Waits until the interface is gone. Other tests start processes, which have a
/// copy of every tap until they run their programs.
fn await_end(name: &str) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while fs::exists(format!("/sys/class/net/{name}")).unwrap() {
        assert!(Instant::now() < deadline, "{name} stays");
        std::thread::yield_now();
    }
}

fn slices(buffers: &mut [Vec<u8>]) -> Vec<VolatileSlice<'_>> {
    buffers.iter_mut().map(|b| VolatileSlice::from(b.as_mut_slice())).collect()
}

/// A descriptor of a new tap, as somebody else would have opened it.
fn foreign_tap(flags: libc::c_int) -> Option<(String, File)> {
    let name = unused_name();
    let opened = File::options().read(true).write(true).open("/dev/net/tun");
    let file = opened.inspect_err(|error| eprintln!("skipped: {error}")).ok()?;
    let mut request = request(&CString::new(name.as_str()).unwrap());
    request.ifr_ifru.ifru_flags = short(flags);
    let made = ioctl(&file, libc::TUNSETIFF, &mut request);
    made.inspect_err(|error| eprintln!("skipped: {error}")).ok()?;
    Some((name, file))
}

#[test]
fn a_tap_is_made_brought_up_and_vanishes() {
    let Some(taps) = own_tap(1) else { return };
    let tap = &taps[0];
    assert_eq!(tap.mtu().unwrap(), 1500);
    let flags = attribute(tap, "flags");
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1, "the link is up");
    tap.set_offloads(Offloads { uso: false, ..Offloads::ALL }).unwrap();
    let busy = Tap::open(tap.name(), 1).unwrap_err();
    assert_eq!(busy.to_string(), format!("tap {} is in use by another process", tap.name()));
    let name = tap.name().to_owned();
    drop(taps);
    await_end(&name);
}

#[test]
fn a_packet_written_to_a_tap_reaches_the_host() {
    let Some(taps) = own_tap(1) else { return };
    let tap = &taps[0];
    let mut packet = [vec![0; 12], vec![0xff; 60]];
    assert_eq!(write_once(tap, &slices(&mut packet)).unwrap(), 72);
    assert_eq!(attribute(tap, "statistics/rx_packets"), "1");
    // A header that lies about the packet is an error, not a packet.
    packet[0][1] = 0x7f;
    assert!(write_once(tap, &slices(&mut packet)).is_err());
    assert_eq!(attribute(tap, "statistics/rx_packets"), "1");
}

#[test]
fn each_queue_of_a_tap_is_a_way_to_the_host() {
    let Some(taps) = own_tap(3) else { return };
    for (sent, tap) in (1..).zip(&taps) {
        assert_eq!(tap.name(), taps[0].name());
        assert_eq!(write_once(tap, &slices(&mut [vec![0; 72]])).unwrap(), 72);
        assert_eq!(attribute(tap, "statistics/rx_packets"), sent.to_string());
    }
    let name = taps[0].name().to_owned();
    let busy = Tap::open(&name, 2).unwrap_err();
    assert_eq!(busy.to_string(), format!("tap {name} is in use by another process"));
    drop(taps);
    await_end(&name);
}

#[test]
fn a_queue_can_stand_aside_and_come_back() {
    let Some(taps) = own_tap(2) else { return };
    let queues = || {
        let entries = fs::read_dir(format!("/sys/class/net/{}/queues", taps[0].name())).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tx-")).count()
    };
    assert_eq!(queues(), 2);
    taps[1].set_attached(false).unwrap();
    assert!(taps[1].set_attached(false).is_err(), "it stands aside already");
    assert_eq!(queues(), 1);
    taps[1].set_attached(true).unwrap();
    assert_eq!(queues(), 2);
}

#[test]
fn the_mtu_is_set_once() {
    let Some(taps) = own_tap(1) else { return };
    taps[0].set_mtu(1500).unwrap();
    taps[0].set_mtu(9000).unwrap();
    assert_eq!((taps[0].mtu().unwrap(), attribute(&taps[0], "mtu").as_str()), (9000, "9000"));
}

#[test]
fn an_inherited_tap_is_used_as_it_is() {
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let Some((name, file)) = foreign_tap(flags) else { return };
    // Whoever opened it never closes it.
    let number = file.into_raw_fd();
    let tap = Tap::inherit(number).unwrap();
    assert_eq!(tap.name(), name);
    assert_ne!(tap.as_raw_fd(), number);
    let empty = super::super::read_once(&tap, &slices(&mut [vec![0; 72]])).unwrap_err();
    assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    // Its interface is none of ours: another may have that name here.
    tap.set_mtu(9000).unwrap();
    assert_eq!(tap.mtu().unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert_eq!(attribute(&tap, "mtu"), "1500");
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    let flags = libc::c_int::from_str_radix(flags.trim(), 8).unwrap();
    assert_ne!(flags & libc::O_CLOEXEC, 0, "programs that are started get it");
}

#[test]
fn a_descriptor_that_is_no_tap_is_refused() {
    let (file, closed) = (tempfile::tempfile().unwrap(), i32::MAX);
    for number in [file.as_raw_fd(), closed, -1] {
        let refused = Tap::inherit(number).unwrap_err().to_string();
        assert_eq!(refused, format!("descriptor {number} is not open, or no tap's"));
    }
    let Some((name, file)) = foreign_tap(libc::IFF_TAP | libc::IFF_NO_PI) else { return };
    let refused = Tap::inherit(file.as_raw_fd()).unwrap_err().to_string();
    assert!(refused.contains(&name) && refused.contains("IFF_VNET_HDR"), "{refused}");
}

#[test]
fn what_is_no_tap_is_refused() {
    for name in ["", "a/b", "tap%d", "a b", "sixteen-letters-", ".", "..", "nul\0"] {
        assert!(matches!(Tap::open(name, 1), Err(TapError::Name { .. })), "{name}");
    }
    for (queues, wanted) in [(1, "interface lo is no tap"), (2, "tap lo is no tap, or one for a")] {
        match Tap::open("lo", queues).unwrap_err() {
            error @ (TapError::NoTun | TapError::TunDenied) => eprintln!("skipped: {error}"),
            error => assert!(error.to_string().starts_with(wanted), "{error}"),
        }
    }
}
