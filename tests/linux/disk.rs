//! Disks under a Linux guest.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testing::{Guest, kernel, patiently, pattern};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF, RESTARTED};

fn guest(script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), script).append("quiet")
}

/// An image of `mib` MiB of nothing.
fn image(mib: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(mib << 20).unwrap();
    (folder, path)
}

/// Runs a program of the host, from e2fsprogs.
fn host(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{program} says {said}");
}

#[test]
fn a_reboot_keeps_flushed_data() {
    patiently(|| {
        let (_folder, path) = image(64);
        host("mkfs.ext4", &["-q", "-F"], &path);
        let write = "
        mount -t ext4 /dev/vda /mnt || echo failed=mount
        dd if=/dev/urandom of=/mnt/file bs=64k count=128 conv=fsync 2>/dev/null || echo failed=dd
        echo sum=$(md5sum </mnt/file)
        reboot -f";
        // Without an unmount: what was flushed is what counts.
        let first = guest(write).disk(&path, "").run();
        first.expect(0, RESTARTED);
        let read = "
        mount -t ext4 /dev/vda /mnt || echo failed=mount
        echo sum=$(md5sum </mnt/file)
        umount /mnt
        poweroff -f";
        let second = guest(read).disk(&path, "").run();
        second.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&first).all("failed"), [""; 0]);
        assert_eq!(Report::of(&first).one("sum"), Report::of(&second).one("sum"));
        host("e2fsck", &["-f", "-n"], &path);
    });
}

#[test]
fn a_readonly_disk_can_only_be_read() {
    patiently(|| {
        let (_folder, path) = image(16);
        host("mkfs.ext4", &["-q", "-F"], &path);
        let before = fs::read(&path).unwrap();
        let script = "
        echo ro=$(cat /sys/block/vda/ro)
        dd if=/dev/zero of=/dev/vda bs=4k count=4 conv=fsync 2>/dev/null && echo wrote=yes
        mount -t ext4 -o ro /dev/vda /mnt && echo mounted=yes
        poweroff -f";
        let outcome = guest(script).disk(&path, ",readonly").run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.number("ro"), report.one("mounted")), (1, "yes"));
        assert!(report.all("wrote").is_empty(), "{outcome}");
        assert!(fs::read(&path).unwrap() == before);
    });
}

#[test]
fn each_disk_has_its_own_size_and_serial_number() {
    patiently(|| {
        let (_a, first) = image(8);
        let (_b, second) = image(24);
        let script = "
        for disk in vda vdb; do
            echo $disk=$(cat /sys/block/$disk/size):$(cat /sys/block/$disk/serial)
        done
        poweroff -f";
        let guest =
            guest(script).disk(&first, ",id=first").disk(&second, ",id=second-disk,readonly");
        let outcome = guest.run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.one("vda"), report.one("vdb")), ("16384:first", "49152:second-disk"));
    });
}

#[test]
fn large_direct_transfers_copy_a_disk_exactly() {
    patiently(|| {
        const SIZE: usize = 24 << 20;
        let (_a, source) = image(0);
        let (_b, target) = image(24);
        fs::write(&source, pattern(SIZE)).unwrap();
        // Requests of all sizes, past the page cache on both sides.
        let script = "
        dd if=/dev/vda of=/dev/vdb bs=4M count=4 iflag=direct oflag=direct 2>/dev/null || echo failed=1
        dd if=/dev/vda of=/dev/vdb bs=4k skip=4096 seek=4096 count=1024 iflag=direct \
            oflag=direct 2>/dev/null || echo failed=2
        dd if=/dev/vda of=/dev/vdb bs=512 skip=40960 seek=40960 count=512 iflag=direct \
            oflag=direct 2>/dev/null || echo failed=3
        dd if=/dev/vda of=/dev/vdb bs=256k skip=81 seek=81 conv=fsync 2>/dev/null || echo failed=4
        poweroff -f";
        let outcome = guest(script).cpus(2).disk(&source, ",readonly").disk(&target, "").run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0]);
        assert!(fs::read(&target).unwrap() == pattern(SIZE), "the copy differs");
    });
}

#[test]
fn a_disk_is_the_root_of_a_guest_without_initrd() {
    patiently(|| {
        let (folder, path) = image(32);
        let root = folder.path().join("root");
        for name in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::copy(testing::busybox(), root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        host("mkfs.ext4", &["-q", "-F", "-d", root.to_str().unwrap()], &path);
        // The default command line names the disk as root; only init is added.
        let guest = Guest::with_kernel(&kernel(MINIMAL)).disk(&path, "");
        let guest = guest.patience(std::time::Duration::from_secs(300));
        let init = "init=/bin/busybox -- poweroff -f";
        guest.append(init).run().expect(0, POWERED_OFF);
    });
}

#[test]
fn io_continues_while_all_processors_are_busy() {
    patiently(|| {
        let (_folder, path) = image(32);
        // Three on two processors leave none idle. Each sleeps a moment now and
        // then: in the lab a timer's interrupt can be lost, and a program that
        // never calls its kernel then has the processor for good.
        let script = "
        for i in 1 2 3; do
            (while :; do
                n=0; while [ $n -lt 5000 ]; do n=$((n + 1)); done
                usleep 1
            done) &
        done
        for i in 1 2 3 4; do
            dd if=/dev/zero of=/dev/vda bs=64k count=16 seek=$((i * 64)) conv=fsync \
                2>/dev/null && echo written=$i &
            writers=\"$writers $!\"
        done
        wait $writers && echo done=yes
        poweroff -f";
        let outcome = guest(script).cpus(2).disk(&path, "").run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.one("done"), "yes", "{outcome}");
        assert_eq!(report.all("written").len(), 4, "{outcome}");
    });
}
