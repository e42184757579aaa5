use std::time::Duration;

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use vmm_core::kvm::KvmCounts;
use vmm_core::vcpu::Snapshot;

use super::*;
use crate::symbols::Symbols;

const ENTRY: u64 = 0xffff_ffff_8120_0000;

fn symbols() -> Symbols {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("System.map");
    std::fs::write(&map, "ffffffff81000000 T idle\nffffffff81200000 T entry_SYSCALL_64\n").unwrap();
    Symbols::read(&map).unwrap()
}

fn at(rip: u64, lstar: u64) -> Snapshot {
    Snapshot {
        regs: kvm_regs { rip, rax: 0xabc, ..Default::default() },
        sregs: kvm_sregs {
            cs: kvm_segment { selector: 0x10, ..Default::default() },
            ..Default::default()
        },
        lstar: Some(lstar),
        halted: false,
    }
}

#[test]
fn a_place_has_its_function_wherever_the_kernel_was_put() {
    let names = Names::of(symbols(), false);
    let here = at(0xffff_ffff_8100_0012, ENTRY);
    assert_eq!(names.place(&here), "RIP 0xffffffff81000012 idle+0x12");
    let moved = Snapshot { halted: true, ..at(0xffff_ffff_9100_0012, ENTRY + 0x1000_0000) };
    assert_eq!(names.place(&moved), "RIP 0xffffffff91000012 idle+0x12, halted");
}

#[test]
fn a_place_without_a_name_is_an_address() {
    let none = Names::default();
    assert_eq!(none.place(&at(0x1000, ENTRY)), "RIP 0x1000");
    assert!(none.lack(Some(ENTRY)).unwrap().contains("--vmlinux"));
    let names = Names::of(symbols(), false);
    let early = at(0xffff_ffff_8100_0012, 0);
    assert_eq!(names.place(&early), "RIP 0xffffffff81000012", "it may lie anywhere yet");
    assert_eq!(names.lack(Some(0)), None);
    let image = Names::of(symbols(), true);
    assert!(image.place(&early).ends_with(" idle+0x12"), "an ELF image is not moved");
    let foreign = at(0xffff_ffff_8100_0012, ENTRY + 1);
    assert_eq!(names.place(&foreign), "RIP 0xffffffff81000012");
    assert!(names.lack(Some(ENTRY + 1)).unwrap().contains("another kernel's"));
}

#[test]
fn a_program_is_not_taken_for_the_kernel() {
    let mut program = at(0x40_1000, ENTRY);
    program.sregs.cs.selector = 0x33;
    assert_eq!(Names::of(symbols(), false).place(&program), "RIP 0x401000 in a program");
}

#[test]
fn a_report_has_registers_and_exits_of_each_processor() {
    let names = Names::of(symbols(), false);
    let snapshots = [Some(at(0xffff_ffff_8100_0000, ENTRY)), None];
    let counted = Exits { kvm: Some(KvmCounts::default()), ..Exits::default() };
    let exits = (Duration::from_millis(1040), vec![counted, Exits::default()]);
    let text = report(&snapshots, &names, &exits).join("\n");
    assert!(text.starts_with("processor 0: RIP 0xffffffff81000000 idle+0x0\n"), "{text}");
    assert!(text.contains("RAX 0000000000000abc  RBX"), "{text}");
    assert!(text.contains("exits in the last 1.0 s: none"), "{text}");
    assert_eq!(text.matches("  counted by KVM: none").count(), 1, "{text}");
    assert!(text.contains("processor 1 is held up outside of the guest"), "{text}");
}

#[test]
fn a_note_is_one_line_that_tells_of_the_console() {
    let snapshots = vec![Some(at(0x1000, 0)); 6];
    let exits = (Duration::from_secs(1), vec![Exits::default(); 6]);
    let with = |cmdline: &str| note(&snapshots, &Names::default(), &exits, cmdline);
    let text = with("console=tty0 quiet console=ttyS0");
    assert!(!text.contains('\n') && text.contains("processor 3 at RIP 0x1000, 2 more;"), "{text}");
    assert!(text.ends_with("; console=tty0 console=ttyS0 is given"), "{text}");
    assert!(with("quiet").ends_with("no console= is given, so that a Linux kernel shows nothing"));
}

#[test]
fn the_console_shows_its_last_twenty_lines() {
    let output: String = (0..50).map(|line| format!("line {line}\r\n")).collect();
    let lines = console_lines(output.as_bytes());
    assert_eq!(lines.len(), 21);
    assert_eq!(lines[0], "the last 20 lines of the console:");
    assert_eq!((lines[1].as_str(), lines[20].as_str()), ("  | line 30", "  | line 49"));
    assert_eq!(console_lines(b"")[0], "the console has shown nothing");
    assert_eq!(console_lines(b"a"), ["the last line of the console:", "  | a"]);
    let long = console_lines(&[b'x'; 4096]);
    assert!(long[1].len() < 500);
}
