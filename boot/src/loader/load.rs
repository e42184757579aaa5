use std::io::{Seek, SeekFrom};

use vm_memory::{Bytes, GuestAddress};
use vmm_core::arch::x86_64::{EntryPoint, layout};
use vmm_core::mem::{GuestRam, RamRegion};

use super::error::LoadError;
use super::image::{Protocol, Segment};
use super::kernel::Kernel;
use super::{multiboot, place, pvh};
use crate::linux::{Initrd, zero_page};

/// Puts a guest into `ram`: kernel, initrds, command line, and the boot
/// information of the kernel's protocol.
///
/// `ram` must be fresh, that is zero: what kernel files leave to be zeroed
/// is not touched, so that the host need not back it. `cmdline` arrives byte
/// for byte. Linux gets the `initrds` as one, each starting at a multiple of
/// 4 bytes; Multiboot kernels get each as a module named for its file.
/// `rsdp` is what [`crate::acpi::write`] returned.
///
/// Everything is checked before the first byte is copied.
///
/// # Errors
/// [`LoadError`] if something does not fit, or a file cannot be read.
pub fn load(
    ram: &GuestRam,
    kernel: &mut Kernel,
    initrds: &[Initrd],
    cmdline: &str,
    rsdp: GuestAddress,
) -> Result<EntryPoint, LoadError> {
    kernel.check_cmdline(cmdline)?;
    let ram_end = place::low_ram_end(ram);
    let kernel_end = place::kernel(kernel, ram_end)?;
    let regions = place::initrds(kernel, initrds, kernel_end, ram_end)?;

    let entry = write_boot_info(ram, kernel, initrds, &regions, rsdp)?;
    write_cmdline(ram, cmdline)?;
    for segment in &kernel.image.segments {
        copy_segment(ram, kernel, segment)?;
    }
    for (initrd, region) in initrds.iter().zip(&regions) {
        initrd.copy_to(ram, region.base)?;
    }
    Ok(entry)
}

/// Writes what the kernel's protocol tells it at its entry.
fn write_boot_info(
    ram: &GuestRam,
    kernel: &Kernel,
    initrds: &[Initrd],
    regions: &[RamRegion],
    rsdp: GuestAddress,
) -> Result<EntryPoint, LoadError> {
    let rip = kernel.image.entry;
    let initrd = whole(regions);
    Ok(match &kernel.image.protocol {
        Protocol::BzImage(header) => {
            let boot_params = zero_page::write(ram, Some(header), initrd, rsdp)?;
            EntryPoint::Linux64 { rip, boot_params }
        }
        Protocol::Linux64 => {
            let boot_params = zero_page::write(ram, None, initrd, rsdp)?;
            EntryPoint::Linux64 { rip, boot_params }
        }
        Protocol::Pvh => {
            let start_info = pvh::write(ram, initrd, rsdp)?;
            EntryPoint::Pvh { rip, start_info }
        }
        Protocol::Multiboot => {
            let info = multiboot::write(ram, initrds, regions)?;
            EntryPoint::Multiboot { rip, info }
        }
    })
}

/// From the first region's start to the last one's end.
fn whole(regions: &[RamRegion]) -> Option<RamRegion> {
    let (first, last) = (regions.first()?, regions.last()?);
    Some(RamRegion { base: first.base, size: last.base + last.size - first.base })
}

/// Copies from the file into guest memory, without a buffer between.
fn copy_segment(ram: &GuestRam, kernel: &Kernel, segment: &Segment) -> Result<(), LoadError> {
    let mut file = &kernel.file;
    file.seek(SeekFrom::Start(segment.offset))
        .map_err(|source| LoadError::Seek { path: kernel.path.clone(), source })?;
    let size = usize::try_from(segment.file_size).expect("it fits into guest memory");
    ram.read_exact_volatile_from(GuestAddress(segment.address), &mut file, size)
        .map_err(|source| LoadError::Copy { path: kernel.path.clone(), source })
}

fn write_cmdline(ram: &GuestRam, cmdline: &str) -> Result<(), LoadError> {
    let mut bytes = Vec::with_capacity(cmdline.len() + 1);
    bytes.extend_from_slice(cmdline.as_bytes());
    bytes.push(0);
    Ok(ram.write_slice(&bytes, GuestAddress(layout::CMDLINE))?)
}
