//! What a Linux guest is judged by, beside how it ends itself.

use std::fs;
use std::process::Command;

use testing::{Guest, Outcome, kernel, patiently, run_with};

use crate::{MINIMAL, POWERED_OFF};

fn guest(script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), script)
}

/// The stock kernel, which puts itself anywhere in memory, with modules.
fn stock(modules: &[&str], script: &str) -> Guest {
    let path =
        |name: &&str| kernel(&format!("debian/cloud/modules/kernel/drivers/misc/{name}.ko.xz"));
    let modules: Vec<_> = modules.iter().map(path).collect();
    Guest::linux_with_modules(&kernel("debian/cloud/vmlinuz"), &modules, script)
}

#[test]
fn the_panic_device_tells_what_no_console_shows() {
    patiently(|| {
        let line = "kiln: the guest kernel died: it told the panic device, and no console why";
        for (place, module) in [("isa", "pvpanic-mmio"), ("pci", "pvpanic-pci")] {
            let script = format!(
                "insmod /modules/pvpanic.ko
                insmod /modules/{module}.ko
                echo c >/proc/sysrq-trigger"
            );
            let modules = ["pvpanic/pvpanic", &format!("pvpanic/{module}")];
            let guest = stock(&modules, &script).arg("--cmdline").arg("panic=0");
            let outcome = guest.arg("--console").arg("off").arg("--pvpanic").arg(place).run();
            outcome.expect(126, line);
        }
    });
}

/// An oops of its own: the table of sysrq's keys, overwritten through /dev/mem
/// with addresses that there cannot be.
fn oops(arguments: &[&str], append: &str) -> Outcome {
    let names = Command::new("nm").arg(kernel(MINIMAL)).output().unwrap();
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    let table = names.lines().find(|line| line.ends_with(" sysrq_key_table")).unwrap();
    let address = u64::from_str_radix(table.split(' ').next().unwrap(), 16).unwrap();
    // An ELF kernel lies where it was linked for.
    let place = (address - 0xffff_ffff_8000_0000) / 8;
    let script = format!(
        "tr '\\0' A </dev/zero | dd of=/dev/mem bs=8 seek={place} count=30 2>/dev/null
        (echo b >/proc/sysrq-trigger)
        poweroff -f"
    );
    let guest = arguments.iter().fold(guest(&script).append(append), |g, word| g.arg(word));
    guest.run()
}

#[test]
fn an_oops_is_counted_and_fails_a_run_if_that_is_wanted() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let outcome = oops(&["--report", path.to_str().unwrap()], "loglevel=7");
        outcome.expect(0, POWERED_OFF);
        let report: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(report["oopses"], 1, "{report}\n{outcome}");
        assert!(report["complaint"].as_str().unwrap().contains("[#1]"), "{report}");
        let outcome = oops(&["--fail-on-warning"], "loglevel=7");
        assert_eq!(outcome.status, 123, "{outcome}");
        let outcome = oops(&["--fail-on", r"\[#\d\]"], "loglevel=7");
        assert_eq!(outcome.status, 123, "{outcome}");
        let outcome = oops(&[], "oops=panic");
        assert_eq!(outcome.status, 126, "{outcome}");
    });
}

#[test]
fn a_report_has_the_phases_of_a_boot() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let guest = guest("sleep 1; poweroff -f").arg("--boot-timeout").arg("4m");
        guest.arg("--report").arg(&path).run().expect(0, POWERED_OFF);
        let report: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let phase = |name: &str| report["phases"][name].as_f64().unwrap();
        assert!(phase("setup") > 0.0 && phase("kernel") > 0.0, "{report}");
        assert!(phase("init") >= 1.0, "the kernel's start is not init's: {report}");
        let total: f64 = ["setup", "kernel", "init"].map(phase).iter().sum();
        assert!((total - report["duration"].as_f64().unwrap()).abs() < 0.01, "{report}");
        assert!(report["console_tail"].as_str().unwrap().contains("Run /init"), "{report}");
    });
}

#[test]
fn a_kernel_that_waits_for_its_root_for_ever_does_not_start() {
    patiently(|| {
        let guest = Guest::with_kernel(&kernel(MINIMAL)).append("root=/dev/vdz rootwait");
        let outcome = guest.arg("--boot-timeout").arg("20s").run();
        let line = "kiln: the boot timed out: no sign of a first process after 20s";
        outcome.expect(124, line);
        assert!(outcome.stderr.contains("kiln:   | ["), "the console's last lines: {outcome}");
    });
}

