//! Kernels of all kinds come up, and find the machine in order.

use std::fs::File;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use testing::{Guest, Tap, kernel, patiently, pattern};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

#[test]
fn the_minimal_kernel_boots_from_every_image() {
    patiently(|| {
        for image in ["vmlinux", "bzImage.gzip", "bzImage.xz", "bzImage.zstd", "bzImage.lz4"] {
            let script = "echo release=$(uname -r); poweroff -f";
            let outcome = Guest::linux(&kernel(&format!("minimal/{image}")), script).run();
            outcome.expect(0, POWERED_OFF);
            assert!(Report::of(&outcome).one("release").ends_with("-minimal"), "{image}");
        }
    });
}

#[test]
fn a_debian_kernel_boots_as_bzimage_and_as_elf() {
    patiently(|| {
        for image in ["cloud/vmlinuz", "cloud/vmlinux", "amd64/vmlinuz"] {
            let script = "echo release=$(uname -r) cpus=$(nproc); poweroff -f";
            let guest = Guest::linux(&kernel(&format!("debian/{image}")), script);
            let outcome = guest.cpus(2).memory("1G").append("quiet").run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert!(report.one("release").ends_with("amd64 cpus=2"), "{image}\n{outcome}");
        }
    });
}

#[test]
fn a_debian_kernel_drives_disk_and_network_with_its_modules() {
    patiently(|| {
        let Some(tap) = Tap::new("10.213.1.1/24") else { return };
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        std::fs::write(&disk, pattern(1 << 20)).unwrap();
        let script = "
        for module in virtio_mmio failover net_failover virtio_net virtio_blk; do
            insmod /modules/$module.ko || echo failed=$module
        done
        ip addr add 10.213.1.2/24 dev eth0
        ip link set eth0 up
        ping -c 3 10.213.1.1 >/dev/null && echo reached=yes
        md5sum </dev/vda | sed 's/^/sum=/'
        poweroff -f";
        let image = kernel("debian/cloud/vmlinuz");
        let modules = [
            "drivers/virtio/virtio_mmio",
            "net/core/failover",
            "drivers/net/net_failover",
            "drivers/net/virtio_net",
            "drivers/block/virtio_blk",
        ];
        let modules =
            modules.map(|name| kernel(&format!("debian/cloud/modules/kernel/{name}.ko.xz")));
        let guest = Guest::linux_with_modules(&image, &modules, script).append("quiet");
        let outcome = guest.transport("mmio").disk(&disk, ",readonly").tap(tap.name()).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0]);
        assert_eq!(report.one("reached"), "yes");
        let sum = Command::new("md5sum").stdin(File::open(&disk).unwrap()).output().unwrap();
        assert_eq!(report.one("sum"), String::from_utf8_lossy(&sum.stdout).trim());
    });
}

/// What kernels warn about that is none of the machine's doing, each with its
/// reason.
const EXPECTED_WARNINGS: &[&str] = &[
    // The lab's processors are emulated, and Linux calls them "unmaintained".
    "Spectre V2 : ",
    "Speculative Return Stack Overflow",
    // The host was busy with something else.
    "hrtimer: interrupt took",
];

/// The same of a kernel with a driver for PCI in a machine that has none.
const EXPECTED_WITHOUT_PCI: &[&str] =
    &["PCI: Fatal: No config space access function found", "PCI: System does not support PCI"];

#[test]
fn the_minimal_kernel_has_nothing_to_complain_of() {
    patiently(|| {
        for (transport, expected) in [("mmio", EXPECTED_WITHOUT_PCI), ("pci", &[])] {
            let unexpected = warnings(transport, expected);
            assert!(unexpected.is_empty(), "{transport}: {unexpected:#?}");
        }
    });
}

/// What the minimal kernel warns of behind this transport, but for what is
/// expected.
fn warnings(transport: &str, expected: &[&str]) -> Vec<String> {
    // Levels 0 to 4: everything from warnings up.
    let script = "dmesg -r | sed -n 's/^<[0-4]>/warning=/p'; poweroff -f";
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
    let guest = Guest::linux(&kernel(MINIMAL), script).transport(transport);
    let outcome = guest.cpus(2).disk(&disk, "").run();
    outcome.expect(0, POWERED_OFF);
    let is_expected =
        |line: &str| EXPECTED_WARNINGS.iter().chain(expected).any(|part| line.contains(part));
    let report = Report::of(&outcome);
    report.all("warning").into_iter().filter(|line| !is_expected(line)).map(Into::into).collect()
}

