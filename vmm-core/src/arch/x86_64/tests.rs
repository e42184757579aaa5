use kvm_bindings::{CpuId, kvm_cpuid_entry2, kvm_lapic_state, kvm_sregs};
use vm_memory::{Bytes, GuestAddress};

use super::cpuid::{CpuidConfig, for_machine, set_cpu};
use super::{EntryPoint, lapic, layout, regs};
use crate::mem::{allocate, plan};

fn leaf(function: u32, index: u32, [eax, ebx, ecx, edx]: [u32; 4]) -> kvm_cpuid_entry2 {
    kvm_cpuid_entry2 { function, index, eax, ebx, ecx, edx, ..Default::default() }
}

fn supported() -> CpuId {
    CpuId::from_entries(&[
        leaf(0, 0, [0xd, 0, 0, 0]),
        leaf(1, 0, [0, 0x0720_0800, 0, 0]),
        // A level 1 data cache, then a level 3 cache shared by 32.
        leaf(4, 0, [0xfc00_4121, 0, 0, 0]),
        leaf(4, 3, [0xfc07_c163, 0, 0, 0]),
        leaf(0xb, 0, [1, 2, 0x100, 7]),
        leaf(0xb, 1, [6, 64, 0x201, 7]),
        leaf(0x1f, 0, [1, 2, 0x100, 7]),
        leaf(0x4000_0000, 0, [0x4000_0001, 0, 0, 0]),
        leaf(0x8000_0008, 0, [0x3030, 0, 0x703f, 0]),
        leaf(0x8000_001e, 0, [7, 0x0103, 0x0501, 0]),
        leaf(0x8000_0026, 0, [1, 2, 3, 4]),
    ])
    .unwrap()
}

fn find(cpuid: &CpuId, function: u32, index: u32) -> kvm_cpuid_entry2 {
    let mut found = cpuid.as_slice().iter().filter(|e| (e.function, e.index) == (function, index));
    let entry = *found.next().unwrap();
    assert!(found.next().is_none(), "leaf {function:#x}.{index} stands twice");
    entry
}

fn machine(cpus: u8) -> CpuId {
    let config = CpuidConfig { cpus, tsc_khz: Some(2_445_404), tsc_deadline: true };
    for_machine(&supported(), config)
}

#[test]
fn the_topology_leaves_tell_of_one_socket_with_single_threaded_cores() {
    let mut cpuid = machine(6);
    set_cpu(&mut cpuid, 5);
    let features = find(&cpuid, 1, 0);
    assert_eq!(features.ebx, 5 << 24 | 8 << 16 | 0x0800);
    assert_ne!(features.edx & 1 << 28, 0, "HTT");
    let [smt, core] = [0, 1].map(|i| find(&cpuid, 0xb, i));
    assert_eq!((smt.eax, smt.ebx, smt.ecx, smt.edx), (0, 1, 0x100, 5));
    assert_eq!((core.eax, core.ebx, core.ecx, core.edx), (3, 6, 0x201, 5));
    assert_eq!(find(&cpuid, 4, 0).eax >> 14 & 0xfff, 0, "level 1 is each core's own");
    assert_eq!(find(&cpuid, 4, 3).eax >> 14 & 0xfff, 7, "level 3 is shared by all");
    assert_eq!(find(&cpuid, 0x8000_0008, 0).ecx & 0xf0ff, 3 << 12 | 5);
    let amd = find(&cpuid, 0x8000_001e, 0);
    assert_eq!((amd.eax, amd.ebx, amd.ecx), (5, 5, 0));
    assert!(cpuid.as_slice().iter().all(|e| e.function != 0x1f && e.function != 0x8000_0026));
}

#[test]
fn one_cpu_is_no_multiprocessor() {
    let cpuid = machine(1);
    assert_eq!(find(&cpuid, 1, 0).edx & 1 << 28, 0);
    assert_eq!(find(&cpuid, 0xb, 1).eax, 0);
}

