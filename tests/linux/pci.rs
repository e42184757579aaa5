//! A guest with its devices on PCI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use testing::{Guest, Outcome, Tap, kernel, patiently, pattern};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

/// So many disks of 1 MiB in a folder, with the same pattern, and its sum.
fn disks(count: usize) -> (TempDir, Vec<PathBuf>, String) {
    let folder = tempfile::tempdir().unwrap();
    let paths = (0..count).map(|n| folder.path().join(n.to_string())).collect::<Vec<_>>();
    for path in &paths {
        fs::write(path, pattern(1 << 20)).unwrap();
    }
    let sum = Command::new("md5sum").arg(&paths[0]).output().unwrap();
    let sum = String::from_utf8_lossy(&sum.stdout).split(' ').next().unwrap().to_owned();
    (folder, paths, sum)
}

/// A minimal kernel with so many disks on PCI, and these words for it.
fn run(script: &str, count: usize, words: &str) -> Outcome {
    let (_folder, paths, sum) = disks(count);
    let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["lspci", "setpci"], script);
    let guest = guest.transport("pci").cpus(2).append("quiet").append(words);
    let outcome = paths.iter().fold(guest, |guest, path| guest.disk(path, ",readonly")).run();
    outcome.expect(0, POWERED_OFF);
    let sums = Report::of(&outcome).all("sum").into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(!sums.is_empty() && sums.iter().all(|one| *one == sum), "{sum} expected\n{outcome}");
    outcome
}

/// Reads the first and the last disk.
const SUMS: &str = "
    for disk in $(ls /sys/block | sed -n '1p;$p'); do
        echo sum=$(md5sum </dev/$disk | cut -d' ' -f1)
    done
";

#[test]
fn lspci_has_nothing_to_say_against_it() {
    patiently(|| {
        let script = format!(
            "{SUMS}
            lspci -vvv 2>&1 | sed 's/^/lspci=/'
            lspci -xxxx 2>&1 | grep -ci denied | sed 's/^/denied=/'
            poweroff -f"
        );
        let outcome = run(&script, 2, "");
        let report = Report::of(&outcome);
        let said = report.all("lspci").join("\n");
        // What lspci writes of what it cannot read or make sense of.
        for complaint in ["denied", "!!!", "<chain", "Unknown header", "ignored", "invalid", "###"]
        {
            assert!(!said.contains(complaint), "{complaint}\n{said}");
        }
        assert_eq!(said.matches("MSI-X: Enable+ Count=3 Masked-").count(), 2, "{said}");
        assert_eq!(said.matches("Kernel driver in use: virtio-pci").count(), 3, "{said}");
        assert_eq!(said.matches("VirtIO: ").count(), 18, "{said}");
        assert_eq!(said.matches("I/O ports at ").count(), 3, "{said}");
        assert_eq!(report.one("denied"), "0");
    });
}

#[test]
fn a_device_whose_windows_were_moved_works_where_the_guest_puts_them_next() {
    patiently(|| {
        let device = "/sys/bus/pci/devices/0000:00:01.0";
        let script = format!(
            "{SUMS}
            echo 0000:00:01.0 >{device}/driver/unbind
            setpci -s 00:01.0 BASE_ADDRESS_0=ea000000 BASE_ADDRESS_1=eb000000
            setpci -s 00:01.0 BASE_ADDRESS_0 BASE_ADDRESS_1 | sed 's/^/moved=/'
            echo 1 >{device}/remove
            echo 1 >/sys/bus/pci/rescan
            while [ ! -e /dev/vda ]; do sleep 0.1; done
            {SUMS}
            poweroff -f"
        );
        let outcome = run(&script, 1, "");
        let report = Report::of(&outcome);
        assert_eq!(report.all("moved"), ["ea000000", "eb000000"], "{outcome}");
        assert_eq!(report.all("sum").len(), 4, "{outcome}");
    });
}

