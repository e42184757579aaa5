//! The command's streams are Kiln's: separate, byte for byte, and ended from
//! either side.

use std::fs::File;

use testing::{Guest, kernel, patiently, pattern};

use super::script;
use crate::MINIMAL;

#[test]
fn every_byte_goes_through_and_the_streams_stay_apart() {
    patiently(|| {
        let data = pattern(3 << 20);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, &data).unwrap();
        let guest = script("tee /dev/stderr").stdin(File::open(&path).unwrap());
        let errors = folder.path().join("errors");
        let outcome = guest.stderr(File::create(&errors).unwrap()).run();
        assert_eq!(outcome.status, 0);
        assert!(outcome.stdout == data, "{} bytes came out", outcome.stdout.len());
        assert!(std::fs::read(&errors).unwrap() == data, "and the same on standard error");
    });
}

#[test]
fn input_that_ends_or_is_not_there_ends_for_the_command() {
    patiently(|| {
        let mut running = script("cat; echo over").stdin_pipe().spawn();
        running.write("line\n").wait_for("line").close_stdin().wait_for("over");
        assert_eq!(running.wait().status, 0);
        let outcome = script("wc -c").redirect("<&-").run();
        assert_eq!((outcome.status, outcome.text().trim()), (0, "0"), "{outcome}");
    });
}

#[test]
fn a_command_that_reads_nothing_leaves_its_input_alone() {
    patiently(|| {
        // More than fits on the way.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        std::fs::write(&path, pattern(8 << 20)).unwrap();
        let outcome = script("exec <&-; echo on").stdin(File::open(&path).unwrap()).run();
        assert_eq!((outcome.status, outcome.text().as_str()), (0, "on\n"), "{outcome}");
        // A pipe that stays open does not hold up the end.
        let mut running = Guest::running(&kernel(MINIMAL), &["echo", "on"]).stdin_pipe().spawn();
        running.wait_for("on");
        assert_eq!(running.wait().status, 0);
    });
}

#[test]
fn a_reader_that_goes_away_ends_who_writes() {
    patiently(|| {
        let (reader, writer) = std::io::pipe().unwrap();
        let running = script("yes; echo \"status $?\" >&2").stdout(writer).spawn();
        drop(reader);
        let outcome = running.wait();
        // 141 is 128 and SIGPIPE; `yes` may see the error instead.
        assert_eq!(outcome.status, 0, "{outcome}");
        assert!(outcome.stderr.contains("status 1"), "{outcome}");
    });
}

#[test]
fn what_goes_to_one_file_stays_in_order() {
    patiently(|| {
        let text = "i=0; while [ $i -lt 300 ]; do echo \"out $i\"; echo \"aside $i\" >&2; \
                    i=$((i + 1)); done";
        let expected: String = (0..300).map(|i| format!("out {i}\naside {i}\n")).collect();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let running = script(text).stdout(writer.try_clone().unwrap()).stderr(writer).spawn();
        assert_eq!(running.wait().status, 0);
        let mut piped = String::new();
        std::io::Read::read_to_string(&mut reader, &mut piped).unwrap();
        assert_eq!(piped, expected);

        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = file.reopen().unwrap();
        let guest = script(text).stdout(opened.try_clone().unwrap()).stderr(opened);
        assert_eq!(guest.run().status, 0);
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), expected);
    });
}

#[test]
fn output_that_the_host_does_not_take_makes_no_success() {
    patiently(|| {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let said = "kiln: the command ended with status 0, but its output is not whole: \
                    standard output takes no more: No space left on device";
        script("echo words").stdout(full()).run().expect(125, said);
        let outcome = script("echo words; exit 3").stdout(full()).run();
        assert_eq!(outcome.status, 3, "{outcome}");
        assert!(outcome.stderr.contains("warn: standard output takes no more: "), "{outcome}");
        // Nobody misses what nobody wrote, or wanted to read.
        assert_eq!(script("true").stdout(full()).run().status, 0);
        let outcome = script("echo words").redirect(">&-").run();
        assert!(outcome.status == 0 && outcome.stderr.is_empty(), "{outcome}");
    });
}
