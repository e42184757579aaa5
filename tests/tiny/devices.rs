//! Virtio devices, driven register by register.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use testing::{Guest, TRANSPORTS, Tap};

use crate::POWERED_OFF;

const SECTOR: usize = 512;

/// A disk of 64 sectors whose first starts with a text.
fn disk() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    let mut bytes = vec![0; 64 * SECTOR];
    bytes[..13].copy_from_slice(b"sector number");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn a_disk_serves_each_kind_of_request_with_interrupts() {
    for transport in TRANSPORTS {
        let (_folder, path) = disk();
        let guest = Guest::tiny(&["blk", "end:poweroff"]).transport(transport);
        let outcome = guest.disk(&path, ",id=root,serial=my-disk").run();
        outcome.expect(0, POWERED_OFF);
        let expected = "blk: 64 sectors\n\
            blk: id status 0 <my-disk>\n\
            blk: read status 0 <sector number>\n\
            blk: write status 0\n\
            blk: read status 0 <written by the tiny guest>\n\
            blk: flush status 0\n\
            blk: status past the end 1\n\
            blk: status of nonsense 2\n\
            blk: interrupts 7\n";
        assert_eq!(outcome.text(), expected);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 64 * SECTOR);
        assert!(bytes[SECTOR..].starts_with(b"written by the tiny guest...."));
        assert!(bytes[2 * SECTOR..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn a_disk_serves_a_driver_in_ring_3_that_polls() {
    for transport in TRANSPORTS {
        let (_folder, path) = disk();
        fs::write(&path, [0xaa; 64 * SECTOR]).unwrap();
        let words = ["load:write:32:2000", "load:read:1:500", "load:read:64:2000", "end:poweroff"];
        let outcome = Guest::tiny(&words).transport(transport).disk(&path, "").run();
        outcome.expect(0, POWERED_OFF);
        let text = outcome.text();
        let said: Vec<_> =
            text.lines().filter_map(|line| line.split_once(" requests in")).collect();
        let said: Vec<_> = said.into_iter().map(|(said, _)| said).collect();
        let expected = [
            "load: write, depth 32: 2000",
            "load: read, depth 1: 500",
            "load: read, depth 64: 2000",
        ];
        assert_eq!(said, expected, "{outcome}");
        assert!(fs::read(&path).unwrap() == [0; 64 * SECTOR], "the guest wrote zeros everywhere");
    }
}

#[test]
fn a_readonly_disk_refuses_writes_and_stays_as_it_was() {
    for transport in TRANSPORTS {
        let (_folder, path) = disk();
        let before = fs::read(&path).unwrap();
        let guest = Guest::tiny(&["blk", "end:poweroff"]).transport(transport);
        let outcome = guest.disk(&path, ",readonly").run();
        outcome.expect(0, POWERED_OFF);
        assert!(outcome.text().contains("blk: 64 sectors, read-only\n"), "{outcome}");
        assert!(outcome.text().contains("blk: write status 1\n"), "{outcome}");
        assert!(fs::read(&path).unwrap() == before);
    }
}

#[test]
fn a_disk_survives_every_abuse_and_serves_on() {
    for transport in TRANSPORTS {
        for (abuse, served) in [
            ("rewrite", 1),
            ("overrun", 1),
            ("loop", 1),
            ("reset", 20),
            ("widths", 1),
            ("nowhere", 2),
        ] {
            let (_folder, path) = disk();
            let words = [&*format!("hostile:{abuse}"), "blk", "end:poweroff"];
            let outcome = Guest::tiny(&words).transport(transport).disk(&path, "").run();
            outcome.expect(0, POWERED_OFF);
            let good = outcome.text().matches("hostile: status 0 after").count();
            assert_eq!(good, served, "{transport} {abuse}\n{outcome}");
            assert!(outcome.text().contains("blk: flush status 0\n"), "{abuse}\n{outcome}");
        }
    }
}

#[test]
fn an_interface_sends_a_frame_and_receives_the_answer() {
    let Some(tap) = Tap::new("10.211.77.1/24") else { return };
    for transport in TRANSPORTS {
        let guest = Guest::tiny(&["arp:10.211.77.2:10.211.77.1", "end:poweroff"]);
        let guest = guest.transport(transport);
        let outcome =
            guest.arg("--net").arg(format!("tap={},mac=52:54:00:12:34:56", tap.name())).run();
        outcome.expect(0, POWERED_OFF);
        let text = outcome.text();
        assert!(text.starts_with("arp: I am 52:54:00:12:34:56\n"), "{outcome}");
        let address = fs::read_to_string(format!("/sys/class/net/{}/address", tap.name())).unwrap();
        assert!(text.ends_with(&format!("arp: the host is {address}")), "{outcome}");
    }
}

#[test]
fn many_devices_are_each_at_their_place() {
    let disks: Vec<_> = (0..8).map(|_| disk()).collect();
    let guest = Guest::tiny(&["acpi", "blk", "end:poweroff"]).transport("mmio");
    let guest = disks.iter().fold(guest, |guest, (_, path)| guest.disk(path, ""));
    let outcome = guest.run();
    outcome.expect(0, POWERED_OFF);
    // The ninth is the entropy device.
    assert_eq!(outcome.text().matches("acpi: device at").count(), 9, "{outcome}");
    // The first is the one that is written to.
    let written = disks.iter().map(|(_, path)| fs::read(path).unwrap()[SECTOR] != 0);
    assert_eq!(
        written.collect::<Vec<_>>(),
        [true, false, false, false, false, false, false, false]
    );
}