#[test]
fn without_messages_nine_devices_share_eight_lines() {
    patiently(|| {
        let script = format!(
            "{SUMS}
            grep virtio /proc/interrupts | sed 's/^/line=/'
            poweroff -f"
        );
        // The ninth is the entropy device.
        let outcome = run(&script, 8, "pci=nomsi");
        let report = Report::of(&outcome);
        let lines = report.all("line");
        assert_eq!(lines.len(), 8, "{outcome}");
        assert!(lines.iter().all(|line| line.contains("IO-APIC")), "{outcome}");
        let shared = |line: &&str| line.contains("virtio0") && line.contains("virtio8");
        assert!(lines.iter().any(shared), "{outcome}");
    });
}

#[test]
fn either_way_to_the_configuration_space_will_do() {
    patiently(|| {
        let script = format!("{SUMS} dmesg | grep -c 'PCI: ECAM' | sed 's/^/ecam=/'; poweroff -f");
        for (words, ecam) in [("pci=nommconf", false), ("pci=conf1", false), ("pci=realloc", true)]
        {
            let outcome = run(&script, 1, words);
            assert_eq!(Report::of(&outcome).number("ecam") != 0, ecam, "{words}\n{outcome}");
        }
    });
}

#[test]
fn a_disk_and_an_interface_serve_a_debian_kernel() {
    patiently(|| {
        let Some(tap) = Tap::new("10.215.2.1/24") else { return };
        let (_folder, paths, sum) = disks(1);
        let script = format!(
            "for module in failover net_failover virtio_net virtio_blk; do
                insmod /modules/$module.ko || echo failed=$module
            done
            {}
            ping -c 3 10.215.2.1 >/dev/null && echo reached=yes
            {SUMS}
            grep -c MSIX.*virtio /proc/interrupts | sed 's/^/messages=/'
            poweroff -f",
            tap.guest_setup()
        );
        let modules = [
            "net/core/failover",
            "drivers/net/net_failover",
            "drivers/net/virtio_net",
            "drivers/block/virtio_blk",
        ];
        let modules =
            modules.map(|name| kernel(&format!("debian/cloud/modules/kernel/{name}.ko.xz")));
        let guest = Guest::linux_with_modules(&kernel("debian/cloud/vmlinuz"), &modules, &script);
        let guest = guest.transport("pci").append("quiet").disk(&paths[0], ",readonly");
        let outcome = guest.tap(tap.name()).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!(report.one("reached"), "yes", "{outcome}");
        assert!(report.all("sum").contains(&&*sum), "{outcome}");
        assert!(report.number("messages") >= 5, "{outcome}");
    });
}

#[test]
fn a_message_follows_its_processor() {
    patiently(|| {
        let Some(tap) = Tap::new("10.215.3.1/24") else { return };
        messages_follow("10.215.3.1", |script| {
            let script = format!("{}\n{script}", tap.guest_setup());
            let net = format!("tap={},vhost=off", tap.name());
            Guest::linux(&kernel(MINIMAL), &script).append("quiet").arg("--net").arg(net)
        });
    });
}

/// Checks that the interrupt for packets from `host` comes to the processor
/// that it is sent to, in a guest made of a script that is to begin with the
/// way there.
pub(crate) fn messages_follow(host: &str, guest: impl FnOnce(&str) -> Guest) -> Outcome {
    let script = format!(
        "ping -c 1 {host} >/dev/null
        irq=$(grep virtio0-input.0 /proc/interrupts | sed 's/^ *//; s/:.*//')
        count() {{
            grep virtio0-input.0 /proc/interrupts | awk \"{{ print \\$$1 }}\"
        }}
        for turn in 1 2 3; do
            for cpu in 0 1; do
                echo $((1 << cpu)) >/proc/irq/$irq/smp_affinity || echo failed=$cpu
                # The first interrupt may still come where the last did.
                ping -c 1 {host} >/dev/null || echo failed=ping
                before=$(count $((2 + cpu)))
                ping -c 1 {host} >/dev/null || echo failed=ping
                [ $(count $((2 + cpu))) -gt $before ] && echo followed=$cpu
            done
        done
        poweroff -f"
    );
    let outcome = guest(&script).transport("pci").cpus(2).run();
    outcome.expect(0, POWERED_OFF);
    let report = Report::of(&outcome);
    assert_eq!(report.all("failed"), [""; 0], "{outcome}");
    assert_eq!(report.all("followed"), ["0", "1", "0", "1", "0", "1"], "{outcome}");
    outcome
}
