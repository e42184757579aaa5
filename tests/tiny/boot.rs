//! Entering a guest, and what it is told.

use std::fs;

use testing::{Form, Guest, fnv1a};

use crate::POWERED_OFF;

#[test]
fn each_image_is_entered_by_its_own_protocol() {
    for form in Form::ALL {
        let outcome = Guest::tiny_as(form, &["entry", "end:poweroff"]).run();
        let protocol = match form {
            Form::Pvh => "pvh",
            Form::Elf64 | Form::BzImage => "linux64",
            Form::Multiboot => "multiboot",
        };
        outcome.expect(0, POWERED_OFF);
        assert_eq!(outcome.text(), format!("entry: {protocol}\n"), "{form:?}");
    }
}

#[test]
fn the_command_line_arrives_byte_exact() {
    // Spaces at both ends and in a row, quotes, UTF-8, and a ` -- `.
    let line = r#" cmdline  end:poweroff a="b  c" ünï=\x20%s$HOME'  x=1 -- y=2  "#;
    for form in Form::ALL {
        let outcome = Guest::tiny_as(form, &[line]).run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(outcome.text(), format!("cmdline: <{line}>\n"), "{form:?}");
    }
}

#[test]
fn a_long_command_line_arrives_whole() {
    for (form, length) in [
        (Form::Elf64, 2047),
        // The limit in the image's header.
        (Form::BzImage, 4095),
        (Form::Multiboot, 65535),
    ] {
        let mut line = "cmdline end:poweroff x=".to_owned();
        line.push_str(&"y".repeat(length - line.len()));
        let outcome = Guest::tiny_as(form, &[&line]).run();
        outcome.expect(0, POWERED_OFF);
        assert!(outcome.text() == format!("cmdline: <{line}>\n"), "{form:?}: {outcome}");
    }
}

#[test]
fn what_is_appended_comes_before_the_dashes() {
    let outcome = Guest::tiny(&["cmdline x=1 -- y=2"]).append("a=1").append("end:poweroff").run();
    outcome.expect(0, POWERED_OFF);
    assert_eq!(outcome.text(), "cmdline: <cmdline x=1 a=1 end:poweroff -- y=2>\n");
}

#[test]
fn without_a_command_line_the_default_arrives() {
    // It has no ending, and the guest says so.
    let kernel = Guest::tiny(&[]);
    let outcome = kernel.arg("--cmdline").arg("").append("cmdline").run();
    assert_eq!(outcome.status, 2, "an option given twice is refused\n{outcome}");
}

#[test]
fn initrds_arrive_one_after_the_other_each_padded() {
    let folder = tempfile::tempdir().unwrap();
    let contents: [&[u8]; 3] = [b"first", b"the second", &[0xa5; 4096]];
    let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
    let mut expected = Vec::new();
    for (path, content) in paths.iter().zip(contents) {
        fs::write(path, content).unwrap();
        expected.resize(expected.len().next_multiple_of(4), 0);
        expected.extend_from_slice(content);
    }
    for form in [Form::Pvh, Form::Elf64, Form::BzImage] {
        let guest = Guest::tiny_as(form, &["initrd", "end:poweroff"]);
        let outcome = paths.iter().fold(guest, |guest, path| guest.initrd(path)).run();
        outcome.expect(0, POWERED_OFF);
        // The last one's padding may be counted or not.
        let padded = {
            let mut all = expected.clone();
            all.resize(all.len().next_multiple_of(4), 0);
            all
        };
        let told = [&expected, &padded]
            .map(|all| format!("initrd: {} bytes, hash {:x}\ninitrds: 1\n", all.len(), fnv1a(all)));
        assert!(told.contains(&outcome.text()), "{form:?}\n{outcome}");
    }
}

#[test]
fn multiboot_modules_arrive_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    fs::write(&paths[0], b"first").unwrap();
    fs::write(&paths[1], vec![7; 5000]).unwrap();
    let guest = Guest::tiny_as(Form::Multiboot, &["initrd", "end:poweroff"]);
    let outcome = guest.initrd(&paths[0]).initrd(&paths[1]).run();
    outcome.expect(0, POWERED_OFF);
    let lines = format!(
        "initrd: 5 bytes, hash {:x}\ninitrd: 5000 bytes, hash {:x}\ninitrds: 2\n",
        fnv1a(b"first"),
        fnv1a(&vec![7; 5000])
    );
    assert_eq!(outcome.text(), lines);
}

/// The map leaves out 1 KiB below 640 KiB and what PCs have up to 1 MiB.
const LOW_HOLE_KIB: u64 = 1024 - 0x9_fc00 / 1024;

#[test]
fn all_memory_is_there_on_both_sides_of_the_gap() {
    for (size, mib) in [("256M", 256), ("3G", 3072), ("4G", 4096), ("6G", 6144)] {
        for form in Form::ALL {
            let outcome = Guest::tiny_as(form, &["memmap", "end:poweroff"]).memory(size).run();
            outcome.expect(0, POWERED_OFF);
            let sum = format!("ram: {} KiB\n", mib * 1024 - LOW_HOLE_KIB);
            assert!(outcome.text().ends_with(&sum), "{size}, {form:?}: not {sum}\n{outcome}");
            no_overlaps(&outcome.text());
        }
    }
}

fn no_overlaps(map: &str) {
    let mut ranges: Vec<(u64, u64)> = map
        .lines()
        .filter_map(|line| line.strip_prefix("memmap: "))
        .map(|line| {
            let mut numbers = line.split(' ').map(|n| u64::from_str_radix(n, 16).unwrap());
            (numbers.next().unwrap(), numbers.next().unwrap())
        })
        .collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "ranges overlap\n{map}");
    }
}

#[test]
fn acpi_tables_are_whole_and_name_every_device() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::write(&disk, vec![0; 1 << 20]).unwrap();
    for form in Form::ALL {
        let guest = Guest::tiny_as(form, &["acpi", "end:poweroff"]).cpus(3).transport("mmio");
        let outcome = guest.disk(&disk, ",readonly").run();
        outcome.expect(0, POWERED_OFF);
        let expected = "acpi: FACP\nacpi: APIC\nacpi: DSDT\nacpi: cpus 3\n\
            acpi: device at d0000000, gsi 5\nacpi: device at d0001000, gsi 6\n";
        assert_eq!(outcome.text(), expected, "{form:?}");
    }
}

#[test]
fn cpuid_spares_a_guest_all_measuring() {
    let outcome = Guest::tiny(&["cpuid", "tick", "end:poweroff"]).cpus(3).run();
    outcome.expect(0, POWERED_OFF);
    let text = outcome.text();
    let number_after = |start: &str| -> u64 {
        let rest = text.split(start).nth(1).unwrap_or_else(|| panic!("no {start}\n{text}"));
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    assert!(text.contains("cpuid: hypervisor KVMKVMKVM\n"), "{text}");
    assert!(text.contains("cpuid: x2apic 1 deadline 1 hypervisor 1\n"), "{text}");
    // The leaf's product is in Hz of whole kHz: both say the same.
    let tsc = number_after("cpuid: tsc ");
    assert!(tsc > 100_000, "{text}");
    assert_eq!(tsc, number_after("hypervisor's tsc "), "{text}");
    // Three cores of one thread each, of which this is the first.
    assert!(text.contains("cpuid: level 0 type 1 shift 0 cpus 1 id 0\n"), "{text}");
    assert!(text.contains("cpuid: level 1 type 2 shift 2 cpus 3 id 0\n"), "{text}");
    assert!(text.ends_with("tick: one-shot\ntick: deadline\n"), "{text}");
}
