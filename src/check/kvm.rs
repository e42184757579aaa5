use vmm_core::kvm::{Capability, HostKind, System, SystemError};

use super::Item;
use crate::config::CpuCount;
use crate::exit::Chain;

/// What stands behind /dev/kvm, whether it runs guests, and the details.
pub(super) fn look() -> (HostKind, bool, Vec<Item>) {
    let kind = HostKind::detect();
    let system = match System::open() {
        Ok(system) => system,
        Err(error) => return (kind, false, vec![unusable(&error)]),
    };
    let mut items = vec![Item::ok("kvm", "/dev/kvm opens and has API version 12")];
    items.extend(virtualization(kind));
    let capabilities: Vec<_> = system.capabilities().collect();
    let complete = capabilities.iter().all(|cap| cap.present || !cap.required);
    items.extend(capabilities.iter().map(capability));
    items.push(vcpus(&system));
    let machine = machine(&system);
    let can_run = complete && machine.remedy.is_none();
    items.push(machine);
    (kind, can_run, items)
}

fn unusable(error: &SystemError) -> Item {
    let text = Chain(error).to_string();
    // These sentences have the form "what is wrong: what helps".
    let known = matches!(error, SystemError::Absent | SystemError::Denied | SystemError::Busy);
    match text.split_once(": ").filter(|_| known) {
        Some((detail, remedy)) => Item::missing("kvm", detail, remedy),
        None => Item::missing("kvm", text, "see the host kernel's log (`dmesg`) for the reason"),
    }
}

/// Hardware or software, and what that means.
fn virtualization(kind: HostKind) -> Option<Item> {
    let id = "virtualization";
    match (kind, kind.stock_kernel_warning()) {
        (_, Some(warning)) => Some(Item::limited(
            id,
            warning,
            "small freestanding guests run; for stock kernels use a host with kvm_intel or \
             kvm_amd, or the lab (docs/lab.md)",
        )),
        (HostKind::Absent, None) => None,
        (_, None) => Some(Item::ok(id, "hardware: stock kernels run at full speed")),
    }
}

fn capability(cap: &Capability) -> Item {
    let Capability { name, purpose, required, present } = *cap;
    match (present, required) {
        (true, _) => Item::ok(name, purpose),
        (false, true) => Item::missing(
            name,
            format!("{purpose}; no guest runs without it"),
            "use a newer host kernel (Linux 4.13 has it)",
        ),
        (false, false) => Item::limited(
            name,
            format!("{purpose}: not offered by this host"),
            "guests run without it, some slower",
        ),
    }
}

fn vcpus(system: &System) -> Item {
    let (max, recommended) = system.vcpu_limits();
    let detail = format!("up to {max} processors a guest, {recommended} recommended");
    if max < u32::from(CpuCount::MAX.get()) {
        return Item::limited("vcpus", detail, "give --cpus no more than that");
    }
    Item::ok("vcpus", detail)
}

/// Makes a VM with a processor: the one test that counts.
fn machine(system: &System) -> Item {
    let id = "machine";
    let vm = match system.create_vm() {
        Ok(vm) => vm,
        Err(error) => {
            return Item::missing(
                id,
                Chain(&error).to_string(),
                "stop other hypervisors (VirtualBox, VMware), which may hold the processor",
            );
        }
    };
    match vm.create_vcpu(0) {
        Ok(_) => Item::ok(id, "a VM and its processor can be made"),
        Err(error) => Item::missing(
            id,
            Chain(&error).to_string(),
            "see the host kernel's log (`dmesg`) for the reason",
        ),
    }
}
