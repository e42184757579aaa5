//! Network interfaces under a Linux guest.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use testing::{Guest, Tap, kernel, patiently, pattern};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

fn guest(tap: &Tap, script: &str) -> Guest {
    let script = format!("ip link set lo up; ip link set eth0 up\n{script}\npoweroff -f");
    Guest::linux(&kernel(MINIMAL), &script).append("quiet").tap(tap.name())
}

#[test]
fn the_guest_and_the_host_reach_each_other() {
    patiently(|| {
        let Some(tap) = Tap::new("10.212.1.1/24") else { return };
        let script = "
        ip addr add 10.212.1.2/24 dev eth0
        ping -c 3 10.212.1.1 >/dev/null && echo small=yes
        ping -c 3 -s 8000 10.212.1.1 >/dev/null && echo large=yes
        echo mac=$(cat /sys/class/net/eth0/address)
        echo carrier=$(cat /sys/class/net/eth0/carrier)";
        // Twice: the tap of a run that has ended is free for the next.
        let outcomes = [(); 2].map(|()| guest(&tap, script).run());
        for outcome in &outcomes {
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(outcome);
            assert_eq!((report.one("small"), report.one("large")), ("yes", "yes"), "{outcome}");
            assert_eq!(report.one("carrier"), "1");
        }
        let [first, second] = outcomes.each_ref().map(Report::of);
        assert_eq!(first.one("mac"), second.one("mac"), "the address changes from run to run");
    });
}

#[test]
fn queues_of_another_size_carry_packets() {
    patiently(|| {
        let Some(tap) = Tap::new("10.212.5.1/24") else { return };
        // Linux resets each queue alone for that (VIRTIO_F_RING_RESET, bit 40).
        let script = "
        ip link set eth0 up
        ip addr add 10.212.5.2/24 dev eth0
        echo features=$(cat /sys/class/net/eth0/device/features)
        for size in 256 64 128; do
            ethtool -G eth0 rx $size tx $size
            ethtool -g eth0 | awk '/^Current/ {now = 1} now && /^[RT]X:/ {print \"size=\" $2}'
            ping -c 3 -s 3000 10.212.5.1 >/dev/null && echo reached=$size
        done
        poweroff -f";
        let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["ethtool"], script);
        let outcome = guest.append("quiet").tap(tap.name()).transport("pci").run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.one("features").as_bytes()[40], b'1', "{outcome}");
        assert_eq!(report.all("size"), ["256", "256", "64", "64", "128", "128"], "{outcome}");
        assert_eq!(report.all("reached"), ["256", "64", "128"], "{outcome}");
    });
}

/// A server at `address` that gives `size` bytes of [`pattern`] to the first
/// connection, and returns what the next one gives it; with its port.
pub(crate) fn give_and_take(address: &str, size: usize) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut back = Vec::new();
        listener.accept().unwrap().0.write_all(&pattern(size)).unwrap();
        listener.accept().unwrap().0.read_to_end(&mut back).unwrap();
        back
    });
    (port, server)
}

/// Offload features that Kiln has (VIRTIO 1.2 §5.1.3), by bit.
const OFFLOADS: [(usize, &str); 7] = [
    (0, "CSUM"),
    (1, "GUEST_CSUM"),
    (7, "GUEST_TSO4"),
    (8, "GUEST_TSO6"),
    (11, "HOST_TSO4"),
    (12, "HOST_TSO6"),
    (15, "MRG_RXBUF"),
];

#[test]
fn tcp_carries_data_exactly_both_ways_with_all_offloads() {
    patiently(|| {
        const SIZE: usize = 8 << 20;
        let Some(tap) = Tap::new("10.212.2.1/24") else { return };
        let (port, server) = give_and_take("10.212.2.1", SIZE);
        let script = format!(
            "ip addr add 10.212.2.2/24 dev eth0
        mount -t tmpfs tmpfs /tmp
        nc 10.212.2.1 {port} </dev/null >/tmp/data
        echo size=$(stat -c %s /tmp/data)
        nc 10.212.2.1 {port} </tmp/data
        echo features=$(cat /sys/class/net/eth0/device/features)"
        );
        let outcome = guest(&tap, &script).cpus(2).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.number("size"), SIZE as u64, "{outcome}");
        assert!(server.join().unwrap() == pattern(SIZE), "the data came back changed");
        let features = report.one("features").as_bytes();
        for (bit, name) in OFFLOADS {
            assert_eq!(features[bit], b'1', "{name} is not negotiated: {}", report.one("features"));
        }
    });
}

#[test]
fn a_tap_that_does_not_exist_is_made_and_goes_with_the_run() {
    patiently(|| {
        // Another tap tells whether this process may make one at all.
        let Some(_) = Tap::new("10.212.3.1/24") else { return };
        let name = format!("kilnmade{}", std::process::id());
        let path = format!("/sys/class/net/{name}");
        let script = "echo carrier=$(cat /sys/class/net/eth0/carrier); read line; poweroff -f";
        let script = format!("ip link set eth0 up; {script}");
        let guest = Guest::linux(&kernel(MINIMAL), &script).append("quiet").tap(&name);
        let mut guest = guest.stdin_pipe().spawn();
        guest.wait_for("carrier=");
        assert!(fs::exists(&path).unwrap());
        guest.write("go on\n");
        guest.wait().expect(0, POWERED_OFF);
        assert!(!fs::exists(&path).unwrap());
    });
}

#[test]
fn a_flood_of_frames_does_not_stop_the_guest() {
    patiently(|| {
        let Some(tap) = Tap::new("10.212.4.1/24") else { return };
        // Frames come from the first moment, long before there is a driver.
        let socket = std::net::UdpSocket::bind("10.212.4.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        let script = "
        ip addr add 10.212.4.2/24 dev eth0
        ping -c 3 10.212.4.1 >/dev/null && echo reached=yes";
        let mut guest = guest(&tap, &format!("echo up; {script}")).spawn();
        let flood = |count: usize| {
            for _ in 0..count {
                // A full queue drops the frame, which is what should happen.
                let _ = socket.send_to(&[0; 1400], "10.212.4.255:9");
            }
        };
        flood(5000);
        guest.wait_for("up");
        flood(5000);
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).one("reached"), "yes");
    });
}
