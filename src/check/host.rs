use std::fs::{self, File};
use std::io;
use std::path::Path;

use vmm_core::sys::probe;

use super::Item;
use crate::config::{ByteSize, HostLimits, newest_kernel};
use crate::exit::Chain;

/// What does not concern KVM.
pub(super) fn look() -> Vec<Item> {
    let mut items = Vec::new();
    items.extend(memory());
    items.push(kernel(Path::new("/boot")));
    items.push(tun(&open("/dev/net/tun"), may_make_interfaces()));
    for device in [VHOST_NET, VHOST_VSOCK] {
        items.push(vhost(&device, &open(device.path)));
    }
    items.push(hugepages(Path::new("/sys/kernel/mm")));
    items.push(io_uring(&probe::io_uring()));
    items.push(userfaultfd(&probe::userfaultfd(), &open("/dev/userfaultfd")));
    items
}

/// Opens a device as a guest's run would.
fn open(path: &str) -> io::Result<()> {
    File::options().read(true).write(true).open(path).map(drop)
}

fn absent(error: &io::Error) -> bool {
    // ENXIO and ENODEV: a node without its driver.
    error.kind() == io::ErrorKind::NotFound || matches!(error.raw_os_error(), Some(6 | 19))
}

fn memory() -> Option<Item> {
    let limits = HostLimits::read().ok()?;
    Some(Item::ok("memory", format!("up to {} a guest", limits.memory.rounded())))
}

fn kernel(folder: &Path) -> Item {
    match newest_kernel(folder) {
        Ok(path) => {
            Item::ok("kernel", format!("`kiln run` without --kernel boots {}", path.display()))
        }
        Err(error) => Item::limited(
            "kernel",
            error.to_string(),
            "give --kernel, or install a readable kernel image in /boot",
        ),
    }
}

/// CAP_NET_ADMIN in this process's effective set.
fn may_make_interfaces() -> bool {
    const CAP_NET_ADMIN: u32 = 12;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    set.is_some_and(|set| set >> CAP_NET_ADMIN & 1 == 1)
}

pub(super) fn tun(opened: &io::Result<()>, may_create: bool) -> Item {
    match opened {
        Ok(()) if may_create => Item::ok("tun", "taps can be used and created"),
        Ok(()) => Item::limited(
            "tun",
            "taps that belong to this user can be used, not created",
            "have root make one: `ip tuntap add NAME mode tap user $USER`",
        ),
        Err(error) if absent(error) => Item::missing(
            "tun",
            "/dev/net/tun does not exist",
            "load the module with `modprobe tun`; --net does not work without it",
        ),
        Err(error) => Item::missing(
            "tun",
            format!("/dev/net/tun cannot be opened: {}", Chain(error)),
            "let this user read and write it; --net does not work without it",
        ),
    }
}

/// A vhost device of the host.
pub(super) struct Vhost {
    id: &'static str,
    path: &'static str,
    module: &'static str,
    purpose: &'static str,
}

pub(super) const VHOST_NET: Vhost = Vhost {
    id: "vhost-net",
    path: "/dev/vhost-net",
    module: "vhost_net",
    purpose: "network queues served by the host's kernel",
};
const VHOST_VSOCK: Vhost = Vhost {
    id: "vhost-vsock",
    path: "/dev/vhost-vsock",
    module: "vhost_vsock",
    purpose: "sockets between guest and host served by the host's kernel",
};

pub(super) fn vhost(device: &Vhost, opened: &io::Result<()>) -> Item {
    let Vhost { id, path, module, purpose } = device;
    match opened {
        Ok(()) => Item::ok(id, *purpose),
        Err(error) if absent(error) => Item::missing(
            id,
            format!("{path} does not exist"),
            format!("`modprobe {module}` for {purpose}; guests run without"),
        ),
        Err(error) => Item::missing(
            id,
            format!("{path} cannot be opened: {}", Chain(error)),
            format!("let this user read and write it for {purpose}; guests run without"),
        ),
    }
}

/// `mm` is the folder with the kernel's memory settings.
pub(super) fn hugepages(mm: &Path) -> Item {
    let id = "hugepages";
    let read = |path: &str| fs::read_to_string(mm.join(path)).unwrap_or_default();
    let chosen = read("transparent_hugepage/enabled");
    let transparent = chosen.split(['[', ']']).nth(1).unwrap_or("never").to_owned();
    let count = |path| read(path).trim().parse::<u64>().unwrap_or(0);
    let free = count("hugepages/hugepages-2048kB/free_hugepages")
        + count("hugepages/hugepages-1048576kB/free_hugepages") * 512;
    let free = match free {
        0 => "none reserved".to_owned(),
        pages => format!("{} reserved and free", ByteSize::new(pages << 21)),
    };
    let detail = format!("transparent: {transparent}; {free}");
    match transparent.as_str() {
        "never" => Item::limited(
            id,
            detail,
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled` makes guests faster",
        ),
        _ => Item::ok(id, detail),
    }
}

pub(super) fn io_uring(made: &io::Result<()>) -> Item {
    let id = "io_uring";
    match made {
        Ok(()) => Item::ok(id, "a ring can be made"),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Item::missing(
            id,
            "the host kernel has no io_uring",
            "disks work without; for the fastest use a kernel with CONFIG_IO_URING",
        ),
        Err(error) => Item::missing(
            id,
            format!("no ring can be made: {}", Chain(error)),
            "disks work without; look at /proc/sys/kernel/io_uring_disabled and at the \
             container's system call filter",
        ),
    }
}

pub(super) fn userfaultfd(made: &io::Result<()>, device: &io::Result<()>) -> Item {
    let id = "userfaultfd";
    match (made, device) {
        (Ok(()), _) | (_, Ok(())) => Item::ok(id, "faults of guest memory can be served"),
        (Err(error), _) if error.kind() == io::ErrorKind::Unsupported => Item::missing(
            id,
            "the host kernel has no userfaultfd",
            "guests run without; lazy restoring needs a kernel with CONFIG_USERFAULTFD",
        ),
        (Err(error), _) => Item::missing(
            id,
            format!("faults of guest memory cannot be served: {}", Chain(error)),
            "guests run without; let this user open /dev/userfaultfd, or set the sysctl \
             vm.unprivileged_userfaultfd to 1",
        ),
    }
}
