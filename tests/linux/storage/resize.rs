//! Disks that grow while the guest runs.

use std::fs::File;

use testing::{Signal, TRANSPORTS, patiently};

use super::{guest, host, raw};
use crate::POWERED_OFF;
use crate::report::Report;

#[test]
fn a_grown_disk_is_seen_after_sighup_and_can_be_written() {
    for transport in TRANSPORTS {
        patiently(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = raw(&folder, "disk.img", 8);
            host("mkfs.ext4", &["-q", "-F"], &path);
            // A kernel may refuse writes to a disk that is mounted.
            let script = "
            size() { cat /sys/block/vda/size; }
            mount -t ext4 /dev/vda /mnt || echo failed=mount
            echo size=$(size)
            until [ $(size) = 49152 ]; do usleep 10000; done
            umount /mnt
            dd if=/dev/zero of=/dev/vda bs=1M count=1 seek=23 conv=fsync 2>/dev/null || echo failed=end
            dd if=/dev/zero of=/dev/vda bs=1M count=1 seek=24 conv=fsync 2>/dev/null && echo failed=past
            poweroff -f";
            let guest = guest(script).transport(transport).disk(&path, "");
            let mut guest = guest.spawn();
            guest.wait_for("size=16384");
            File::options().write(true).open(&path).unwrap().set_len(24 << 20).unwrap();
            let outcome = {
                guest.signal(Signal::SIGHUP);
                guest.wait()
            };
            outcome.expect(0, POWERED_OFF);
            assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
            host("e2fsck", &["-f", "-n"], &path);
        });
    }
}
