//! What was written is what is read, and what a file system makes of it.

use std::path::PathBuf;

use testing::{Guest, TRANSPORTS, kernel, patiently};

use super::{MOUNT_TOOLS, host, qcow2, raw, to_raw};
use crate::POWERED_OFF;
use crate::report::Report;

/// Debian's kernel: fio needs System V's shared memory.
fn debian_guest(script: &str) -> Guest {
    let modules: Vec<PathBuf> = ["drivers/virtio/virtio_mmio", "drivers/block/virtio_blk"]
        .map(|name| kernel(&format!("debian/cloud/modules/kernel/{name}.ko.xz")))
        .into();
    let insert = "
    for module in virtio_mmio virtio_blk; do
        insmod /modules/$module.ko || echo failed=$module
    done";
    let script = format!("{insert}{MOUNT_TOOLS}{script}\n poweroff -f");
    let guest = Guest::linux_with_modules(&kernel("debian/cloud/vmlinux"), &modules, &script);
    guest.append("quiet").cpus(2)
}

/// Makes a file system on the first two disks and fills it.
const FILL: &str = "
    for disk in vda vdb; do
        mkdir /mnt/$disk
        chroot /tools /bin/mke2fs -q -t ext4 /dev/$disk || echo failed=mkfs-$disk
        mount -t ext4 /dev/$disk /mnt/$disk || echo failed=mount-$disk
        for size in 1 100 4097 300000 4000000; do
            head -c $size /dev/urandom >/mnt/$disk/$size || echo failed=write-$disk
        done
        mkdir /mnt/$disk/many
        for i in $(seq 200); do echo $i >/mnt/$disk/many/$i; done
        rm /mnt/$disk/many/*7 /mnt/$disk/300000
        before=$(cat /mnt/$disk/[0-9]* /mnt/$disk/many/* | md5sum)
        umount /mnt/$disk
        echo 3 >/proc/sys/vm/drop_caches
        mount -t ext4 /dev/$disk /mnt/$disk || echo failed=again-$disk
        after=$(cat /mnt/$disk/[0-9]* /mnt/$disk/many/* | md5sum)
        [ \"$before\" = \"$after\" ] || echo failed=sum-$disk
        umount /mnt/$disk
    done
";

/// Has fio write all over the other two in pieces of all sizes, from two
/// processors at a time, and read it back.
const VERIFY: &str = "
    for disk in vdc vdd; do
        echo queues=$(ls /sys/block/$disk/mq | wc -l)
        chroot /tools /bin/fio --name=$disk --filename=/dev/$disk --thread --numjobs=2 \\
            --size=8M --offset_increment=8M --rw=randwrite --bsrange=512-64k --blockalign=512 \\
            --ioengine=libaio --iodepth=16 --direct=1 --fsync=64 \\
            --verify=crc32c --verify_fatal=1 --random_generator=lfsr >/tmp/fio 2>&1 ||
            { cat /tmp/fio; echo failed=fio-$disk; }
    done
";

fn files_and_blocks_come_back(transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    let files = [raw(&folder, "files.img", 48), qcow2(&folder, "files.qcow2", 48)];
    let blocks = [raw(&folder, "blocks.img", 16), qcow2(&folder, "blocks.qcow2", 16)];
    let guest = debian_guest(&format!("{FILL}{VERIFY}"));
    let guest = guest.transport(transport);
    let guest = guest.disk(&files[0], "").disk(&files[1], "");
    let guest = guest.disk(&blocks[0], ",queues=2").disk(&blocks[1], ",format=qcow2,queues=2");
    let outcome = guest.disk(&testing::tools(), ",readonly,id=tools").run();
    outcome.expect(0, POWERED_OFF);
    let report = Report::of(&outcome);
    assert_eq!(report.all("failed"), [""; 0], "{outcome}");
    assert_eq!(report.all("queues"), ["2", "2"]);
    host("e2fsck", &["-f", "-n"], &files[0]);
    host("e2fsck", &["-f", "-n"], &to_raw(&folder, &files[1]));
    to_raw(&folder, &blocks[1]);
}

#[test]
fn files_and_blocks_come_back_over_each_transport_in_each_format() {
    for transport in TRANSPORTS {
        patiently(|| files_and_blocks_come_back(transport));
    }
}
