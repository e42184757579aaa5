//! However a command ends, the run ends with its status, and a guest that ends
//! without it has a status and a sentence of its own.

use testing::{Guest, Outcome, Signal, kernel, patiently};

use super::script;
use crate::MINIMAL;

/// Checks the status, and that Kiln itself said nothing.
#[track_caller]
fn expect_quiet(outcome: &Outcome, status: i32) {
    assert!(outcome.status == status && outcome.stderr.is_empty(), "expected {status}\n{outcome}");
}

#[test]
fn the_status_of_a_command_is_that_of_the_run() {
    patiently(|| {
        for status in [0, 1, 22, 255] {
            expect_quiet(&script(&format!("exit {status}")).run(), status);
        }
    });
}

#[test]
fn a_signal_that_kills_a_command_is_told_as_a_shell_does() {
    patiently(|| {
        expect_quiet(&script("kill -9 $$").run(), 137);
        expect_quiet(&script("kill -15 $$").run(), 143);
    });
}

#[test]
fn a_command_that_cannot_be_run_is_told_as_a_shell_does() {
    patiently(|| {
        let outcome = Guest::running(&kernel(MINIMAL), &["no-such-command"]).run();
        let said = "kiln: the command no-such-command cannot be run: No such file or directory";
        outcome.expect(127, said);
        let outcome = Guest::running(&kernel(MINIMAL), &["/etc/passwd"]).run();
        outcome.expect(126, "kiln: the command /etc/passwd cannot be run: Permission denied");
    });
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    patiently(|| {
        let outcome = script("sleep 100000 & setsid sleep 100000 & (sleep 100000 &); exit 4").run();
        expect_quiet(&outcome, 4);
    });
}

#[test]
fn a_guest_that_ends_before_its_command_has_failed() {
    patiently(|| {
        let lost = |how: &str| format!("kiln: the guest {how} before the command had ended");
        script("busybox poweroff -f").run().expect(127, &lost("powered off"));
        script("busybox reboot -f").run().expect(127, &lost("restarted"));
        let panicked = "kiln: the guest kernel died: Kernel panic - not syncing: \
                        sysrq triggered crash";
        script("echo c >/proc/sysrq-trigger").run().expect(126, panicked);
    });
}

#[test]
fn an_agent_that_is_killed_ends_the_guest_with_a_panic() {
    if !testing::in_lab() {
        // Elsewhere the command may not be root.
        return;
    }
    patiently(|| {
        // Linux shields the first process from signals.
        let outcome = script("kill -KILL 1; kill -SEGV 1; kill -SEGV 1; exit 3").run();
        expect_quiet(&outcome, 3);
        // Not from itself: its code is gone when it next wakes up.
        let text = "set -- $(grep ' r-xp .* /init' /proc/1/maps); from=$((0x${1%-*} / 4096)); \
                    to=$((0x${1#*-} / 4096)); dd if=/dev/zero of=/proc/1/mem bs=4096 seek=$from \
                    count=$((to - from)) conv=notrunc; exit 3";
        let outcome = script(text).run();
        let said = "kiln: the guest kernel died: Kernel panic - not syncing: Attempted to kill \
                    init! exitcode=0x0000000b";
        outcome.expect(126, said);
    });
}

#[test]
fn a_guest_that_lacks_something_says_what() {
    patiently(|| {
        // Without its PCI bus, the guest reaches no device.
        let outcome = script("true").append("pci=off").run();
        assert_eq!(outcome.status, 127, "{outcome}");
        let said = "the guest powered off before the command had ended: the kernel has no stream \
                    sockets to the host (CONFIG_VSOCKETS, ";
        assert!(outcome.stderr.contains(said), "{outcome}");
    });
}

#[test]
fn a_signal_goes_to_the_command_first_and_ends_the_run_the_second_time() {
    patiently(|| {
        let text = "trap 'echo caught; exit 5' TERM; echo up; while :; do sleep 1; done";
        let mut running = script(text).spawn();
        running.wait_for("up").signal(Signal::SIGTERM).wait_for("caught");
        expect_quiet(&running.wait(), 5);

        let text = "trap 'echo caught' INT; echo up; while :; do sleep 1; done";
        let mut running = script(text).spawn();
        running.wait_for("up").signal(Signal::SIGINT).wait_for("caught").signal(Signal::SIGINT);
        running.wait().expect(130, "kiln: the run was ended by SIGINT");

        let mut running = script("echo up; while :; do sleep 1; done").spawn();
        running.wait_for("up").signal(Signal::SIGTERM);
        expect_quiet(&running.wait(), 143);
    });
}

#[test]
fn a_stock_kernel_is_given_its_modules() {
    patiently(|| {
        let cloud = kernel("debian/cloud/vmlinuz");
        let modules = kernel("debian/cloud/modules");
        let release = std::fs::read_to_string(kernel("debian/cloud/release")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in ["old", "doomed"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("file"), "words\n").unwrap();
        }
        // With its TMPFS_XATTR, directories of the host can go.
        let text = "uname -r; mv old new && cat new/file; rm -r doomed; mkdir doomed; ls . doomed";
        let guest = Guest::running(&cloud, &["sh", "-c", text]).arg("--modules").arg(&modules);
        let outcome = guest.directory(folder.path()).memory("1G").run();
        expect_quiet(&outcome, 0);
        assert_eq!(outcome.text(), format!("{release}words\n.:\ndoomed\nnew\n\ndoomed:\n"));
        assert!(folder.path().join("doomed/file").exists(), "and the host's are there");
    });
}

#[test]
fn a_stock_kernel_without_its_modules_says_what_it_takes() {
    patiently(|| {
        let release = std::fs::read_to_string(kernel("debian/cloud/release")).unwrap();
        let outcome = Guest::running(&kernel("debian/cloud/vmlinux"), &["true"]).memory("1G").run();
        let said = format!(
            "kiln: hint: a command needs CONFIG_VIRTIO_PCI, CONFIG_VIRTIO_VSOCKETS, \
             CONFIG_VIRTIO_FS, CONFIG_OVERLAY_FS in the kernel, or as modules, and there are none \
             in /lib/modules/{} (--modules DIR names another place)",
            release.trim()
        );
        outcome.expect(127, &said);
    });
}

#[test]
fn a_warning_while_a_command_runs_is_counted() {
    patiently(|| {
        let text = "echo '<4>WARNING: of a test' >/dev/kmsg";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        let outcome = script(text).arg("--report").arg(&path).run();
        expect_quiet(&outcome, 0);
        let report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((&report["warnings"], &report["command"][2]), (&1.into(), &text.into()));
        let outcome = script(text).arg("--fail-on-warning").run();
        assert_eq!(outcome.status, 123, "{outcome}");
        // Patterns are held against all that the kernel says.
        let outcome = script("sleep 100").arg("--fail-on").arg("Run /init as init").run();
        assert_eq!(outcome.status, 123, "{outcome}");
    });
}

#[test]
fn a_folder_without_modules_is_named() {
    let guest = Guest::running(&kernel(MINIMAL), &["true"]).arg("--modules").arg("/etc");
    let outcome = guest.run();
    assert_eq!(outcome.status, 125, "{outcome}");
    let said = "kiln: --modules: /etc has no modules of this kernel";
    assert!(outcome.stderr.starts_with(said), "{outcome}");
}
