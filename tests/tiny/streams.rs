//! Stdin and stdout may be anything.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use testing::{Guest, Outcome, Running, Signal, Terminal};

use crate::POWERED_OFF;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Tty,
    Pipe,
    File,
    Null,
    Closed,
}

const STREAMS: [Stream; 5] =
    [Stream::Tty, Stream::Pipe, Stream::File, Stream::Null, Stream::Closed];

/// A run with these two; what arrived on stdout, where anything can.
fn run(words: &[&str], stdin: Stream, stdout: Stream) -> (Outcome, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    fs::write(&input, "").unwrap();
    let outcome = start(words, stdin, stdout, &input, &output).wait();
    let bytes = match stdout {
        Stream::Tty | Stream::Pipe => Some(outcome.stdout.clone()),
        Stream::File => Some(fs::read(&output).unwrap()),
        Stream::Null | Stream::Closed => None,
    };
    (outcome, bytes)
}

fn start(
    words: &[&str],
    stdin: Stream,
    stdout: Stream,
    input: &std::path::Path,
    output: &std::path::Path,
) -> Running {
    let mut guest = Guest::tiny(words);
    let mut closed = String::new();
    let terminal = Terminal::new();
    match stdout {
        Stream::Tty => guest = guest.terminal(terminal.same()),
        Stream::Pipe => {}
        Stream::File => guest = guest.stdout(File::create(output).unwrap()),
        Stream::Null => guest = guest.redirect(">/dev/null"),
        Stream::Closed => closed.push_str(" >&-"),
    }
    match stdin {
        Stream::Tty => guest = guest.stdin(terminal.slave()),
        Stream::Pipe => guest = guest.stdin_pipe(),
        Stream::File => guest = guest.stdin(File::open(input).unwrap()),
        Stream::Null => guest = guest.stdin(File::open("/dev/null").unwrap()),
        Stream::Closed => closed.push_str(" <&-"),
    }
    if stdout == Stream::Null {
        closed.push_str(" >/dev/null");
    }
    let mut guest = guest.redirect(&closed).spawn();
    if stdin == Stream::Pipe {
        guest.close_stdin();
    }
    guest
}

#[test]
fn any_stdin_with_any_stdout_gives_the_same_bytes_and_status() {
    for stdin in STREAMS {
        for stdout in STREAMS {
            let (outcome, bytes) = run(&["flood:3000", "say:bye", "exit:7"], stdin, stdout);
            let line = outcome.stderr.lines().last().unwrap_or_default();
            assert_eq!(outcome.status, 7, "{stdin:?} {stdout:?}: {outcome}");
            assert_eq!(line, "kiln: the guest ended with status 7", "{stdin:?} {stdout:?}");
            if let Some(bytes) = bytes {
                let mut expected = testing::pattern(3000);
                expected.extend_from_slice(b"bye\n");
                // A terminal that is not raw, as stdin is none, adds a carriage return.
                let cooked = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                let plain = String::from_utf8_lossy(&expected).replace("\r\n", "\n");
                assert!(cooked == plain, "{stdin:?} {stdout:?}: {outcome}");
            }
        }
    }
}

/// Ticks of 10 ms that the process has spent in user space and in the kernel.
pub(crate) fn cpu_ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn an_idle_guest_costs_no_cpu_whatever_its_stdin_is() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    fs::write(&input, "typed ahead\n").unwrap();
    for stdin in STREAMS {
        let mut guest = start(&["say:idle", "end:stihlt"], stdin, Stream::Pipe, &input, &output);
        guest.wait_for("idle\n");
        // Only time that passes can show that none of it is used. A loop that
        // spins would use most of it, even on a busy machine.
        let before = cpu_ticks(guest.pid());
        thread::sleep(Duration::from_secs(1));
        let used = cpu_ticks(guest.pid()) - before;
        assert!(used < 20, "{stdin:?}: {used} ticks of CPU time in a second");
        guest.signal(Signal::SIGTERM);
        guest.wait().expect(143, "kiln: the run was ended by SIGTERM");
    }
}

#[test]
fn a_closed_stderr_does_no_harm() {
    let outcome = Guest::tiny(&["say:hi", "end:poweroff"]).redirect("2>&-").run();
    assert_eq!((outcome.status, outcome.text().as_str()), (0, "hi\n"), "{outcome}");
    let all = Guest::tiny(&["say:hi", "exit:3"]).redirect("<&- >&- 2>&-").run();
    assert_eq!((all.status, all.stdout.len()), (3, 0), "{all}");
}

#[test]
fn a_disk_is_never_taken_for_a_closed_stdout() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::write(&disk, vec![0; 4096]).unwrap();
    let guest = Guest::tiny(&["say:not_into_the_disk", "end:poweroff"]).disk(&disk, "");
    guest.redirect("<&- >&-").run().expect(0, POWERED_OFF);
    assert_eq!(fs::read(&disk).unwrap(), vec![0; 4096]);
}
