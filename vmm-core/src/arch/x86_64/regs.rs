//! Register values with which the boot processor enters a kernel.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

use super::EntryPoint;
use super::layout::{GDT, PAGE_TABLES};
use crate::mem::GuestRam;

/// Selectors that the Linux boot protocol fixes (`__BOOT_CS`, `__BOOT_DS`).
const CODE: u16 = 0x10;
const DATA: u16 = 0x18;
const TASK: u16 = 0x20;

/// Control register and EFER bits (Intel SDM 3A §2.5, §2.2.1).
const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

/// Present, writable (Intel SDM 3A §4.5); and the size bit of a 2 MiB page.
const PTE_TABLE: u64 = 0b11;
const PTE_LARGE: u64 = PTE_TABLE | 1 << 7;
const LARGE_PAGE: u64 = 2 << 20;
const ENTRIES: u64 = 512;
const GIB_MAPPED: u64 = 4;

/// What a Multiboot kernel finds in EAX (Multiboot 0.6.96 §3.2).
const MULTIBOOT_MAGIC: u64 = 0x2bad_b002;

/// Puts the descriptor table, and page tables if long mode needs them, into
/// guest memory and returns the registers for `entry`, over `sregs` as KVM
/// gave them at reset.
///
/// # Errors
/// If guest memory does not reach to the tables.
pub fn enter(
    ram: &GuestRam,
    entry: EntryPoint,
    mut sregs: kvm_sregs,
) -> Result<(kvm_regs, kvm_sregs), GuestMemoryError> {
    let long_mode = matches!(entry, EntryPoint::Linux64 { .. });
    set_segments(ram, &mut sregs, long_mode)?;
    if long_mode {
        write_page_tables(ram)?;
        sregs.cr3 = PAGE_TABLES;
        sregs.cr4 |= CR4_PAE;
        sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
        sregs.efer |= EFER_LME | EFER_LMA;
    } else {
        sregs.cr0 = CR0_PE | CR0_ET;
        sregs.cr4 = 0;
    }
    // Bit 1 of RFLAGS is always set; interrupts are off.
    let mut regs = kvm_regs { rflags: 2, ..Default::default() };
    match entry {
        EntryPoint::Linux64 { rip, boot_params } => {
            regs.rip = rip;
            regs.rsi = boot_params;
        }
        EntryPoint::Pvh { rip, start_info } => {
            regs.rip = rip;
            regs.rbx = start_info;
        }
        EntryPoint::Multiboot { rip, info } => {
            regs.rip = rip;
            regs.rax = MULTIBOOT_MAGIC;
            regs.rbx = info;
        }
    }
    Ok((regs, sregs))
}

fn set_segments(
    ram: &GuestRam,
    sregs: &mut kvm_sregs,
    long_mode: bool,
) -> Result<(), GuestMemoryError> {
    let code = kvm_segment {
        type_: 0xb, // execute, read, accessed
        l: u8::from(long_mode),
        db: u8::from(!long_mode),
        ..flat(CODE)
    };
    let data = kvm_segment { type_: 0x3, db: 1, ..flat(DATA) };
    let task = kvm_segment { type_: 0xb, s: 0, g: 0, limit: 0x67, ..flat(TASK) };
    let table = [0, 0, descriptor(&code), descriptor(&data), descriptor(&task), 0];
    let bytes: Vec<u8> = table.iter().flat_map(|d: &u64| d.to_le_bytes()).collect();
    ram.write_slice(&bytes, GuestAddress(GDT))?;
    sregs.gdt.base = GDT;
    sregs.gdt.limit = u16::try_from(bytes.len() - 1).expect("six descriptors");
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    sregs.cs = code;
    for segment in [&mut sregs.ds, &mut sregs.es, &mut sregs.fs, &mut sregs.gs, &mut sregs.ss] {
        *segment = data;
    }
    sregs.tr = task;
    Ok(())
}

/// A present segment over all 4 GiB.
fn flat(selector: u16) -> kvm_segment {
    kvm_segment { selector, limit: 0xffff_ffff, present: 1, s: 1, g: 1, ..Default::default() }
}

/// The descriptor table entry of a segment with base 0 (Intel SDM 3A §3.4.5).
fn descriptor(s: &kvm_segment) -> u64 {
    let limit = u64::from(if s.g == 1 { s.limit >> 12 } else { s.limit });
    let access = u64::from(s.type_) | u64::from(s.s) << 4 | u64::from(s.present) << 7;
    let flags = u64::from(s.l) << 1 | u64::from(s.db) << 2 | u64::from(s.g) << 3;
    (limit & 0xffff) | access << 40 | (limit >> 16 & 0xf) << 48 | flags << 52
}

/// Maps the first 4 GiB onto themselves with 2 MiB pages.
fn write_page_tables(ram: &GuestRam) -> Result<(), GuestMemoryError> {
    let page = 8 * ENTRIES;
    let (directory_pointers, directories) = (PAGE_TABLES + page, PAGE_TABLES + 2 * page);
    ram.write_obj(directory_pointers | PTE_TABLE, GuestAddress(PAGE_TABLES))?;
    let pointers: Vec<u8> = (0..GIB_MAPPED)
        .flat_map(|i| ((directories + i * page) | PTE_TABLE).to_le_bytes())
        .collect();
    ram.write_slice(&pointers, GuestAddress(directory_pointers))?;
    let entries: Vec<u8> = (0..GIB_MAPPED * ENTRIES)
        .flat_map(|i| ((i * LARGE_PAGE) | PTE_LARGE).to_le_bytes())
        .collect();
    ram.write_slice(&entries, GuestAddress(directories))
}