#[test]
fn eight_processors_come_up_as_cores_of_one_socket() {
    patiently(|| {
        let script = "
        for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
            cd $cpu/topology
            echo core=$(cat physical_package_id):$(cat core_id):$(cat thread_siblings_list)
        done
        echo online=$(cat /sys/devices/system/cpu/online)
        grep -c '^cpu cores.*: 8$' /proc/cpuinfo | sed 's/^/cores=/'
        grep -c '^siblings.*: 8$' /proc/cpuinfo | sed 's/^/siblings=/'
        poweroff -f";
        let outcome = Guest::linux(&kernel(MINIMAL), script).cpus(8).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.one("online"), "0-7");
        let expected: Vec<_> = (0..8).map(|cpu| format!("0:{cpu}:{cpu}")).collect();
        assert_eq!(report.all("core"), expected);
        assert_eq!((report.number("cores"), report.number("siblings")), (8, 8));
    });
}

#[test]
fn guests_see_all_their_memory() {
    patiently(|| sees_all_its_memory("256M", 256));
    patiently(|| sees_all_its_memory("3G", 3072));
    patiently(|| sees_all_its_memory("4G", 4096));
    patiently(|| sees_all_its_memory("6G", 6144));
}

fn sees_all_its_memory(size: &str, mib: u64) {
    let script = "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/total=\\1/p' /proc/meminfo; poweroff -f";
    let outcome = Guest::linux(&kernel(MINIMAL), script).memory(size).run();
    outcome.expect(0, POWERED_OFF);
    let (total, given) = (Report::of(&outcome).number("total"), mib * 1024);
    // The kernel keeps 64 bytes for each page, its own code and data, and with
    // memory above 4 GiB 64 MiB to bounce DMA through.
    let bounce = if mib > 3072 { 64 * 1024 } else { 0 };
    let kept = given / 64 + 48 * 1024 + bounce;
    assert!(total < given && total > given - kept, "{total} of {given} KiB");
}

#[test]
fn the_guest_knows_what_time_it_is() {
    patiently(|| {
        let script = "
        echo clocksource=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
        echo now=$(date +%s)
        poweroff -f";
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let before = now();
        let outcome = Guest::linux(&kernel(MINIMAL), script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        let guest = report.number("now");
        assert!((before - 60..=now() + 60).contains(&guest), "it is {guest}, started at {before}");
        assert_eq!(report.one("clocksource"), "kvm-clock");
    });
}

/// What initcalls return on a machine where nothing is wrong.
const EXPECTED_RETURNS: &[&str] = &[
    "0 ",
    // ENODEV: there is no such device.
    "-19 ",
    // EINVAL: a guest has no microcode to load.
    "-22 microcode_init",
    // There is no HPET.
    "1 hpet_insert_resource",
];

/// How long each takes is for the benchmark to judge, in virtual time; here
/// it is printed, and none may fail or be missing.
#[test]
fn every_initcall_succeeds() {
    patiently(|| {
        let script = "dmesg | sed -n 's/^.*initcall \\(.*\\) returned \\(-*[0-9]*\\) after \
                  \\([0-9]*\\) usecs.*/initcall=\\3 \\2 \\1/p'; poweroff -f";
        let guest = Guest::linux(&kernel(MINIMAL), script);
        let outcome = guest.append("initcall_debug log_buf_len=1M quiet loglevel=1").run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        let mut calls: Vec<(u64, &str)> = report
            .all("initcall")
            .into_iter()
            .map(|line| line.split_once(' ').unwrap())
            .map(|(time, rest)| (time.parse().unwrap(), rest))
            .collect();
        calls.sort_unstable_by(|a, b| b.cmp(a));
        assert!(calls.len() > 100, "{} initcalls\n{outcome}", calls.len());
        println!("the slowest initcalls, µs by the guest's clock: {:#?}", &calls[..10]);
        let expected = |call: &str| EXPECTED_RETURNS.iter().any(|start| call.starts_with(start));
        let failures: Vec<_> = calls.iter().filter(|(_, call)| !expected(call)).collect();
        assert!(failures.is_empty(), "{failures:?}");
    });
}
