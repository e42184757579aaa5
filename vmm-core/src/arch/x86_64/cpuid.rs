//! CPUID: what the host's KVM supports, with this machine's topology and
//! clock frequencies filled in.
//!
//! Sources: Intel SDM 2A "CPUID", AMD APM 3 appendix E, and the kernel's
//! Documentation/virt/kvm/x86/cpuid.rst.

use kvm_bindings::{CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

const FEATURES: u32 = 0x1;
const CACHES_INTEL: u32 = 0x4;
const TOPOLOGY: u32 = 0xb;
const CRYSTAL: u32 = 0x15;
const TOPOLOGY_V2: u32 = 0x1f;
const HYPERVISOR: u32 = 0x4000_0000;
const HYPERVISOR_TIMING: u32 = 0x4000_0010;
const EXTENDED_FEATURES: u32 = 0x8000_0001;
const EXTENDED_SIZES: u32 = 0x8000_0008;
const CACHES_AMD: u32 = 0x8000_001d;
const TOPOLOGY_AMD: u32 = 0x8000_001e;
const TOPOLOGY_AMD_V2: u32 = 0x8000_0026;

const ECX_X2APIC: u32 = 1 << 21;
const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_HYPERVISOR: u32 = 1 << 31;
const EDX_HTT: u32 = 1 << 28;
const ECX_CMP_LEGACY: u32 = 1 << 1;

/// KVM's local APIC timers count at 1 GHz.
const APIC_TIMER_KHZ: u32 = 1_000_000;

/// What the leaves have to say about this machine.
#[derive(Clone, Copy, Debug)]
pub struct CpuidConfig {
    /// vCPUs: cores of one socket, one thread each.
    pub cpus: u8,
    /// Frequency of the time stamp counter, if known.
    pub tsc_khz: Option<u32>,
    /// Whether the local APIC has the TSC deadline timer.
    pub tsc_deadline: bool,
}

/// The leaves of all vCPUs, before their own numbers are filled in, over what
/// the host's KVM supports.
pub fn for_machine(supported: &CpuId, config: CpuidConfig) -> CpuId {
    let mut entries: Vec<kvm_cpuid_entry2> =
        supported.as_slice().iter().filter(|e| !is_replaced(e.function)).copied().collect();
    for entry in &mut entries {
        describe(entry, config);
    }
    if entries.iter().any(|e| e.function == 0 && e.eax >= TOPOLOGY) {
        entries.extend(topology_leaves(TOPOLOGY, config.cpus));
    }
    if let Some(tsc_khz) = config.tsc_khz {
        entries.extend(clock_leaves(tsc_khz));
        raise_limit(&mut entries, 0, CRYSTAL);
        raise_limit(&mut entries, HYPERVISOR, HYPERVISOR_TIMING);
    }
    CpuId::from_entries(&entries).expect("fewer entries than KVM_MAX_CPUID_ENTRIES")
}

/// Fills in the APIC id of one vCPU.
pub fn set_cpu(cpuid: &mut CpuId, id: u8) {
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            FEATURES => entry.ebx = entry.ebx & 0x00ff_ffff | u32::from(id) << 24,
            TOPOLOGY => entry.edx = u32::from(id),
            TOPOLOGY_AMD => {
                entry.eax = u32::from(id);
                // Core id, one thread a core.
                entry.ebx = u32::from(id);
            }
            _ => {}
        }
    }
}

/// Leaves that come from us alone, or that would contradict them.
fn is_replaced(function: u32) -> bool {
    matches!(function, TOPOLOGY | TOPOLOGY_V2 | TOPOLOGY_AMD_V2 | CRYSTAL | HYPERVISOR_TIMING)
}

/// Bits that hold the numbers of `cpus` cores.
fn core_bits(cpus: u8) -> u32 {
    u32::from(cpus).next_power_of_two().trailing_zeros()
}

fn describe(entry: &mut kvm_cpuid_entry2, config: CpuidConfig) {
    let cpus = u32::from(config.cpus);
    match entry.function {
        FEATURES => {
            entry.ecx |= ECX_X2APIC | ECX_HYPERVISOR;
            set_bit(&mut entry.ecx, ECX_TSC_DEADLINE, config.tsc_deadline);
            set_bit(&mut entry.edx, EDX_HTT, cpus > 1);
            // Addressable ids in the package, a power of two, 8 bits wide.
            let ids = cpus.next_power_of_two().min(255);
            entry.ebx = entry.ebx & 0xff00_ffff | ids << 16;
        }
        CACHES_INTEL if entry.eax & 0x1f != 0 => {
            let level = entry.eax >> 5 & 7;
            let ids = (1 << core_bits(config.cpus)) - 1;
            let sharing = if level >= 3 { ids } else { 0 };
            entry.eax = entry.eax & 0x3fff | sharing << 14 | ids.min(0x3f) << 26;
        }
        EXTENDED_FEATURES => set_bit(&mut entry.ecx, ECX_CMP_LEGACY, cpus > 1),
        EXTENDED_SIZES => {
            entry.ecx = entry.ecx & !0xf0ff | core_bits(config.cpus) << 12 | (cpus - 1);
        }
        CACHES_AMD if entry.eax & 0x1f != 0 => {
            let level = entry.eax >> 5 & 7;
            let sharing = if level >= 3 { cpus - 1 } else { 0 };
            entry.eax = entry.eax & 0x3fff | sharing << 14;
        }
        // One node; set_cpu gives the ids.
        TOPOLOGY_AMD => entry.ecx = 0,
        _ => {}
    }
}

fn set_bit(register: &mut u32, bit: u32, on: bool) {
    *register = if on { *register | bit } else { *register & !bit };
}

/// Leaf 0xb or 0x1f: one thread a core, `cpus` cores a package.
fn topology_leaves(function: u32, cpus: u8) -> [kvm_cpuid_entry2; 3] {
    const THREAD: u32 = 1 << 8;
    const CORE: u32 = 2 << 8;
    let leaf = |index: u32, eax, ebx, level| kvm_cpuid_entry2 {
        function,
        index,
        flags: KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
        eax,
        ebx,
        ecx: level | index,
        ..Default::default()
    };
    [leaf(0, 0, 1, THREAD), leaf(1, core_bits(cpus), u32::from(cpus), CORE), leaf(2, 0, 0, 0)]
}

/// The counters' frequencies, so that no guest has to measure them: leaf 0x15
/// as a ratio to a crystal at the APIC timer's rate, and the hypervisor leaf
/// 0x4000_0010 that VMware introduced.
fn clock_leaves(tsc_khz: u32) -> [kvm_cpuid_entry2; 2] {
    [
        kvm_cpuid_entry2 {
            function: CRYSTAL,
            eax: APIC_TIMER_KHZ,
            ebx: tsc_khz,
            ecx: APIC_TIMER_KHZ * 1000,
            ..Default::default()
        },
        kvm_cpuid_entry2 {
            function: HYPERVISOR_TIMING,
            eax: tsc_khz,
            ebx: APIC_TIMER_KHZ,
            ..Default::default()
        },
    ]
}

/// Makes leaf `base` announce leaves up to at least `highest`.
fn raise_limit(entries: &mut [kvm_cpuid_entry2], base: u32, highest: u32) {
    for entry in entries.iter_mut().filter(|e| e.function == base) {
        entry.eax = entry.eax.max(highest);
    }
}
