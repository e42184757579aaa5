use std::path::PathBuf;

use vm_memory::{ByteValued, Bytes, GuestAddress};
use vmm_core::arch::x86_64::{EntryPoint, layout};
use vmm_core::mem::{GuestRam, allocate, plan};

use super::*;
use crate::{Initrd, KernelKind, LoadError, load};

const MIB: u64 = 1 << 20;
const RSDP: GuestAddress = GuestAddress(0xe_0000);

fn ram(size: u64) -> GuestRam {
    allocate(&plan(size)).unwrap()
}

fn bytes(ram: &GuestRam, address: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ram.read_slice(&mut bytes, GuestAddress(address)).unwrap();
    bytes
}

fn u32_at(ram: &GuestRam, address: u64) -> u64 {
    ram.read_obj::<u32>(GuestAddress(address)).unwrap().into()
}

fn u64_at(ram: &GuestRam, address: u64) -> u64 {
    ram.read_obj(GuestAddress(address)).unwrap()
}

/// Initrd files named `a`, `b`, ... with these contents.
fn initrds(contents: &[&[u8]]) -> (tempfile::TempDir, Vec<Initrd>) {
    let dir = tempfile::tempdir().unwrap();
    let open = |(name, contents): (u8, &&[u8])| {
        let path = dir.path().join(char::from(name).to_string());
        std::fs::write(&path, contents).unwrap();
        Initrd::open(path).unwrap()
    };
    let initrds = (b'a'..).zip(contents).map(open).collect();
    (dir, initrds)
}

/// The error of loading `file` into so much memory, its path as PATH.
fn refused(file: &[u8], memory: u64, contents: &[&[u8]], cmdline: &str) -> String {
    let (_file, mut kernel) = kernel(file);
    let (_dir, initrds) = initrds(contents);
    let error = load(&ram(memory), &mut kernel, &initrds, cmdline, RSDP).unwrap_err();
    error.to_string().replace(kernel.path().to_str().unwrap(), "PATH")
}

#[test]
fn a_linux_kernel_gets_another_seed_each_time() {
    let seeds = [(); 2].map(|()| {
        let ram = ram(64 * MIB);
        let (_file, mut kernel) = kernel(&bzimage(&[0x90; 0x210]));
        load(&ram, &mut kernel, &[], "", RSDP).unwrap();
        // setup_data: next, type (SETUP_RNG_SEED), length, bytes.
        let at = u64_at(&ram, layout::ZERO_PAGE + 0x250);
        assert_eq!((u64_at(&ram, at), u32_at(&ram, at + 8), u32_at(&ram, at + 12)), (0, 9, 32));
        bytes(&ram, at + 16, 32)
    });
    assert_ne!(seeds[0], seeds[1]);
    assert_ne!(seeds[0][16..], [0; 16]);
}

#[test]
fn a_bzimage_gets_its_own_header_and_our_fields() {
    let ram = ram(256 * MIB);
    let (_file, mut kernel) = kernel(&bzimage(&[0x90; 0x210]));
    let (_dir, initrds) = initrds(&[b"12345", b"678"]);
    let entry = load(&ram, &mut kernel, &initrds, "console=ttyS0", RSDP).unwrap();
    let zero = layout::ZERO_PAGE;
    assert_eq!(entry, EntryPoint::Linux64 { rip: BASE + 0x200, boot_params: zero });
    assert_eq!(bytes(&ram, BASE, 0x211), [&[0x90; 0x210][..], &[0]].concat());
    assert_eq!(bytes(&ram, layout::CMDLINE, 14), b"console=ttyS0\0");

    assert_eq!(u64_at(&ram, zero + 0x70), RSDP.0);
    assert_eq!(bytes(&ram, zero + 0x202, 4), b"HdrS");
    assert_eq!(bytes(&ram, zero + 0x210, 1), [0xff]);
    assert_eq!(u32_at(&ram, zero + 0x228), layout::CMDLINE);
    let initrd = u32_at(&ram, zero + 0x218);
    assert_eq!(u32_at(&ram, zero + 0x21c), 11);
    assert_eq!(initrd, 256 * MIB - 0x1000);
    assert_eq!(bytes(&ram, initrd, 12), b"12345\0\0\x00678\0");

    assert_eq!(bytes(&ram, zero + 0x1e8, 1), [5]);
    let e820 = |n: u64| {
        let at = zero + 0x2d0 + n * 20;
        (u64_at(&ram, at), u64_at(&ram, at + 8), u32_at(&ram, at + 16))
    };
    assert_eq!(e820(0), (0, 0x9_fc00, 1));
    assert_eq!(e820(1), (0x9_fc00, 0x6_0400, 2));
    assert_eq!(e820(2), (MIB, 255 * MIB, 1));
    assert_eq!(e820(3), (layout::PCI_ECAM, layout::PCI_ECAM_SIZE, 2));
    assert_eq!(e820(4), (0xfffb_c000, 0x4000, 2));
}

