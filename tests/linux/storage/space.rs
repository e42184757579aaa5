//! Space that a guest gives back.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use testing::patiently;

use super::{guest, host, raw};
use crate::POWERED_OFF;
use crate::report::Report;

/// A block device on a file, until dropped.
struct Loop(PathBuf);

impl Loop {
    /// None if this process may not make one.
    fn new(file: &Path) -> Option<Self> {
        // Where it is a module, it comes with its first use, or not at all.
        let _ = Command::new("modprobe").arg("loop").status();
        let output = Command::new("losetup").args(["--find", "--show"]).arg(file).output();
        let output = output.expect("losetup can be run (package mount)");
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("no block device is tried: losetup says {why}");
            return None;
        }
        Some(Self(String::from_utf8(output.stdout).unwrap().trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let status = Command::new("losetup").arg("--detach").arg(&self.0).status();
        assert!(status.unwrap().success(), "{} stays", self.0.display());
    }
}

fn mib_taken(path: &Path) -> u64 {
    (fs::metadata(path).unwrap().blocks() * 512) >> 20
}

const SCRIPT: &str = "
    disks=$(ls /sys/block | grep vd)
    for disk in $disks; do
        cd /sys/block/$disk/queue
        echo discard-$disk=$(cat discard_max_bytes)
        echo zeroes-$disk=$(cat write_zeroes_max_bytes)
        mkdir /mnt/$disk
        mount -t ext4 /dev/$disk /mnt/$disk || echo failed=mount-$disk
        head -c 12000000 /dev/zero | tr '\\0' x >/mnt/$disk/file
    done
    sync
    echo filled
    read line
    rm /mnt/*/file
    sync
    for disk in $disks; do
        fstrim /mnt/$disk 2>/dev/null || echo refused=$disk
    done
    umount /mnt/*
    echo trimmed
    read line
    poweroff -f";

#[test]
fn fstrim_gives_space_back_unless_that_is_off() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let names = ["plain.img", "kept.img", "below.img"];
        let [plain, kept, below] = names.map(|name| raw(&folder, name, 32));
        for image in [&plain, &kept, &below] {
            host("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0"], image);
        }
        let image = folder.path().join("disk.qcow2");
        let from = plain.to_str().unwrap();
        host("qemu-img", &["convert", "-O", "qcow2", from], &image);
        let device = Loop::new(&below);

        let guest = guest(SCRIPT).disk(&plain, "").disk(&image, "").disk(&kept, ",sparse=off");
        let guest = match &device {
            Some(device) => guest.disk(&device.0, ""),
            None => guest,
        };
        let mut guest = guest.stdin_pipe().spawn();
        guest.wait_for("filled");
        let mut sparse = vec![&plain, &image];
        sparse.extend(device.as_ref().map(|_| &below));
        for path in sparse.iter().chain([&&kept]) {
            let taken = mib_taken(path);
            assert!(taken >= 11, "{} takes only {taken} MiB", path.display());
        }
        guest.write("\n").wait_for("trimmed");
        for path in sparse {
            let taken = mib_taken(path);
            assert!(taken < 6, "{} still takes {taken} MiB", path.display());
        }
        assert!(mib_taken(&kept) >= 11, "space went back that was to be kept");
        guest.write("\n");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0]);
        assert_eq!(report.all("refused"), ["vdc"]);
        assert!(report.number("discard-vda") > 0 && report.number("discard-vdb") > 0);
        assert!(report.number("zeroes-vda") > 0 && report.number("zeroes-vdb") > 0);
        assert_eq!(report.number("discard-vdc"), 0);
        drop(device);
        for path in [&plain, &kept, &below, &super::to_raw(&folder, &image)] {
            host("e2fsck", &["-f", "-n"], path);
        }
    });
}