#[test]
fn the_clock_leaves_give_the_tsc_frequency_exactly() {
    let cpuid = machine(1);
    let crystal = find(&cpuid, 0x15, 0);
    let hz = u64::from(crystal.ecx) * u64::from(crystal.ebx) / u64::from(crystal.eax);
    assert_eq!(hz, 2_445_404_000);
    assert_eq!(find(&cpuid, 0, 0).eax, 0x15, "the leaf is announced");
    let timing = find(&cpuid, 0x4000_0010, 0);
    assert_eq!((timing.eax, timing.ebx), (2_445_404, 1_000_000));
    assert_eq!(find(&cpuid, 0x4000_0000, 0).eax, 0x4000_0010);
}

#[test]
fn without_a_tsc_deadline_timer_none_is_announced() {
    let config = CpuidConfig { cpus: 1, tsc_khz: None, tsc_deadline: false };
    let cpuid = for_machine(&supported(), config);
    assert_eq!(find(&cpuid, 1, 0).ecx & 1 << 24, 0);
    assert!(cpuid.as_slice().iter().all(|e| e.function != 0x15));
}

#[test]
fn a_64_bit_entry_has_identity_paging_and_flat_segments() {
    let ram = allocate(&plan(1 << 20)).unwrap();
    let entry = EntryPoint::Linux64 { rip: 0x100_0200, boot_params: layout::ZERO_PAGE };
    let (regs, sregs) = regs::enter(&ram, entry, kvm_sregs::default()).unwrap();
    assert_eq!((regs.rip, regs.rsi, regs.rflags), (0x100_0200, layout::ZERO_PAGE, 2));
    assert_eq!((sregs.cs.l, sregs.cs.db, sregs.cs.selector), (1, 0, 0x10));
    let read = |addr: u64| ram.read_obj::<u64>(GuestAddress(addr)).unwrap();
    assert_eq!(read(layout::GDT + 0x10), 0x00af_9b00_0000_ffff);
    assert_eq!(read(layout::GDT + 0x18), 0x00cf_9300_0000_ffff);
    for gib in 0..4 {
        let address = gib << 30 | 5 << 21;
        let pml4e = read(sregs.cr3);
        let pdpte = read((pml4e & !0xfff) + gib * 8);
        let pde = read((pdpte & !0xfff) + 5 * 8);
        assert_eq!(pde, address | 0x83, "{address:#x}");
    }
}

#[test]
fn a_32_bit_entry_has_no_paging() {
    let ram = allocate(&plan(1 << 20)).unwrap();
    let entry = EntryPoint::Multiboot { rip: 0x10_0000, info: layout::MULTIBOOT_INFO };
    let (regs, sregs) = regs::enter(&ram, entry, kvm_sregs::default()).unwrap();
    assert_eq!((regs.rax, regs.rbx), (0x2bad_b002, layout::MULTIBOOT_INFO));
    assert_eq!((sregs.cr0, sregs.cs.l, sregs.cs.db), (0x11, 0, 1));
    let (regs, _) = regs::enter(
        &ram,
        EntryPoint::Pvh { rip: 0x10_0000, start_info: layout::PVH_START_INFO },
        kvm_sregs::default(),
    )
    .unwrap();
    assert_eq!((regs.rax, regs.rbx), (0, layout::PVH_START_INFO));
}

#[test]
fn a_guest_without_room_for_the_tables_is_refused() {
    let ram = allocate(&plan(0x1000)).unwrap();
    let entry = EntryPoint::Linux64 { rip: 0, boot_params: 0 };
    assert!(regs::enter(&ram, entry, kvm_sregs::default()).is_err());
}

#[test]
fn the_local_apic_takes_external_interrupts_and_nmis() {
    let mut state = kvm_lapic_state { regs: [0; 1024] };
    lapic::connect_pins(&mut state);
    assert_eq!((state.regs[0x351], state.regs[0x361]), (7, 4));
}
