//! What a disk keeps, and how it changes under a guest that runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testing::{Guest, Signal, TRANSPORTS};

use crate::POWERED_OFF;

const SECTOR: u64 = 512;
/// How far apart the records of the tiny guest lie, in sectors.
const STRIDE: u64 = 1031;
/// Sectors of the disks here: no multiple of the stride's factors.
const SECTORS: u64 = 1 << 12;

/// An image of nothing.
fn raw(folder: &TempDir, sectors: u64) -> PathBuf {
    let path = folder.path().join("disk.img");
    File::create(&path).unwrap().set_len(sectors * SECTOR).unwrap();
    path
}

fn qemu_img(arguments: &[&str], paths: &[&Path]) {
    let output = Command::new("qemu-img").args(arguments).args(paths).output();
    let output = output.expect("qemu-img can be run (package qemu-utils)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {arguments:?}: {said}");
}

/// The number that each sector of a raw image holds in all its words.
fn numbers(image: &[u8]) -> Vec<u64> {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let sector_number = |sector: &[u8]| {
        let number = word(&sector[..8]);
        let is_whole = sector.chunks(8).all(|bytes| word(bytes) == number);
        assert!(is_whole, "the record {number} is torn");
        number
    };
    image.chunks(512).map(sector_number).collect()
}

/// Kills Kiln in the midst of a guest's writing, again and again. Each time,
/// all that the guest was told to be flushed must be on the disk. Each
/// transport has every other turn.
fn survives_kills(disk: &Path, options: &str, contents: impl Fn() -> Vec<u8>) {
    const TURNS: u64 = 50;
    let mut acknowledged = vec![0; usize::try_from(SECTORS).unwrap()];
    let mut next = 1;
    for turn in 0..TURNS {
        let transport = TRANSPORTS[usize::from(turn % 2 == 0)];
        let guest = Guest::tiny(&[&format!("records:{next}")]).transport(transport);
        let mut guest = guest.disk(disk, options).spawn();
        // Each turn is cut off at another place.
        guest.wait_for(&format!("record {}\n", next + turn % 7));
        guest.signal(Signal::SIGKILL);
        let outcome = guest.wait();
        // A line that was cut off does not count.
        let last = next - 1 + outcome.text().matches('\n').count() as u64;
        for number in next..=last {
            acknowledged[usize::try_from(number * STRIDE % SECTORS).unwrap()] = number;
        }
        // The guest was further than its console when the kill came: newer
        // records may be there, each in the place of one that was overwritten.
        let found = numbers(&contents());
        for number in found.iter().filter(|number| **number > last) {
            acknowledged[usize::try_from(number * STRIDE % SECTORS).unwrap()] = *number;
        }
        let lost = found.iter().zip(&acknowledged).position(|(is, was)| is != was);
        assert_eq!(lost, None, "in turn {turn}, records {next} to {last}");
        next = found.iter().fold(last, |last, number| last.max(*number)) + 1;
    }
}

#[test]
fn what_a_guest_flushed_to_a_raw_disk_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let disk = raw(&folder, SECTORS);
    survives_kills(&disk, "", || fs::read(&disk).unwrap());
}

#[test]
fn what_a_guest_flushed_to_a_qcow2_disk_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk.qcow2");
    let copy = folder.path().join("copy.img");
    let size = (SECTORS * SECTOR).to_string();
    qemu_img(
        &["create", "-q", "-f", "qcow2", "-o", "cluster_size=4096"],
        &[&disk, Path::new(&size)],
    );
    survives_kills(&disk, ",format=qcow2", || {
        // Clusters may be left over after a kill; nothing may be wrong.
        qemu_img(&["check", "-q", "-r", "leaks"], &[&disk]);
        qemu_img(&["convert", "-O", "raw"], &[&disk, &copy]);
        fs::read(&copy).unwrap()
    });
}

/// A guest that watches its disk of 64 sectors change so many times.
fn watcher(disk: &Path, transport: &str, changes: u32) -> testing::Running {
    let words = [&*format!("capacity:{changes}"), "end:poweroff"];
    let mut guest =
        Guest::tiny(&words).transport(transport).arg("-v").disk(disk, ",id=growing").spawn();
    guest.wait_for("capacity: 64 sectors\n");
    guest
}

fn resize(disk: &Path, sectors: u64) {
    File::options().write(true).open(disk).unwrap().set_len(sectors * SECTOR).unwrap();
}

#[test]
fn a_disk_that_grew_is_seen_after_a_hang_up() {
    for transport in TRANSPORTS {
        let folder = tempfile::tempdir().unwrap();
        let disk = raw(&folder, 64);
        let mut guest = watcher(&disk, transport, 2);
        resize(&disk, 128);
        guest.signal(Signal::SIGHUP).wait_for("capacity: 128 sectors\n");
        resize(&disk, 1 << 33);
        guest.signal(Signal::SIGHUP).wait_for("capacity: 8589934592 sectors\n");
        guest.wait_for("capacity: last sector 0, next 1\n");
        guest.wait().expect(0, POWERED_OFF);
    }
}

#[test]
fn a_disk_that_shrank_is_told_and_nothing_else_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let disk = raw(&folder, 64);
    let mut guest = watcher(&disk, TRANSPORTS[0], 1);
    resize(&disk, 8);
    guest.signal(Signal::SIGHUP).wait_for("capacity: 8 sectors\n");
    guest.wait_for("capacity: last sector 0, next 1\n");
    let outcome = guest.wait();
    outcome.expect(0, POWERED_OFF);
    let name = format!("disk growing ({})", disk.display());
    let line = format!("kiln: warn: {name} has 4096 bytes now, 32768 before\n");
    assert!(outcome.stderr.contains(&line), "{outcome}");
    // What it is and how it is served was said at the start.
    assert!(outcome.stderr.contains(&format!("{name}: 32768 bytes in blocks of 512")), "{outcome}");
}

#[test]
fn a_hang_up_with_nothing_to_see_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = raw(&folder, 64);
    let mut guest = watcher(&disk, TRANSPORTS[0], 1);
    guest.signal(Signal::SIGHUP).wait_for_stderr("is as large as it was");
    resize(&disk, 65);
    guest.signal(Signal::SIGHUP).wait_for("capacity: 65 sectors\n");
    guest.wait().expect(0, POWERED_OFF);
}

#[test]
fn a_disk_whose_thread_fails_ends_the_run_and_names_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let disk = raw(&folder, SECTORS);
    let guest = Guest::tiny(&["blk", "end:spin"]).disk(&disk, "");
    let outcome = guest.env("KILN_TEST_PANIC", "blk0q0").run();
    assert_eq!(outcome.status, 125, "{outcome}");
    assert!(outcome.stderr.contains("internal error in thread blk0q0"), "{outcome}");
}