#[test]
fn a_guest_that_hangs_is_found_in_the_kernel_or_in_a_program() {
    patiently(|| {
        let outcome = hangs(|| guest(HANGS), is_idle);
        assert!(is_idle(&outcome), "{outcome}");
        let outcome = hangs(|| guest("echo here-it-hangs; while :; do :; done"), |_| true);
        assert!(outcome.stderr.contains("processor 0: RIP 0x"), "{outcome}");
        // Now and then it is in a system call.
        assert!(
            outcome.stderr.contains(" in a program") || outcome.stderr.contains("+0x"),
            "{outcome}"
        );
    });
}

/// The script of a guest that says that it is there, and does nothing more.
pub(crate) const HANGS: &str = "echo here-it-hangs; sleep 100000";

/// The end of a guest that says that it is there, and hangs; of the first that
/// `is_settled` when its time is up, if one is. On a slow machine that time is
/// up while the guest still says it.
pub(crate) fn hangs(guest: impl Fn() -> Guest, is_settled: impl Fn(&Outcome) -> bool) -> Outcome {
    let run = |limit| guest().arg("--timeout").arg(limit).run();
    let (_, outcome) = run_with(&["20s", "80s", "4m"], run, |outcome| {
        outcome.text().contains("here-it-hangs") && is_settled(outcome)
    });
    assert_eq!(outcome.status, 124, "{outcome}");
    assert!(outcome.text().contains("here-it-hangs"), "{outcome}");
    outcome
}

/// Whether its one processor was found idle, with the function's name.
pub(crate) fn is_idle(outcome: &Outcome) -> bool {
    let place = outcome.stderr.lines().find(|line| line.contains("processor 0: RIP 0x"));
    place.is_some_and(|place| {
        ["safe_halt", "idle", "mwait"].iter().any(|name| place.contains(name))
            && place.contains("+0x")
    })
}

#[test]
fn a_kernel_that_has_moved_itself_is_found_by_its_system_calls() {
    patiently(|| {
        // Where things are when it has not moved; its package has no such map.
        let words = "(entry_SYSCALL_64|_text|.*safe_halt|.*_idle(_call)?|mwait_idle.*)";
        let script = format!(
            "grep -E '^[0-9a-f]+ [tT] {words}$' /proc/kallsyms | sed 's/^/map=/'; poweroff -f"
        );
        let outcome = stock(&[], &script).append("quiet nokaslr").run();
        outcome.expect(0, POWERED_OFF);
        let report = crate::report::Report::of(&outcome);
        let map = report.all("map").join("\n") + "\n";
        assert!(map.contains("ffffffff81000000 T _text"), "{map}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("System.map");
        fs::write(&path, map).unwrap();

        let script =
            "grep ' _text$' /proc/kallsyms | sed 's/^/text=/'; echo here-it-hangs; sleep 100000";
        let guest = || stock(&[], script).append("quiet").arg("--vmlinux").arg(&path);
        let outcome = hangs(guest, is_idle);
        println!("it lies at {}", crate::report::Report::of(&outcome).one("text"));
        assert!(is_idle(&outcome), "{outcome}");
    });
}

#[test]
fn symbols_are_found_by_the_release_in_the_image() {
    /// One that no other test looks for, and what is to become of it.
    const RELEASES: [&str; 2] = ["-minimal", "-mapping"];
    if !testing::in_lab() {
        // They lie where only the system's own are.
        return;
    }
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let mut bytes = fs::read(kernel("minimal/bzImage.gzip")).unwrap();
        let [from, to] = RELEASES.map(str::as_bytes);
        let place = bytes.windows(from.len()).position(|bytes| bytes == from).unwrap();
        bytes[place..][..to.len()].copy_from_slice(to);
        fs::write(&image, bytes).unwrap();
        let names = Command::new("nm").arg(kernel(MINIMAL)).output().unwrap();
        let names = String::from_utf8_lossy(&names.stdout);
        // Nobody else has these names.
        let marked = names.lines().map(|line| match line.rsplit_once(' ') {
            Some((start, name)) if name != "entry_SYSCALL_64" => format!("{start} our_{name}\n"),
            _ => format!("{line}\n"),
        });
        let release = boot::Kernel::open(&image).unwrap().release().unwrap().unwrap();
        assert!(release.ends_with("-mapping"), "{release}");
        fs::create_dir_all("/boot").unwrap();
        let map = format!("/boot/System.map-{release}");
        fs::write(map, marked.collect::<String>()).unwrap();

        let outcome = hangs(|| Guest::linux(&image, HANGS), is_idle);
        let place = outcome.stderr.lines().find(|line| line.contains("processor 0: RIP 0x"));
        assert!(place.unwrap().contains(" our_"), "{outcome}");
    });
}
