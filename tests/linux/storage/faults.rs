//! What goes wrong on the host, and how little of that a guest notices.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use testing::{TRANSPORTS, patiently, pattern};

use super::{guest, host, qcow2, raw};
use crate::POWERED_OFF;
use crate::report::Report;

/// A small file system in memory, until dropped.
struct Small(PathBuf);

impl Small {
    /// None if this process may not mount one.
    fn new(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=12M", "tmpfs"];
        let output = Command::new("mount").args(options).arg(at).output();
        let is_mounted = output.expect("mount can be run").status.success();
        if !is_mounted {
            eprintln!("skipped: this process may not mount a tmpfs");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        host("umount", &[], &self.0);
    }
}

#[test]
fn a_full_host_fails_that_write_and_nothing_else() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let Some(small) = Small::new(&folder.path().join("small")) else { return };
        let a = small.0.join("a.img");
        File::create(&a).unwrap().set_len(16 << 20).unwrap();
        let b = small.0.join("b.qcow2");
        let path = b.to_str().unwrap();
        host("qemu-img", &["create", "-q", "-f", "qcow2", path], Path::new("16M"));
        let c = raw(&folder, "c.img", 8);
        let source = raw(&folder, "d.img", 0);
        fs::write(&source, pattern(4 << 20)).unwrap();
        let filler = small.0.join("filler");
        fs::write(&filler, vec![1; 10 << 20]).unwrap();
        let script = "
        copy() {
            dd if=/dev/vdd of=/dev/$2 bs=64k conv=fsync 2>/dev/null && echo $1-$2=written
        }
        for disk in vda vdb vdc; do copy full $disk; done
        echo waiting
        read line
        for disk in vda vdb vdc; do copy free $disk; done
        poweroff -f";
        let guest = guest(script).disk(&a, "").disk(&b, "").disk(&c, "");
        let mut guest = guest.disk(&source, ",readonly").stdin_pipe().spawn();
        guest.wait_for("waiting");
        fs::remove_file(&filler).unwrap();
        guest.write("\n");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        for disk in ["vda", "vdb"] {
            assert_eq!(report.all(&format!("full-{disk}")), [""; 0], "{outcome}");
            assert_eq!(report.one(&format!("free-{disk}")), "written");
        }
        assert_eq!((report.one("full-vdc"), report.one("free-vdc")), ("written", "written"));
        assert!(outcome.stderr.contains("No space left on device"), "{outcome}");
        assert!(!outcome.stderr.contains("os error"), "{outcome}");
        for image in [&a, &super::to_raw(&folder, &b), &c] {
            assert!(fs::read(image).unwrap()[..4 << 20] == pattern(4 << 20)[..]);
        }
    });
}

/// Takes the driver from its disks and gives it back, again and again, while
/// they are read and written. All queues are reset with requests in flight.
const RESET: &str = "
    driver=/sys/bus/virtio/drivers/virtio_blk
    device() { readlink -f /sys/block/$1/device; }
    for disk in vda vdb; do
        device=$(basename $(device $disk))
        for i in 1 2 3; do
            for at in 0 1 2 3; do
                dd if=/dev/vdc of=/dev/$disk bs=16k count=64 seek=$((at * 64)) oflag=direct \\
                    2>/dev/null &
            done
            dd if=/dev/$disk of=/dev/null bs=512 count=4096 iflag=direct 2>/dev/null &
            [ $i = 1 ] || usleep ${i}0000
            echo $device >$driver/unbind
            echo $device >$driver/bind || echo failed=bind-$disk
        done
        dd if=/dev/vdc of=/dev/$disk bs=64k conv=fsync 2>/dev/null || echo failed=after-$disk
    done
    poweroff -f";

#[test]
fn disks_can_be_reset_with_requests_in_flight() {
    for transport in TRANSPORTS {
        patiently(|| {
            let folder = tempfile::tempdir().unwrap();
            let [a, source] = ["a.img", "source.img"].map(|name| raw(&folder, name, 4));
            let b = qcow2(&folder, "b.qcow2", 4);
            fs::write(&source, pattern(4 << 20)).unwrap();
            let guest = guest(RESET).cpus(2).transport(transport);
            let outcome = guest.disk(&a, "").disk(&b, "").disk(&source, ",readonly").run();
            outcome.expect(0, POWERED_OFF);
            assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
            for image in [&a, &super::to_raw(&folder, &b)] {
                assert!(fs::read(image).unwrap() == pattern(4 << 20));
            }
        });
    }
}
