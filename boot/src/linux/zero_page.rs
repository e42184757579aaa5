//! Linux's `boot_params`, "the zero page".
//!
//! Source: Linux, Documentation/arch/x86/boot.rst and zero-page.rst.

use linux_loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{Bytes, GuestAddress, GuestMemory, GuestMemoryError};
use vmm_core::arch::x86_64::layout;
use vmm_core::mem::{GuestRam, RamRegion};
use vmm_core::sys::fill_random;

use super::memory_map;

/// A boot loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
const BOOT_FLAG: u16 = 0xaa55;
const MAGIC: u32 = u32::from_le_bytes(*b"HdrS");
/// Boot protocol 2.12: the first with a 64-bit entry.
const VERSION: u16 = 0x020c;

/// `SETUP_RNG_SEED`: random bytes, which the kernel wipes once it has them.
const RNG_SEED: u32 = 9;
/// As many bits as the kernel wants before it trusts its own random numbers.
const SEED_BYTES: u8 = 32;

/// Writes `boot_params` with the `header` of a bzImage, or one of our own
/// for an ELF file; returns the address.
pub(crate) fn write(
    ram: &GuestRam,
    header: Option<&setup_header>,
    initrd: Option<RamRegion>,
    rsdp: GuestAddress,
) -> Result<u64, GuestMemoryError> {
    let mut params = boot_params {
        hdr: header.copied().unwrap_or(setup_header {
            boot_flag: BOOT_FLAG,
            header: MAGIC,
            version: VERSION,
            ..Default::default()
        }),
        acpi_rsdp_addr: rsdp.0,
        ..Default::default()
    };
    let low = |address: u64| u32::try_from(address).expect("it lies in low memory");
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.cmd_line_ptr = low(layout::CMDLINE);
    params.hdr.setup_data = write_seed(ram)?;
    if let Some(initrd) = initrd {
        params.hdr.ramdisk_image = low(initrd.base);
        params.hdr.ramdisk_size = low(initrd.size);
    }
    let map = memory_map(ram);
    for (entry, range) in params.e820_table.iter_mut().zip(&map) {
        *entry = boot_e820_entry { addr: range.base, size: range.size, type_: range.kind.code() };
    }
    params.e820_entries = u8::try_from(map.len()).expect("a map has a handful of ranges");
    ram.write_obj(params, GuestAddress(layout::ZERO_PAGE))?;
    Ok(layout::ZERO_PAGE)
}

/// Writes a seed for the kernel's random numbers, which it then has before
/// anything of it asks for one; returns the address, or 0 if the host has none.
fn write_seed(ram: &GuestRam) -> Result<u64, GuestMemoryError> {
    let next = 0_u64.to_le_bytes();
    let header =
        [&next[..], &RNG_SEED.to_le_bytes(), &u32::from(SEED_BYTES).to_le_bytes()].concat();
    ram.write_slice(&header, GuestAddress(layout::SETUP_DATA))?;
    let seed = GuestAddress(layout::SETUP_DATA + 16);
    let has_seed = fill_random(&ram.get_slice(seed, usize::from(SEED_BYTES))?).is_ok();
    Ok(if has_seed { layout::SETUP_DATA } else { 0 })
}