#[test]
fn the_initrd_stays_below_what_the_header_allows() {
    let mut file = bzimage(&[0x90; 0x210]);
    put(&mut file, 0x22c, &0x3f_ffff_u32.to_le_bytes());
    let ram = ram(256 * MIB);
    let (_file, mut kernel) = kernel(&file);
    let (_dir, initrds) = initrds(&[&[1; 0x1001]]);
    load(&ram, &mut kernel, &initrds, "", RSDP).unwrap();
    assert_eq!(u32_at(&ram, layout::ZERO_PAGE + 0x218), 4 * MIB - 0x2000);
    assert_eq!(
        refused(&file, 256 * MIB, &[&[1; 4 << 20]], ""),
        "the initrd (4 MiB) is too big: kernel PATH takes one of at most 1.9 MiB"
    );
}

#[test]
fn an_elf_kernel_gets_a_header_made_for_it() {
    let ram = ram(64 * MIB);
    let (_file, mut kernel) = kernel(&Elf::new().bytes());
    let entry = load(&ram, &mut kernel, &[], "x", RSDP).unwrap();
    let zero = layout::ZERO_PAGE;
    assert_eq!(entry, EntryPoint::Linux64 { rip: BASE, boot_params: zero });
    assert_eq!(bytes(&ram, BASE, 8), b"kernel\0\0");
    assert_eq!(bytes(&ram, zero + 0x1fe, 2), [0x55, 0xaa]);
    assert_eq!(bytes(&ram, zero + 0x202, 6), b"HdrS\x0c\x02");
    assert_eq!(u32_at(&ram, zero + 0x218), 0);
    assert_eq!(u32_at(&ram, zero + 0x21c), 0);
}

#[test]
fn a_pvh_kernel_gets_start_info() {
    let ram = ram(5 << 30);
    let (_file, mut kernel) = kernel(&Elf::new().with_note(pvh_note(BASE as u32)).bytes());
    let (_dir, initrds) = initrds(&[b"initrd"]);
    let entry = load(&ram, &mut kernel, &initrds, "quiet", RSDP).unwrap();
    let info = layout::PVH_START_INFO;
    assert_eq!(entry, EntryPoint::Pvh { rip: BASE, start_info: info });
    assert_eq!(bytes(&ram, info, 12), b"\x78\xc5\x6e\x33\x01\0\0\0\0\0\0\0");
    assert_eq!(u32_at(&ram, info + 12), 1);
    let module = u64_at(&ram, info + 16);
    assert_eq!(u64_at(&ram, module), layout::LOW_RAM_END - 0x1000);
    assert_eq!(u64_at(&ram, module + 8), 6);
    assert_eq!(bytes(&ram, u64_at(&ram, module), 6), b"initrd");
    assert_eq!(bytes(&ram, u64_at(&ram, info + 24), 6), b"quiet\0");
    assert_eq!(u64_at(&ram, info + 32), RSDP.0);
    let (map, entries) = (u64_at(&ram, info + 40), u32_at(&ram, info + 48));
    let last = map + (entries - 1) * 24;
    assert_eq!(u64_at(&ram, last), layout::HIGH_RAM);
    assert_eq!(u64_at(&ram, last + 8), 2 << 30);
    assert_eq!(u32_at(&ram, last + 16), 1);
}

