use vm_memory::{Bytes, GuestAddress};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::{GuestRam, RamRegion};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{Immutable, IntoBytes};

use crate::linux::{Initrd, memory_map};
use crate::loader::LoadError;
use crate::loader::place::low_ram_end;

/// Which fields are valid: memory, command line, modules, memory map and
/// loader name (§3.3).
const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
const LOADER_NAME: &[u8] = b"kiln\0";
/// From the information structure to the command line.
const CAPACITY: u64 = layout::CMDLINE - layout::MULTIBOOT_INFO;

#[derive(Default, Immutable, IntoBytes)]
#[repr(C)]
struct Info {
    flags: U32,
    mem_lower: U32,
    mem_upper: U32,
    boot_device: U32,
    cmdline: U32,
    mods_count: U32,
    mods_addr: U32,
    syms: [U32; 4],
    mmap_length: U32,
    mmap_addr: U32,
    drives_length: U32,
    drives_addr: U32,
    config_table: U32,
    boot_loader_name: U32,
    apm_table: U32,
    vbe: [U32; 4],
}

#[derive(Immutable, IntoBytes)]
#[repr(C)]
struct MapEntry {
    /// Bytes that follow this field.
    size: U32,
    base: U64,
    length: U64,
    kind: U32,
}

#[derive(Immutable, IntoBytes)]
#[repr(C)]
struct ModuleEntry {
    start: U32,
    end: U32,
    string: U32,
    reserved: U32,
}

/// Where the parts lie: the information, the map, the modules, the strings.
struct Plan {
    map: u64,
    modules: u64,
    strings: u64,
}

/// Writes the information structure and what it points at; returns its
/// address. Each initrd is a module named for its file.
pub(in crate::loader) fn write(
    ram: &GuestRam,
    initrds: &[Initrd],
    regions: &[RamRegion],
) -> Result<u64, LoadError> {
    let map = memory_map(ram);
    let plan = plan(map.len(), initrds.len());
    let mut strings = LOADER_NAME.to_vec();
    let mut modules = Vec::with_capacity(initrds.len());
    for (initrd, region) in initrds.iter().zip(regions) {
        modules.push(ModuleEntry {
            start: address(region.base),
            end: address(region.base + region.size),
            string: address(plan.strings + length(strings.len())),
            reserved: U32::ZERO,
        });
        strings.extend_from_slice(initrd.name());
        strings.push(0);
    }
    if plan.strings + length(strings.len()) > layout::MULTIBOOT_INFO + CAPACITY {
        return Err(LoadError::Modules { count: modules.len() });
    }
    let map: Vec<_> = map
        .iter()
        .map(|range| MapEntry {
            size: U32::new(20),
            base: U64::new(range.base),
            length: U64::new(range.size),
            kind: U32::new(range.kind.code()),
        })
        .collect();
    let info = info(ram, &plan, map.len(), modules.len());
    ram.write_slice(info.as_bytes(), GuestAddress(layout::MULTIBOOT_INFO))?;
    ram.write_slice(map.as_bytes(), GuestAddress(plan.map))?;
    ram.write_slice(modules.as_bytes(), GuestAddress(plan.modules))?;
    ram.write_slice(&strings, GuestAddress(plan.strings))?;
    Ok(layout::MULTIBOOT_INFO)
}

fn plan(ranges: usize, modules: usize) -> Plan {
    let map = layout::MULTIBOOT_INFO + length(size_of::<Info>());
    let modules_at = map + length(ranges * size_of::<MapEntry>());
    let strings = modules_at + length(modules * size_of::<ModuleEntry>());
    Plan { map, modules: modules_at, strings }
}

fn info(ram: &GuestRam, plan: &Plan, ranges: usize, modules: usize) -> Info {
    let upper = low_ram_end(ram).saturating_sub(layout::HIGH_MEMORY);
    Info {
        flags: U32::new(FLAGS),
        mem_lower: address(layout::EBDA >> 10),
        mem_upper: address(upper >> 10),
        cmdline: address(layout::CMDLINE),
        mods_count: address(length(modules)),
        mods_addr: address(plan.modules),
        mmap_length: address(length(ranges * size_of::<MapEntry>())),
        mmap_addr: address(plan.map),
        boot_loader_name: address(plan.strings),
        ..Default::default()
    }
}

/// An address or a count below 4 GiB.
fn address(value: u64) -> U32 {
    U32::new(u32::try_from(value).expect("all of it lies in low RAM"))
}

fn length(value: usize) -> u64 {
    u64::try_from(value).expect("a length has at most 64 bits")
}
