//! The virtio console of a Linux guest: all that the serial one does.

use std::fs;
use std::io::{self, Read};
use std::process::Command;

use testing::{Guest, Signal, TRANSPORTS, kernel, patiently, wait_for_write};

use crate::console::{
    gets_a_long_paste, gets_piped_commands, leaves_by_the_escape_key, obeys_a_person,
};
use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF, RESTARTED};

/// A guest whose only console is hvc0, at its stdin and stdout.
fn guest(script: &str) -> Guest {
    with_serial(script).append("quiet")
}

/// The same, and more may be said of its consoles and to its kernel.
fn with_serial(script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), script).arg("--console").arg("hvc=stdio")
}

fn shell() -> Guest {
    guest("exec setsid cttyhack sh")
}

#[test]
fn a_shell_on_a_terminal_takes_commands_and_ctrl_c_and_knows_its_size() {
    patiently(|| {
        obeys_a_person(shell(), |guest, terminal| {
            guest.write("tty\r").wait_for("/dev/hvc0");
            guest.write("stty size\r").wait_for("24 80");
            // The size changes, and the guest hears of it.
            let mut stty = Command::new("stty");
            let resized = stty.args(["rows", "50", "cols", "132"]).stdin(terminal.slave()).status();
            assert!(resized.unwrap().success());
            let resize =
                "until [ \"$(stty size)\" = '50 132' ]; do sleep 1; done; echo size$((3+3))\r";
            guest.write(resize).wait_for("size6");
        });
    });
}

#[test]
fn the_escape_key_leaves_a_shell() {
    patiently(|| leaves_by_the_escape_key(shell()));
}

#[test]
fn piped_commands_reach_the_shell_even_before_it_is_there() {
    patiently(|| {
        for transport in TRANSPORTS {
            gets_piped_commands(shell().transport(transport));
        }
    });
}

#[test]
fn a_long_paste_arrives_whole() {
    patiently(|| gets_a_long_paste(guest));
}

#[test]
fn a_panic_is_told_with_the_kernels_own_line() {
    patiently(|| {
        let died = "kiln: the guest kernel died: Kernel panic - not syncing: sysrq triggered crash";
        // It restarts at once, as the default command line has it; and it stays.
        for panic in ["panic=-1", "panic=0"] {
            let outcome = guest("echo c >/proc/sysrq-trigger").append(panic).run();
            outcome.expect(126, died);
            assert!(outcome.text().contains("sysrq: Trigger a crash"), "{outcome}");
        }
        // Nobody reads it, and it is seen all the same.
        let outcome = Guest::linux(&kernel(MINIMAL), "echo c >/proc/sysrq-trigger")
            .arg("--console")
            .arg("hvc=off")
            .run();
        outcome.expect(126, died);
        assert!(outcome.stdout.is_empty(), "{outcome}");
    });
}

#[test]
fn the_last_bytes_before_an_instant_end_arrive() {
    patiently(|| {
        let lines = "i=0; while [ $i -lt 500 ]; do echo line=$i; i=$((i+1)); done;";
        let expected: Vec<_> = (0..500).map(|line| line.to_string()).collect();
        for (end, line) in [("reboot -f", RESTARTED), ("poweroff -f", POWERED_OFF)] {
            let outcome = guest(&format!("{lines} {end}")).cpus(2).run();
            outcome.expect(0, line);
            assert_eq!(Report::of(&outcome).all("line"), expected);
        }
    });
}

#[test]
fn the_serial_port_may_have_a_file_beside_it() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot.log");
        let guest = with_serial("echo console=$(cat /sys/class/tty/console/active); poweroff -f");
        let outcome = guest.arg("--console").arg(format!("file={}", path.display())).run();
        outcome.expect(0, POWERED_OFF);
        // The one named last is /dev/console, and the kernel prints to both.
        assert_eq!(Report::of(&outcome).one("console"), "ttyS0 hvc0");
        let boot = fs::read_to_string(&path).unwrap();
        // Before hvc0 has a driver, and when it has none any more.
        assert!(boot.contains("Linux version") && boot.contains("reboot: Power down"), "{boot}");
        for text in [&*boot, &outcome.text()] {
            assert!(text.contains("Run /init as init process"), "{text}");
        }
        assert!(!boot.contains("console=ttyS0 hvc0"), "{boot}");
    });
}

#[test]
fn a_file_without_room_costs_what_would_be_in_it_and_no_more() {
    patiently(|| {
        let guest = Guest::linux(&kernel(MINIMAL), "echo a line; poweroff -f");
        let outcome = guest.append("quiet").arg("--console").arg("hvc=file=/dev/full").run();
        outcome.expect(0, POWERED_OFF);
        let lost = "the console file /dev/full has no room left, console output is lost";
        assert_eq!(outcome.stderr.matches(lost).count(), 1, "{outcome}");
    });
}

#[test]
fn an_unread_pipe_neither_stops_the_guest_nor_loses_anything() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        fs::write(&disk, vec![0; 4096]).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let written = wait_for_write(&disk);
        // More than the pipe holds, less than what waits for a reader.
        let script = "stty -opost; dd if=/dev/zero bs=4k count=500 2>/dev/null | tr '\\0' a; echo;
            echo x >/dev/vda; sync; poweroff -f";
        let guest = guest(script).disk(&disk, "").stdout(writer).spawn();
        // All of it is written, and none of it read.
        written();
        let mut stdout = Vec::new();
        reader.read_to_end(&mut stdout).unwrap();
        guest.wait().expect(0, POWERED_OFF);
        let longest = stdout.split(|byte| *byte != b'a').map(<[u8]>::len).max();
        assert_eq!(longest, Some(500 * 4096));
    });
}

#[test]
fn a_signal_ends_a_guest_that_prints_for_ever_to_nobody() {
    patiently(|| {
        let (_reader, writer) = io::pipe().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        fs::write(&disk, vec![0; 4096]).unwrap();
        let written = wait_for_write(&disk);
        let script = "echo x >/dev/vda; sync; while :; do cat /bin/busybox; done";
        let mut guest = guest(script).disk(&disk, "").stdout(writer).spawn();
        written();
        guest.signal(Signal::SIGTERM);
        guest.wait().expect(143, "kiln: the run was ended by SIGTERM");
    });
}
