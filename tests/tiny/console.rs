//! The serial console: bytes out, bytes in, nothing lost.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::time::Instant;

use testing::{Guest, PATIENCE, Running, Signal, fnv1a, pattern, wait_for_write};

use crate::{POWERED_OFF, RESTARTED};

/// A disk that the guest writes to where a test needs to know how far it is:
/// its console, unread, cannot tell.
fn telltale() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::write(&disk, vec![0; 4096]).unwrap();
    (folder, disk)
}

#[test]
fn two_mebibytes_through_an_unread_pipe_drained_late_arrive_whole() {
    // Twice what makes a port say that it is busy; more takes only longer, with
    // an exit a byte. The test of Kiln's writer has ten megabytes.
    const SIZE: usize = 2 << 20;
    let (_folder, disk) = telltale();
    let (mut reader, writer) = io::pipe().unwrap();
    let written = wait_for_write(&disk);
    let guest = Guest::tiny(&[&format!("flood:{SIZE}"), "blk", "end:i8042"]);
    let guest = guest.disk(&disk, "").stdout(writer).patience(3 * PATIENCE).spawn();
    // All of it is written, and none of it read.
    written();
    let mut stdout = Vec::new();
    reader.read_to_end(&mut stdout).unwrap();
    guest.wait().expect(0, RESTARTED);
    assert!(stdout.len() > SIZE, "{} bytes", stdout.len());
    let (flood, rest) = stdout.split_at(SIZE);
    assert!(flood == pattern(SIZE), "the flood is damaged");
    assert!(rest.starts_with(b"blk: 8 sectors\n"), "{}", String::from_utf8_lossy(rest));
}

#[test]
fn a_signal_ends_it_while_nobody_reads() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (_folder, disk) = telltale();
        // More than a pipe holds.
        let (_reader, writer) = io::pipe().unwrap();
        let written = wait_for_write(&disk);
        let guest = Guest::tiny(&["flood:100000", "blk", "end:spin"]);
        let mut guest = guest.disk(&disk, "").stdout(writer).spawn();
        written();
        guest.signal(signal);
        let outcome = guest.wait();
        outcome.expect(128 + signal as i32, &format!("kiln: the run was ended by {signal}"));
        assert!(outcome.stderr.contains("bytes of console output were never read"), "{outcome}");
    }
}

/// A guest that has powered off with more output unread than a pipe holds.
fn ended_unread(stdout: io::PipeWriter) -> Running {
    let guest = Guest::tiny(&["flood:100000", "end:poweroff"]).stdout(stdout).spawn();
    let tasks = format!("/proc/{}/task", guest.pid());
    let deadline = Instant::now() + PATIENCE;
    let comm = |task: io::Result<DirEntry>| fs::read_to_string(task.unwrap().path().join("comm"));
    // First there must be a vCPU, then none.
    for runs in [true, false] {
        while fs::read_dir(&tasks).unwrap().any(|t| comm(t).is_ok_and(|c| c == "vcpu0\n")) != runs {
            assert!(Instant::now() < deadline, "it did not get to its end");
            std::thread::yield_now();
        }
    }
    guest
}

#[test]
fn an_end_waits_for_its_reader() {
    let (mut reader, writer) = io::pipe().unwrap();
    let guest = ended_unread(writer);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == pattern(100_000), "{} bytes", read.len());
    guest.wait().expect(0, POWERED_OFF);
}

#[test]
fn a_signal_ends_the_waiting_for_a_reader() {
    let (_reader, writer) = io::pipe().unwrap();
    let mut guest = ended_unread(writer);
    guest.signal(Signal::SIGTERM);
    let outcome = guest.wait();
    outcome.expect(143, "kiln: the run was ended by SIGTERM");
    assert!(outcome.stderr.contains("bytes of console output were never read"), "{outcome}");
}

#[test]
fn a_driver_that_polls_loses_nothing() {
    const SIZE: usize = 50_000;
    let outcome = Guest::tiny(&[&format!("pflood:{SIZE}"), "end:poweroff"]).run();
    outcome.expect(0, POWERED_OFF);
    assert!(outcome.stdout == pattern(SIZE), "{} bytes", outcome.stdout.len());
}