#[test]
fn a_multiboot_kernel_gets_each_initrd_as_a_module() {
    let ram = ram(64 * MIB);
    let mut elf = Elf { wide: false, ..Elf::new() };
    elf.loads[0] = Load::at(BASE, &multiboot_header(0, None), 0x1234);
    let (_file, mut kernel) = kernel(&elf.bytes());
    let (_dir, initrds) = initrds(&[&[1; 0x1001], b"second"]);
    let entry = load(&ram, &mut kernel, &initrds, "arg0 arg1", RSDP).unwrap();
    let info = layout::MULTIBOOT_INFO;
    assert_eq!(entry, EntryPoint::Multiboot { rip: BASE, info });
    assert_eq!(u32_at(&ram, info), 0b10_0100_1101);
    assert_eq!((u32_at(&ram, info + 4), u32_at(&ram, info + 8)), (639, 63 * 1024));
    assert_eq!(bytes(&ram, u32_at(&ram, info + 16), 10), b"arg0 arg1\0");

    let modules = u32_at(&ram, info + 24);
    assert_eq!(u32_at(&ram, info + 20), 2);
    let (start, end) = (u32_at(&ram, modules + 16), u32_at(&ram, modules + 20));
    assert_eq!((start, end), (BASE + 0x4000, BASE + 0x4006));
    assert_eq!(bytes(&ram, start, 6), b"second");
    assert_eq!(bytes(&ram, u32_at(&ram, modules + 24), 2), b"b\0");

    let (size, map) = (u32_at(&ram, info + 44), u32_at(&ram, info + 48));
    assert_eq!((size, u32_at(&ram, map)), (5 * 24, 20));
    assert_eq!((u64_at(&ram, map + 52), u64_at(&ram, map + 60)), (MIB, 63 * MIB));
    assert_eq!(bytes(&ram, u32_at(&ram, info + 64), 5), b"kiln\0");
}

#[test]
fn names_of_too_many_modules_do_not_reach_the_command_line() {
    let mut elf = Elf::new();
    elf.loads[0] = Load::at(BASE, &multiboot_header(0, None), 0x1000);
    let (_file, mut kernel) = kernel(&elf.bytes());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("n".repeat(255));
    std::fs::write(&path, b"x").unwrap();
    let ram = ram(64 * MIB);
    let mut load = |count: usize| {
        let initrds: Vec<_> = (0..count).map(|_| Initrd::open(&path).unwrap()).collect();
        load(&ram, &mut kernel, &initrds, "intact", RSDP)
    };
    // 64 KiB less 221 bytes of others, 16 + 256 bytes for each.
    load(240).unwrap();
    let error = load(241).unwrap_err().to_string();
    assert_eq!(error, "241 initrds are too many for a Multiboot kernel");
    assert_eq!(bytes(&ram, layout::CMDLINE, 7), b"intact\0");
}

#[test]
fn memory_that_the_file_does_not_fill_is_not_written() {
    let ram = ram(64 * MIB);
    ram.write_slice(b"untouched", GuestAddress(BASE + 0x1000)).unwrap();
    let (_file, mut kernel) = kernel(&Elf::new().bytes());
    load(&ram, &mut kernel, &[], "", RSDP).unwrap();
    assert_eq!(bytes(&ram, BASE + 0x1000, 9), b"untouched");
}

#[test]
fn what_does_not_fit_is_refused_with_sizes_and_a_remedy() {
    let mut file = bzimage(&[0x90; 0x210]);
    assert_eq!(
        refused(&file, 2 * MIB, &[], ""),
        "kernel PATH needs guest memory up to 2 MiB (0x203000), the guest has 2 MiB (0x200000); \
         give it at least --memory 64M"
    );
    put(&mut file, 0x260, &(100_u32 << 20).to_le_bytes());
    assert_eq!(
        refused(&file, 64 * MIB, &[], ""),
        "kernel PATH needs guest memory up to 102 MiB (0x6600000), the guest has 64 MiB \
         (0x4000000); give it at least --memory 128M"
    );
    let initrd = vec![1; 27 << 20];
    assert_eq!(
        refused(&file, 128 * MIB, &[&initrd], ""),
        "the initrd (27 MiB) does not fit into the 26 MiB of guest memory that the kernel \
         leaves; give the guest at least --memory 192M"
    );
}

/// Loads a kernel whose first segment is at `paddr`, with a header or note
/// that makes it one of the three kinds of ELF kernels.
fn load_at(kind: KernelKind, paddr: u64, memsz: u64) -> Result<EntryPoint, LoadError> {
    let header = match kind {
        KernelKind::Multiboot => multiboot_header(0, None),
        _ => b"kernel".to_vec(),
    };
    let mut elf = Elf { entry: paddr, ..Elf::new() };
    elf.loads[0] = Load::at(paddr, &header, memsz);
    if kind == KernelKind::ElfPvh {
        elf = elf.with_note(note(b"Xen\0", 18, &paddr.to_le_bytes(), 4));
    }
    let (_file, mut kernel) = kernel(&elf.bytes());
    assert_eq!(kernel.kind(), kind);
    load(&ram(64 * MIB), &mut kernel, &[], "", RSDP)
}

