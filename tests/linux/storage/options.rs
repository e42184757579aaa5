//! What each option of a disk is to the guest.

use std::fs;

use testing::{patiently, pattern};

use super::{guest, qcow2, raw};
use crate::POWERED_OFF;
use crate::report::Report;

const DESCRIBE: &str = "
    describe() {
        cd /sys/block/$1
        echo $1=$(cat serial) ro$(cat ro) q$(ls mq | wc -l) n$(cat mq/0/nr_tags) \\
            b$(cat queue/logical_block_size) $(cat queue/write_cache)
    }
";

#[test]
fn a_guest_sees_what_was_asked_for() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.img", "b.img", "c.img", "d.img"];
        let [a, b, c, d] = names.map(|name| raw(&folder, name, 8));
        let e = qcow2(&folder, "e.img", 8);
        let copy = "dd bs=64k oflag=direct conv=fsync 2>/dev/null";
        let script = format!(
            "{DESCRIBE}
        for disk in vda vdb vdc vdd vde; do describe $disk; done
        # Flushes go on and off while the disk is in use.
        echo 'write through' >/sys/block/vdb/cache_type
        echo through=$(cat /sys/block/vdb/queue/write_cache)
        head -c 3000000 /dev/vda | {copy} of=/dev/vdb || echo failed=through
        echo 'write back' >/sys/block/vdb/cache_type
        echo back=$(cat /sys/block/vdb/queue/write_cache)
        for disk in vdb vdc vdd vde; do
            {copy} if=/dev/vda of=/dev/$disk || echo failed=$disk
        done
        poweroff -f"
        );
        fs::write(&a, pattern(8 << 20)).unwrap();
        let guest = guest(&script).cpus(3).transport("pci");
        let guest = guest
            .disk(&a, ",id=first,readonly,format=raw")
            .disk(&b, ",id=second,serial=S-2,queues=2,queue-size=16")
            .disk(&c, ",cache=direct,queues=1")
            .disk(&d, ",cache=unsafe")
            .disk(&e, ",format=qcow2,cache=direct");
        let outcome = guest.run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        // Unless it is told how many, one queue for each processor.
        assert_eq!(report.one("vda"), "first ro1 q3 n256 b512 write back");
        assert_eq!(report.one("vdb"), "S-2 ro0 q2 n16 b512 write back");
        assert!(report.one("vdc").starts_with("disk2 ro0 q1 n256 b"), "{outcome}");
        assert_eq!(report.one("vdd"), "disk3 ro0 q3 n256 b512 write back");
        assert!(report.one("vde").starts_with("disk4 ro0 q3 n256 b"), "{outcome}");
        assert_eq!((report.one("through"), report.one("back")), ("write through", "write back"));
        let copy = super::to_raw(&folder, &e);
        for image in [&b, &c, &d, &copy] {
            assert!(fs::read(image).unwrap() == pattern(8 << 20), "{} differs", image.display());
        }
    });
}

/// A limit saves up what is not used for this part of a second.
const BURST: f64 = 0.1;

#[test]
fn limits_hold_and_do_not_mix() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.img", "b.img", "c.img"];
        let [a, b, c] = names.map(|name| raw(&folder, name, 8));
        let script = "
        timed() {
            start=$(cut -d' ' -f1 /proc/uptime)
            dd if=/dev/$2 of=/dev/null iflag=direct bs=$3 count=$4 2>/dev/null || echo failed=$1
            echo $1=$start $(cut -d' ' -f1 /proc/uptime)
        }
        timed requests vda 4k 300
        timed bytes vdb 256k 32
        timed free vdc 256k 32
        poweroff -f";
        let guest = guest(script).disk(&a, ",iops=100").disk(&b, ",bandwidth=4M").disk(&c, "");
        let outcome = guest.run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        let seconds = |name| {
            let (from, to) = report.one(name).split_once(' ').unwrap();
            to.parse::<f64>().unwrap() - from.parse::<f64>().unwrap()
        };
        // None is let through faster, not even by the last one's size; how
        // much slower is the machine's business.
        assert!(seconds("requests") > 299.0 / 100.0 - BURST - 0.05, "{outcome}");
        assert!(seconds("bytes") > 7.75 / 4.0 - BURST - 0.05, "{outcome}");
    });
}
