//! However a Linux guest ends, the run ends with it and says how.

use testing::{Guest, Signal, kernel, patiently};

use crate::{MINIMAL, POWERED_OFF, RESTARTED};

fn guest(script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), script).append("quiet")
}

#[test]
fn every_way_to_reboot_ends_the_run() {
    patiently(|| {
        for way in ["k", "t", "a", "p"] {
            let outcome = guest("reboot -f").append(&format!("reboot={way}")).cpus(2).run();
            outcome.expect(0, RESTARTED);
        }
    });
}

#[test]
fn poweroff_and_halt_end_the_run() {
    patiently(|| {
        guest("poweroff -f").cpus(2).run().expect(0, POWERED_OFF);
        guest("halt -f").cpus(2).run().expect(0, "kiln: the guest halted for good");
    });
}

#[test]
fn a_guest_gives_its_own_status_through_isa_debug_exit() {
    patiently(|| {
        let script = "printf '\\026' | dd of=/dev/port bs=1 seek=244 2>/dev/null";
        guest(script).run().expect(22, "kiln: the guest ended with status 22");
    });
}

#[test]
fn a_panic_is_told_with_the_kernels_own_line() {
    patiently(|| {
        let died =
            |what: &str| format!("kiln: the guest kernel died: Kernel panic - not syncing: {what}");
        let crash = "echo c >/proc/sysrq-trigger";
        // It restarts at once, as the default command line has it; and it stays.
        for panic in ["panic=-1", "panic=0"] {
            let outcome = guest(crash).append(panic).run();
            outcome.expect(126, &died("sysrq triggered crash"));
            assert!(outcome.text().contains("sysrq: Trigger a crash"), "{outcome}");
        }
        // A first process that ends.
        let outcome = guest("exit 3").run();
        outcome.expect(126, &died("Attempted to kill init! exitcode=0x00000300"));
    });
}

#[test]
fn a_guest_without_init_or_root_is_told_what_is_missing() {
    patiently(|| {
        let outcome = guest("").append("rdinit=/nowhere").run();
        assert_eq!(outcome.status, 126, "{outcome}");
        assert!(outcome.stderr.contains("Unable to mount root fs"), "{outcome}");
    });
}

#[test]
fn signals_and_the_timeout_end_a_linux_guest() {
    patiently(|| {
        let mut running = guest("echo up; while :; do :; done").cpus(2).spawn();
        running.wait_for("up").signal(Signal::SIGTERM);
        running.wait().expect(143, "kiln: the run was ended by SIGTERM");
        let mut running = guest("echo up; sleep 100000").cpus(2).spawn();
        running.wait_for("up").signal(Signal::SIGINT);
        running.wait().expect(130, "kiln: the run was ended by SIGINT");
        let outcome = guest("sleep 100000").arg("--timeout").arg("3s").run();
        outcome.expect(124, "kiln: the run timed out after 3s");
    });
}

#[test]
fn the_last_bytes_before_an_instant_reset_arrive() {
    patiently(|| {
        // The reset comes from the script, while the port may still be sending.
        let script = "i=0; while [ $i -lt 500 ]; do echo line=$i; i=$((i+1)); done; reboot -f";
        let outcome = guest(script).run();
        outcome.expect(0, RESTARTED);
        let report = crate::report::Report::of(&outcome);
        let expected: Vec<_> = (0..500).map(|line| line.to_string()).collect();
        assert_eq!(report.all("line"), expected);
    });
}
