//! Network interfaces whose packets the host's kernel moves.

use testing::{Guest, Outcome, Tap, kernel, patiently, pattern};

use crate::net::give_and_take;
use crate::pci::messages_follow;
use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

/// Who moves the packets, as Kiln says with `-v`.
const BY_KERNEL: &str = "the host's kernel moves its packets";
const BY_KILN: &str = "Kiln moves its packets";

/// A guest on `tap`, which it can reach; `options` as ",vhost=on".
fn guest(tap: &Tap, options: &str, script: &str) -> Guest {
    let script = format!("{}\n{script}", tap.guest_setup());
    let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["ethtool"], &script);
    let net = format!("tap={}{options}", tap.name());
    guest.append("quiet").arg("-v").arg("--net").arg(net)
}

#[track_caller]
fn expect_mover(outcome: &Outcome, mover: &str) {
    assert!(outcome.stderr.contains(mover), "not {mover}\n{outcome}");
}

#[test]
fn packets_reach_host_and_guest_on_each_transport_and_kind_of_interrupt() {
    patiently(|| {
        let Some(tap) = Tap::new("10.214.1.1/24") else { return };
        let script = "
        ping -c 3 10.214.1.1 >/dev/null && echo small=yes
        ping -c 3 -s 8000 10.214.1.1 >/dev/null && echo large=yes
        poweroff -f";
        for (transport, words) in [("pci", "quiet"), ("pci", "pci=nomsi"), ("mmio", "quiet")] {
            let guest = guest(&tap, ",vhost=on", script).transport(transport).append(words);
            let outcome = guest.run();
            outcome.expect(0, POWERED_OFF);
            expect_mover(&outcome, BY_KERNEL);
            let report = Report::of(&outcome);
            assert_eq!((report.one("small"), report.one("large")), ("yes", "yes"), "{outcome}");
        }
    });
}

#[test]
fn vhost_is_used_if_it_is_there_and_not_switched_off() {
    patiently(|| {
        let Some(tap) = Tap::new("10.214.2.1/24") else { return };
        let script = "
        ping -c 1 10.214.2.1 >/dev/null && echo reached=yes
        poweroff -f";
        for (options, mover) in
            [("", BY_KERNEL), (",vhost=auto", BY_KERNEL), (",vhost=off", BY_KILN)]
        {
            let outcome = guest(&tap, options, script).run();
            outcome.expect(0, POWERED_OFF);
            expect_mover(&outcome, mover);
            assert_eq!(Report::of(&outcome).one("reached"), "yes", "{outcome}");
        }
    });
}

#[test]
fn tcp_carries_data_exactly_both_ways() {
    patiently(|| {
        const SIZE: usize = 32 << 20;
        let Some(tap) = Tap::new("10.214.3.1/24") else { return };
        let (port, server) = give_and_take("10.214.3.1", SIZE);
        let script = format!(
            "mount -t tmpfs tmpfs /tmp
            nc 10.214.3.1 {port} </dev/null >/tmp/data
            echo size=$(stat -c %s /tmp/data)
            nc 10.214.3.1 {port} </tmp/data
            poweroff -f"
        );
        let outcome = guest(&tap, ",vhost=on", &script).cpus(2).run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).number("size"), SIZE as u64, "{outcome}");
        assert!(server.join().unwrap() == pattern(SIZE), "the data came back changed");
    });
}

#[test]
fn queues_are_reset_and_drivers_come_and_go() {
    patiently(|| {
        let Some(tap) = Tap::new("10.214.4.1/24") else { return };
        // Linux resets each queue alone to resize it; the driver's way out and
        // back in resets the device.
        let again = tap.guest_setup();
        let script = format!(
            "for size in 64 128; do
            ethtool -G eth0 rx $size tx $size
            ping -c 3 -s 3000 10.214.4.1 >/dev/null && echo reached=$size
        done
        cd /sys/bus/virtio/drivers/virtio_net
        device=$(ls -d virtio*)
        for turn in 1 2; do
            echo $device >unbind
            echo $device >bind
            {again}
            ping -c 3 -s 3000 10.214.4.1 >/dev/null && echo reached=turn$turn
        done
        poweroff -f"
        );
        let outcome = guest(&tap, ",vhost=on", &script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("reached"), ["64", "128", "turn1", "turn2"], "{outcome}");
    });
}

#[test]
fn pairs_of_queues_are_switched_on_and_off() {
    patiently(|| {
        let Some(tap) = Tap::with_queues("10.214.6.1/24") else { return };
        let script = "
        for count in 1 2 1 2; do
            ethtool -L eth0 combined $count
            for try in 1 2 3; do
                ping -c 2 -s 3000 10.214.6.1 >/dev/null && echo reached=$count
            done
        done
        poweroff -f";
        let outcome = guest(&tap, ",vhost=on,queues=2", script).cpus(2).run();
        outcome.expect(0, POWERED_OFF);
        expect_mover(&outcome, BY_KERNEL);
        let wanted = [["1"; 3], ["2"; 3], ["1"; 3], ["2"; 3]].concat();
        assert_eq!(Report::of(&outcome).all("reached"), wanted, "{outcome}");
    });
}

#[test]
fn a_message_follows_its_processor() {
    patiently(|| {
        let Some(tap) = Tap::new("10.214.7.1/24") else { return };
        let outcome = messages_follow("10.214.7.1", |script| guest(&tap, ",vhost=on", script));
        expect_mover(&outcome, BY_KERNEL);
    });
}
