//! Memory that comes back from a Linux guest.

use std::fs;

use testing::{Guest, Running, Signal, TRANSPORTS, kernel, patiently};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

/// For a script: what /proc/meminfo has of a name, in KiB.
const MEMINFO: &str = "meminfo() { sed -n \"s/^$1: *\\([0-9]*\\) kB/\\1/p\" /proc/meminfo; }";

fn guest(script: &str) -> Guest {
    let script = format!("{MEMINFO}\n{script}\npoweroff -f");
    Guest::linux(&kernel(MINIMAL), &script).append("quiet")
}

/// What the process has in memory, in KiB.
fn resident(guest: &Running) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", guest.pid())).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// For a script: says every second that time goes on, so that the host looks
/// again.
const TICK: &str = "(while :; do echo tick; sleep 1; done) &";

#[test]
fn a_gibibyte_that_was_freed_comes_back_to_the_host() {
    patiently(|| {
        let script = format!(
            "mount -t tmpfs -o size=1100m tmpfs /tmp
        echo ready
        read line
        dd if=/dev/zero of=/tmp/file bs=1M count=1024 2>/dev/null || echo failed=dd
        echo written
        read line
        rm /tmp/file
        echo freed
        {TICK}
        read line"
        );
        let guest = guest(&script).memory("1536M").arg("--balloon").stdin_pipe();
        let mut guest = guest.spawn();
        guest.wait_for("ready");
        let before = resident(&guest);
        guest.write("\n").wait_for("written");
        let written = resident(&guest);
        assert!(written > before + (1000 << 10), "{before} KiB and a GiB are {written} KiB");
        guest.write("\n").wait_for("freed");
        let mut ticks = 0;
        while resident(&guest) > before + before / 10 {
            // Gives up, with all that was printed, when the test's time is over.
            guest.wait_for("tick");
            ticks += 1;
        }
        println!("{before} KiB, {written}, and {} again after {ticks} s", resident(&guest));
        guest.write("\n");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
    });
}

#[test]
fn a_guest_does_without_what_is_in_the_balloon_and_says_how_it_is() {
    patiently(|| {
        for transport in TRANSPORTS {
            let script = format!(
                "{TICK}
                read line
                echo total=$(meminfo MemTotal)"
            );
            let guest = guest(&script).transport(transport).stdin_pipe();
            let guest = guest.arg("-v").arg("--balloon").arg("size=256M,free-page-reporting=off");
            let mut guest = guest.spawn();
            while !guest.has_said("the balloon holds 256 MiB; the guest has ") {
                guest.wait_for("tick");
                guest.signal(Signal::SIGHUP);
            }
            guest.write("\n");
            let outcome = guest.wait();
            outcome.expect(0, POWERED_OFF);
            let total = Report::of(&outcome).number("total");
            assert!((128 << 10..256 << 10).contains(&total), "{outcome}");
            let mut lines = outcome.stderr.lines().filter(|line| line.contains("the balloon"));
            let said: Vec<&str> = lines.next_back().unwrap().split(' ').collect();
            let mib = |what: &str| -> u64 {
                let at = said.iter().position(|word| *word == what).unwrap();
                said[at - 2].parse().unwrap()
            };
            assert!((64..256).contains(&mib("free")), "{outcome}");
            assert!((64..256).contains(&mib("available")), "{outcome}");
            assert!(outcome.stderr.contains(&format!(" of {} MiB\n", total >> 10)), "{outcome}");
        }
    });
}

#[test]
fn a_guest_that_runs_out_of_memory_takes_some_back() {
    patiently(|| {
        let script = "
        until [ $(meminfo MemFree) -lt 180000 ]; do usleep 10000; done
        mount -t tmpfs -o size=300m tmpfs /tmp
        dd if=/dev/zero of=/tmp/file bs=1M count=240 2>/dev/null && echo written=$(stat -c %s /tmp/file)";
        let guest = guest(script).arg("--balloon").arg("size=320M,deflate-on-oom=on");
        let outcome = guest.run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).number("written"), 240 << 20, "{outcome}");
    });
}
