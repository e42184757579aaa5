//! The PCI bus: what is on it, windows that move, messages and pins.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use testing::{Guest, Outcome};

use crate::POWERED_OFF;

/// So many disks of 64 sectors in a folder.
fn disks(count: usize) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = (0..count).map(|n| folder.path().join(n.to_string())).collect::<Vec<_>>();
    for path in &paths {
        fs::write(path, [0; 64 * 512]).unwrap();
    }
    (folder, paths)
}

/// A guest that obeys `words` with so many disks on PCI.
fn run(words: &[&str], count: usize) -> Outcome {
    let (_folder, paths) = disks(count);
    let guest = Guest::tiny(words).transport("pci");
    paths.iter().fold(guest, |guest, path| guest.disk(path, "")).run()
}

#[test]
fn the_bus_is_full_at_31_devices_each_with_windows_and_a_line() {
    let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
    // The entropy device is the last.
    let outcome = run(&["pci", "end:poweroff"], 30);
    outcome.expect(0, POWERED_OFF);
    let text = outcome.text();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("pci: slot 0 is 1b36:8, class 60000, line 0"));
    let (mut windows, mut ports) = (Vec::new(), Vec::new());
    for slot in 1..32 {
        let line = lines.next().unwrap();
        let kind = if slot < 31 { "1042, class 18000" } else { "1044, class ff0000" };
        let start = format!("pci: slot {slot} is 1af4:{kind}, line {}", 16 + slot % 8);
        let rest = line.strip_prefix(&start).unwrap_or_else(|| panic!("{line}"));
        for window in rest.split(", ").skip(1) {
            let (size, place) = window.split_once(" at ").unwrap();
            let (of_kind, base) = match place.strip_prefix("port ") {
                Some(base) => (&mut ports, number(base)),
                None => (&mut windows, number(place)),
            };
            assert!(base % number(size) == 0, "{line}");
            of_kind.push((base, base + number(size)));
        }
    }
    for (mut windows, each, place) in
        [(windows, 2, 0xe800_0000..1 << 32), (ports, 1, 0xc000..0xd000)]
    {
        assert_eq!(windows.len(), 31 * each);
        windows.sort_unstable();
        let are_apart = windows.is_sorted_by(|one, next| one.1 <= next.0);
        let are_inside = windows[0].0 >= place.start && windows.last().unwrap().1 <= place.end;
        assert!(are_apart && are_inside, "{outcome}");
    }
    assert_eq!(lines.next(), Some("pci: slots free 0"));
}

#[test]
fn a_32nd_device_is_refused_in_words() {
    let outcome = run(&["end:poweroff"], 31);
    let reason = "kiln: --transport pci: 32 virtio devices are more than the 31 that a machine takes \
        with it";
    outcome.expect(125, reason);
}

#[test]
fn a_machine_without_pci_has_none() {
    let (_folder, paths) = disks(1);
    let guest = Guest::tiny(&["pci", "end:cf9"]).transport("mmio");
    let outcome = guest.disk(&paths[0], "").run();
    outcome.expect(0, crate::RESTARTED);
    assert_eq!(outcome.text(), "pci: none\n");
}

#[test]
fn the_reset_register_between_the_configuration_ports_resets() {
    run(&["pci", "end:cf9"], 0).expect(0, crate::RESTARTED);
}

#[test]
fn masked_messages_wait_and_new_ones_arrive() {
    let outcome = run(&["msix", "end:poweroff"], 1);
    outcome.expect(0, POWERED_OFF);
    let expected = "msix: the entry's mask holds back 2\n\
        msix: unmasked, the entry sends 1\n\
        msix: the function's mask holds back 2\n\
        msix: unmasked, the function sends 1\n\
        msix: another message arrives\n\
        msix: by the pin, status 0\n";
    assert_eq!(outcome.text(), expected);
}

#[test]
fn a_device_works_by_its_pin() {
    let outcome = run(&["intx", "blk", "hostile:reset", "end:poweroff"], 1);
    outcome.expect(0, POWERED_OFF);
    assert!(outcome.text().contains("blk: interrupts 7\n"), "{outcome}");
    assert_eq!(outcome.text().matches("hostile: status 0 after").count(), 20, "{outcome}");
}

#[test]
fn a_device_works_where_its_window_was_moved_to() {
    let outcome = run(&["pcimove:ef000000", "blk", "load:read:8:200", "end:poweroff"], 1);
    outcome.expect(0, POWERED_OFF);
    let text = outcome.text();
    assert!(text.starts_with("pcimove: from e8000000 to ef000000\n"), "{outcome}");
    assert!(text.contains("blk: interrupts 7\n"), "{outcome}");
    assert!(text.contains("load: read, depth 8: 200 requests"), "{outcome}");
}
