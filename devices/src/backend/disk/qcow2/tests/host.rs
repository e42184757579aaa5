//! What is left on the host: space given back, and images of killed processes.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use super::*;
use crate::backend::disk::Stable;
use crate::programs;

const MIB: u64 = 1 << 20;

/// The space that an image takes, in bytes.
fn space(images: &Images, name: &str) -> u64 {
    fs::metadata(images.path(name)).unwrap().blocks() * 512
}

#[test]
fn discarded_space_goes_back_to_the_host_unless_it_is_to_stay() {
    let images = Images::new();
    images.write("base", &[9; 4 << 20]);
    for (options, sparse) in [("compat=1.1", true), ("compat=0.10", true), ("compat=1.1", false)] {
        images.qemu_img(&format!("convert -f raw -O qcow2 -o {options} base disk"));
        let path = images.path("disk");
        let disk =
            Qcow2Disk::open(&path, OpenOptions { sparse, ..OpenOptions::default() }).unwrap();
        assert_eq!(disk.geometry().discard_granularity > 0, sparse);
        let before = space(&images, "disk");
        disk.discard(MIB, MIB).unwrap();
        disk.write_zeroes(2 * MIB, MIB, true).unwrap();
        disk.write_zeroes(3 * MIB, MIB, false).unwrap();
        disk.flush().unwrap();
        let freed = before - space(&images, "disk");
        assert_eq!(freed / MIB, if sparse { 2 } else { 0 }, "{options}, sparse {sparse}");
        let mut bytes = vec![1; 4 << 20];
        read(&disk, &mut bytes, 0);
        assert!(bytes[..1 << 20] == vec![9; 1 << 20] && bytes[2 << 20..] == vec![0; 2 << 20]);
        drop(disk);
        images.qemu_img("check -q disk");
    }
}

#[test]
fn a_flush_is_the_images_business_while_it_has_metadata_to_write() {
    let images = Images::new();
    images.qemu_img("create -q -f qcow2 disk 1M");
    let disk = images.open("disk");
    let is_plain = || matches!(disk.stable(), Stable::File(_));
    assert!(is_plain());
    write(&disk, &[1; 512], 0);
    assert!(!is_plain());
    disk.flush().unwrap();
    assert!(is_plain());
    write(&disk, &[2; 512], 512);
    assert!(is_plain());
    disk.write_zeroes(0, 1024, true).unwrap();
    assert!(is_plain());
}

#[test]
fn zeros_in_front_of_a_backing_file_take_no_space() {
    let images = Images::new();
    images.write("base", &[9; 4 << 20]);
    images.qemu_img("create -q -f qcow2 -b base -F raw disk");
    let disk = images.open("disk");
    let before = space(&images, "disk");
    disk.write_zeroes(MIB, 2 * MIB, false).unwrap();
    disk.flush().unwrap();
    let mut bytes = vec![1; 2 << 20];
    read(&disk, &mut bytes, 1 << 20);
    assert!(bytes == vec![0; 2 << 20]);
    // An L2 table and no more.
    assert!(space(&images, "disk") - before <= 128 << 10);
}

#[test]
fn a_disk_that_is_only_read_leaves_its_file_alone() {
    let images = Images::new();
    images.qemu_img("create -q -f qcow2 disk 1M");
    let before = fs::read(images.path("disk")).unwrap();
    let disk = Qcow2Disk::open(&images.path("disk"), OpenOptions::read_only()).unwrap();
    assert!(disk.is_read_only());
    assert_eq!(disk.geometry().discard_granularity, 0);
    read(&disk, &mut vec![0; 1 << 20], 0);
    disk.flush().unwrap();
    drop(disk);
    assert!(before == fs::read(images.path("disk")).unwrap());
}

/// A child that writes to this image until it is killed: this same test program.
const WRITE: &str = "KILN_TEST_WRITE_DISK";
const SECTORS: usize = 8192;

/// Where write number `n` goes.
fn place_of(n: usize) -> usize {
    n * 2_654_435_761 % SECTORS * 512
}

fn sector_of(n: usize) -> Vec<u8> {
    n.to_le_bytes().repeat(512 / size_of::<usize>())
}

#[test]
fn write_to_a_disk_for_another_test() {
    let Some(path) = std::env::var_os(WRITE) else { return };
    let disk = Qcow2Disk::open(path.as_ref(), OpenOptions::default()).unwrap();
    for n in 1.. {
        write(&disk, &sector_of(n), place_of(n));
        // Several between flushes, so that some are in memory when it ends.
        if n % 4 == 0 {
            disk.flush().unwrap();
            println!("flushed {n}");
        }
    }
}

/// Writes until `writes` have been flushed, and is killed; how many were.
fn write_and_be_killed(path: &Path, writes: usize) -> usize {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["write_to_a_disk_for_another_test", "--nocapture"]).env(WRITE, path);
    let mut child = programs::start(command.stdout(Stdio::piped())).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut flushed = || {
        let line = lines.next()?.unwrap();
        Some(line.rsplit_once("flushed ").map_or(0, |(_, n)| n.parse().unwrap()))
    };
    let mut last = 0;
    while last < writes {
        last = flushed().unwrap();
    }
    child.kill().unwrap();
    // What it said before it was killed counts too.
    while let Some(n) = flushed() {
        last = last.max(n);
    }
    child.wait().unwrap();
    last
}

#[test]
fn a_killed_process_leaves_all_that_it_flushed_and_no_lock() {
    let images = Images::new();
    for round in 0..6 {
        images.qemu_img("create -q -f qcow2 -o cluster_size=512 disk 4M");
        let flushed = write_and_be_killed(&images.path("disk"), 60 + 37 * round);
        let checked = qemu_img_output(&["check", "disk"], images.dir.path());
        // 3 is leaked clusters and nothing else.
        assert!(matches!(checked.status.code(), Some(0 | 3)), "{checked:?}");
        let disk = images.open("disk");
        // A later write to the same place may be there as well; their numbers
        // are this far apart.
        let may_be = |n: usize| (n..).step_by(SECTORS).take(20);
        for n in 1..=flushed {
            let mut sector = vec![0; 512];
            read(&disk, &mut sector, place_of(n));
            assert!(may_be(n).any(|m| sector == sector_of(m)), "write {n} of {flushed} is lost");
        }
    }
}
