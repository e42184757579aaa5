//! What `--net` says of an interface, as its guest sees it.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use testing::{Guest, Tap, kernel, patiently};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

fn guest(net: &str, script: &str) -> Guest {
    let script = format!("ip link set lo up; ip link set eth0 up\n{script}\npoweroff -f");
    Guest::linux_with_programs(&kernel(MINIMAL), &["ethtool"], &script)
        .append("quiet")
        .arg("--net")
        .arg(net)
}

#[test]
fn several_queues_an_address_and_an_mtu_are_the_guests() {
    patiently(|| {
        let Some(tap) = Tap::with_queues("10.213.1.1/24") else { return };
        let script = "
        ip addr add 10.213.1.2/24 dev eth0
        combined() { ethtool -l eth0 | awk '/^Combined/ {print $2}'; }
        combined | while read count; do echo channels=$count; done
        ethtool -k eth0 | awk '/^(tcp-segmentation|rx-checksumming|tx-checksumming)/ {print \"feature=\" $2}'
        for count in 1 4 2; do
            ethtool -L eth0 combined $count
            for size in 56 3000; do
                ping -c 8 -i 0.1 -s $size 10.213.1.1 >/dev/null && echo reached=$count
            done
        done
        echo mtu=$(cat /sys/class/net/eth0/mtu)
        ip link set eth0 address 02:00:00:00:00:77 && echo changed=yes
        echo mac=$(cat /sys/class/net/eth0/address)
        ping -c 3 10.213.1.1 >/dev/null && echo after=yes";
        let net = format!("tap={},queues=4,vhost=off,mtu=2000,mac=02:00:00:00:00:01", tap.name());
        let outcome = guest(&net, script).cpus(4).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        // The most that can be, and what Linux takes with four processors.
        assert_eq!(report.all("channels"), ["4", "4"], "{outcome}");
        assert_eq!(report.all("feature"), ["on", "on", "on"], "{outcome}");
        assert_eq!(report.all("reached"), ["1", "1", "4", "4", "2", "2"], "{outcome}");
        assert_eq!(report.one("mtu"), "2000", "{outcome}");
        assert_eq!(report.one("changed"), "yes", "{outcome}");
        assert_eq!(report.one("mac"), "02:00:00:00:00:77");
        assert_eq!(report.one("after"), "yes", "{outcome}");
        let mtu = fs::read_to_string(format!("/sys/class/net/{}/mtu", tap.name())).unwrap();
        assert_eq!(mtu.trim(), "2000", "the tap's own");
    });
}

#[test]
fn a_tap_that_another_program_has_opened_is_an_interface() {
    patiently(|| {
        let Some(tap) = Tap::new("10.213.4.1/24") else { return };
        let script = format!(
            "{}
            ping -c 3 10.213.4.1 >/dev/null && echo small=yes
            ping -c 3 -s 8000 10.213.4.1 >/dev/null && echo large=yes",
            tap.guest_setup()
        );
        for options in ["vhost=off", "vhost=on"] {
            let opened = vmm_core::sys::Tap::open(tap.name(), 1).unwrap().remove(0);
            let guest = guest(&format!("fd=3,{options}"), &script);
            let guest = guest.stdin(opened.as_fd().try_clone_to_owned().unwrap());
            drop(opened);
            let outcome = guest.redirect("3<&0 </dev/null").run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!((report.one("small"), report.one("large")), ("yes", "yes"), "{outcome}");
        }
    });
}

#[test]
fn a_limit_of_bytes_holds_a_download_back() {
    patiently(|| {
        const SIZE: usize = 1 << 20;
        let Some(tap) = Tap::new("10.213.2.1/24") else { return };
        let listener = TcpListener::bind("10.213.2.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let start = Instant::now();
            stream.write_all(&vec![0x5a; SIZE]).unwrap();
            start
        });
        let script = format!(
            "ip addr add 10.213.2.2/24 dev eth0
        ping -c 1 10.213.2.1 >/dev/null
        echo size=$(nc 10.213.2.1 {port} </dev/null | wc -c)
        echo end"
        );
        let net = format!("tap={},bandwidth=256K", tap.name());
        let mut guest = guest(&net, &script).spawn();
        guest.wait_for("end");
        let end = Instant::now();
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let took = end - server.join().unwrap();
        assert_eq!(Report::of(&outcome).number("size"), SIZE as u64, "{outcome}");
        // Four seconds' worth, less what was saved up. A slow host takes longer.
        assert!(took > Duration::from_millis(3700), "{took:?}");
    });
}

#[test]
fn a_guest_that_stops_receiving_goes_on_where_it_resumes() {
    patiently(|| {
        let Some(tap) = Tap::new("10.213.3.1/24") else { return };
        let socket = UdpSocket::bind("10.213.3.1:0").unwrap();
        socket.set_broadcast(true).unwrap();
        let script = "
        ip addr add 10.213.3.2/24 dev eth0
        ping -c 2 10.213.3.1 >/dev/null && echo before=yes
        ip link set eth0 down
        echo stopped
        read line
        ip link set eth0 up
        ping -c 3 10.213.3.1 >/dev/null && echo after=yes";
        let net = format!("tap={},vhost=off", tap.name());
        let mut guest = guest(&net, script).stdin_pipe().spawn();
        guest.wait_for("stopped");
        for _ in 0..5000 {
            // A full queue drops the frame, which is what should happen.
            let _ = socket.send_to(&[0; 1400], "10.213.3.255:9");
        }
        guest.write("go on\n");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.one("before"), report.one("after")), ("yes", "yes"), "{outcome}");
    });
}