#[test]
fn string_output_is_one_access_an_element() {
    let outcome = Guest::tiny(&["outs:bytes", "outsw:words", "ins", "end:poweroff"]).run();
    outcome.expect(0, POWERED_OFF);
    assert_eq!(outcome.text(), "bytes\nwords\nins: right\n");
}

#[test]
fn unclaimed_addresses_read_as_all_ones() {
    let outcome = Guest::tiny(&["probe:1f0", "probemem:d8000000", "end:poweroff"]).run();
    outcome.expect(0, POWERED_OFF);
    let text = "probe: ff ffff ffffffff\nprobemem: ff ffff ffffffff ffffffffffffffff\n";
    assert_eq!(outcome.text(), text);
}

#[test]
fn piped_input_reaches_a_guest_that_polls_and_one_that_is_interrupted() {
    for word in ["echo", "irqecho"] {
        let mut guest = Guest::tiny(&[word, "end:poweroff"]).stdin_pipe().spawn();
        // Ahead of the guest, which is not up yet.
        guest.write("first line\nsecond q\n");
        guest.wait_for("first line\nsecond q\n");
        // And when it has waited for it.
        guest.write("\x03\x01x\x00\n").wait_for("\x03\x01x\x00\n");
        guest.write("q");
        guest.wait().expect(0, POWERED_OFF);
    }
}

#[test]
fn a_large_input_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    let bytes = pattern(20_000);
    fs::write(&path, &bytes).unwrap();
    let words = [&*format!("recv:{}", bytes.len()), "end:poweroff"];
    let expected = format!("recv\nrecv: hash {:x}\n", fnv1a(&bytes));
    // From a file, which cannot be polled, and from a pipe.
    let from_file = Guest::tiny(&words).stdin(File::open(&path).unwrap()).run();
    from_file.expect(0, POWERED_OFF);
    assert_eq!(from_file.text(), expected);
    let mut guest = Guest::tiny(&words).stdin_pipe().spawn();
    guest.write(&bytes);
    let from_pipe = guest.wait();
    from_pipe.expect(0, POWERED_OFF);
    assert_eq!(from_pipe.text(), expected);
}

#[test]
fn a_console_that_is_off_or_in_a_file_leaves_stdout_alone() {
    let panic = "say:Kernel_panic_-_not_syncing:_x";
    let outcome = Guest::tiny(&[panic, "end:i8042"]).arg("--console").arg("off").run();
    // It is watched all the same.
    outcome.expect(126, "kiln: the guest kernel died: Kernel panic - not syncing: x");
    assert!(outcome.stdout.is_empty(), "{outcome}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    fs::write(&path, "what was there before").unwrap();
    let guest = Guest::tiny(&["flood:100000", "end:poweroff"]);
    let outcome = guest.arg("--console").arg(format!("file={}", path.display())).run();
    outcome.expect(0, POWERED_OFF);
    assert!(outcome.stdout.is_empty(), "{outcome}");
    assert!(fs::read(&path).unwrap() == pattern(100_000));
}

#[test]
fn a_full_disk_is_said_once_and_the_guest_goes_on() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for console in ["stdio", "file=/dev/full"] {
        let guest = Guest::tiny(&["flood:20000", "end:poweroff"]).arg("--console").arg(console);
        let outcome = guest.stdout(full()).run();
        outcome.expect(0, POWERED_OFF);
        let said = outcome.stderr.lines().filter(|line| line.contains("No space left")).count();
        assert_eq!(said, 1, "{outcome}");
    }
}

#[test]
fn a_reader_who_leaves_does_not_disturb_the_guest() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let outcome = Guest::tiny(&["flood:20000", "end:poweroff"]).stdout(writer).run();
    outcome.expect(0, POWERED_OFF);
}

#[test]
fn logs_go_to_the_file_and_never_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let guest = Guest::tiny(&["say:hi", "end:poweroff"]).arg("-vv").arg("--log-file").arg(&log);
    let outcome = guest.run();
    outcome.expect(0, POWERED_OFF);
    assert_eq!(outcome.text(), "hi\n");
    // How it ended is for whoever started it; the log has the rest.
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    assert!(!fs::read_to_string(&log).unwrap().is_empty());
}