#[test]
fn segments_outside_of_free_memory_are_refused() {
    use KernelKind::{Elf64, ElfPvh, Multiboot};
    for kind in [Elf64, ElfPvh, Multiboot] {
        for (paddr, memsz) in [
            (layout::GDT, 0x100),
            (layout::CMDLINE + 0xff00, 0x200),
            (layout::EBDA - 0x100, 0x101),
            (layout::ACPI, 0x1000),
            (layout::HIGH_MEMORY - 0x100, 0x200),
            (layout::LOW_RAM_END, 0x1000),
        ] {
            let result = load_at(kind, paddr, memsz);
            let misplaced = matches!(result, Err(LoadError::KernelMisplaced { .. }));
            assert!(misplaced, "{kind} at {paddr:#x}: {result:?}");
        }
        for paddr in [0x3_0000, layout::EBDA - 0x1000, 64 * MIB - 0x1000] {
            load_at(kind, paddr, 0x1000).unwrap();
        }
        let result = load_at(kind, 64 * MIB - 0x1000, 0x1001);
        assert!(matches!(result, Err(LoadError::KernelTooBig { .. })));
    }
    let result = load_at(Elf64, 1 << 33, 0x1000);
    assert_eq!(
        result.unwrap_err().to_string().split_once(" is ").unwrap().1,
        "to be loaded at 0x200000000..0x200001000, where this machine has no free memory"
    );
}

#[test]
fn memory_below_1_mib_is_free_where_the_protocol_puts_nothing() {
    use KernelKind::{Elf64, ElfPvh, Multiboot};
    for (paddr, free) in [
        (layout::PVH_START_INFO, [true, false, true]),
        (layout::ZERO_PAGE, [false, true, true]),
        (layout::PAGE_TABLES + 0x5000, [false, true, true]),
        (layout::MULTIBOOT_INFO, [true, true, false]),
        (layout::CMDLINE - 0x1000, [true, true, false]),
    ] {
        for (kind, free) in [Elf64, ElfPvh, Multiboot].into_iter().zip(free) {
            let result = load_at(kind, paddr, 0x1000);
            assert_eq!(result.is_ok(), free, "{kind} at {paddr:#x}: {result:?}");
        }
    }
}

#[test]
fn a_command_line_is_never_cut() {
    let file = bzimage(&[0x90; 0x210]);
    let ram = ram(64 * MIB);
    let (_file, mut kernel) = kernel(&file);
    let line = "x".repeat(2047);
    load(&ram, &mut kernel, &[], &line, RSDP).unwrap();
    assert_eq!(bytes(&ram, layout::CMDLINE, 2048), [line.as_bytes(), &[0]].concat());
    assert_eq!(
        refused(&file, 64 * MIB, &[], &"x".repeat(2048)),
        "the kernel command line is too long: it has 2048 bytes, this kernel takes at most 2047"
    );
    assert_eq!(
        refused(&file, 64 * MIB, &[], "a\nb"),
        "the kernel command line has a newline at byte 1; it must be one line of text"
    );
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_error() {
    let (file, mut kernel) = kernel(&bzimage(&[0x90; 0x2010]));
    file.as_file().set_len(2000).unwrap();
    let error = load(&ram(64 * MIB), &mut kernel, &[], "", RSDP).unwrap_err();
    assert!(matches!(error, LoadError::Copy { .. }), "{error}");
}

#[test]
fn bad_initrds_are_named() {
    let (dir, _) = initrds(&[]);
    let empty = dir.path().join("empty");
    std::fs::write(&empty, b"").unwrap();
    let said = |path: PathBuf| {
        let text = Initrd::open(&path).unwrap_err().to_string();
        text.replace(path.to_str().unwrap(), "PATH")
    };
    assert_eq!(said(empty), "initrd PATH is empty");
    assert_eq!(said(dir.path().to_owned()), "initrd PATH is a directory, not a file");
    assert_eq!(said(dir.path().join("missing")), "cannot open initrd PATH");
}

#[test]
fn the_structures_are_as_big_as_their_specifications_say() {
    use linux_loader::{bootparam, start_info};
    assert_eq!(bootparam::boot_params::default().as_slice().len(), 0x1000);
    assert_eq!(start_info::hvm_start_info::default().as_slice().len(), 56);
    assert_eq!(start_info::hvm_modlist_entry::default().as_slice().len(), 32);
}
