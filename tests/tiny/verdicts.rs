//! What a run is judged by, beside how its guest ends.

use std::fs;

use testing::{Guest, Outcome, run_with};

use crate::{POWERED_OFF, RESTARTED};

fn guest(words: &[&str], arguments: &[&str]) -> Guest {
    arguments.iter().fold(Guest::tiny(words), |guest, argument| guest.arg(argument))
}

fn run(words: &[&str], arguments: &[&str]) -> Outcome {
    guest(words, arguments).run()
}

#[test]
fn a_line_to_fail_on_ends_the_run_with_its_own_status() {
    let words = ["say:fine", "say:a_BUG_here", "end:spin"];
    for spelling in ["BUG", "^a B.G here$", "[A-Z]{3}"] {
        let outcome = run(&words, &["--fail-on", "nothing", "--fail-on", spelling]);
        let line = format!("kiln: the run failed, as --fail-on {spelling} says: a BUG here");
        outcome.expect(123, &line);
        assert!(outcome.text().starts_with("fine\na BUG here\n"), "{outcome}");
    }
}

#[test]
fn a_line_to_succeed_on_ends_the_run_as_a_success() {
    let outcome = run(&["say:all_good", "end:spin"], &["--succeed-on", "^all"]);
    outcome.expect(0, "kiln: the run succeeded, as --succeed-on ^all says: all good");
}

#[test]
fn the_first_match_decides_and_on_one_line_the_failure() {
    let both = ["--fail-on", "b", "--succeed-on", "a"];
    assert_eq!(run(&["say:a", "say:b", "end:spin"], &both).status, 0);
    assert_eq!(run(&["say:b", "say:a", "end:spin"], &both).status, 123);
    assert_eq!(run(&["say:ab", "end:spin"], &both).status, 123);
}

#[test]
fn a_match_right_before_the_end_counts() {
    for ending in ["end:i8042", "end:poweroff", "end:triple", "exit:0", "exit:7"] {
        let outcome = run(&["say:bad", ending], &["--fail-on", "bad"]);
        outcome.expect(123, "kiln: the run failed, as --fail-on bad says: bad");
        assert_eq!(run(&["put:good", ending], &["--succeed-on", "good"]).status, 0);
    }
}

#[test]
fn a_run_that_ends_without_the_line_to_succeed_on_is_no_success() {
    let outcome = run(&["say:hello", "end:poweroff"], &["--succeed-on", "bye"]);
    let why = "but the console never showed what --succeed-on waits for";
    outcome.expect(123, &format!("{POWERED_OFF}, {why}"));
    // A failure of the guest's own stays what it is.
    assert_eq!(run(&["exit:7"], &["--succeed-on", "bye"]).status, 7);
    assert_eq!(run(&["end:triple"], &["--succeed-on", "bye"]).status, 127);
}

#[test]
fn a_prompt_without_a_line_end_is_seen() {
    let outcome = run(&["put:login:_", "end:stihlt"], &["--succeed-on", "^login: $"]);
    outcome.expect(0, "kiln: the run succeeded, as --succeed-on ^login: $ says: login: ");
}

#[test]
fn a_hvc_console_off_and_a_file_are_watched_as_well() {
    for console in ["off", "file=/dev/null"] {
        let arguments = ["--console", console, "--fail-on", "x"];
        assert_eq!(run(&["say:x", "end:spin"], &arguments).status, 123);
    }
}

#[test]
fn warnings_and_oopses_fail_a_run_only_if_that_is_wanted() {
    for line in ["[1.0]_WARNING:_CPU:_0_PID:_1_at_x.c:1", "[1.0]_Oops:_0002_[#1]_SMP"] {
        let words = [&format!("say:{line}"), "end:poweroff"];
        run(&words, &[]).expect(0, POWERED_OFF);
        let outcome = run(&words, &["--fail-on-warning"]);
        let said = line.replace('_', " ");
        let said = said.strip_prefix("[1.0] ").unwrap();
        let why = format!("{POWERED_OFF}, but its kernel had warned (--fail-on-warning): {said}");
        outcome.expect(123, &why);
    }
    run(&["say:WARNING:_of_a_program", "end:i8042"], &["--fail-on-warning"]).expect(0, RESTARTED);
}

#[test]
fn the_panic_device_tells_of_a_panic_that_no_console_shows() {
    let line = "kiln: the guest kernel died: it told the panic device, and no console why";
    for ending in ["end:spin", "end:i8042", "end:halt"] {
        run(&["pvpanic:1", ending], &[]).expect(126, line);
        run(&["pvpanic:1", ending], &["--pvpanic", "isa"]).expect(126, line);
        run(&["pvpanic-pci:1", ending], &["--pvpanic", "pci"]).expect(126, line);
    }
    // A second kernel that saves what is left, and bits that nobody knows.
    for bits in ["pvpanic:2", "pvpanic:fe"] {
        run(&[bits, "end:poweroff"], &[]).expect(0, POWERED_OFF);
    }
}

#[test]
fn a_console_tells_more_than_the_panic_device() {
    let words = "say:[1.2]_Kernel_panic_-_not_syncing:_Oh";
    run(&["pvpanic:1", words, "end:spin"], &[])
        .expect(126, "kiln: the guest kernel died: Kernel panic - not syncing: Oh");
}

#[test]
fn without_the_panic_device_there_is_none() {
    let outcome = run(&["pvpanic:1", "end:spin"], &["--pvpanic", "off"]);
    assert_eq!(outcome.status, 99, "{outcome}");
    let outcome = run(&["pvpanic-pci:1", "end:spin"], &[]);
    assert_eq!(outcome.status, 99, "{outcome}");
}

#[test]
fn a_guest_that_does_not_start_is_ended_and_one_that_does_is_left_alone() {
    let limit = ["--boot-timeout", "1s"];
    let outcome = run(&["end:spin"], &limit);
    outcome.expect(124, "kiln: the boot timed out: no sign of a first process after 1s");
    let linux = "say:[____0.000000]_Linux_version_6.1";
    assert_eq!(run(&[linux, "end:spin"], &limit).status, 124);
    // Signs of a first process; the whole run's limit ends these.
    for sign in ["say:[____0.9]_Run_/init_as_init_process", "say:hello", "put:$_"] {
        let limited = |(boot, whole)| {
            let both = ["--boot-timeout", boot, "--timeout", whole];
            run(&[linux, sign, "end:spin"], &both)
        };
        let has_booted = |outcome: &Outcome| !outcome.stderr.contains("the boot timed out");
        let limits = [("200ms", "1s"), ("10s", "20s"), ("1m", "2m")];
        let ((_, whole), outcome) = run_with(&limits, limited, has_booted);
        outcome.expect(124, &format!("kiln: the run timed out after {whole}"));
    }
}

#[test]
fn a_run_that_times_out_says_where_the_guest_was() {
    let words = ["say:one", "say:two", "smp", "end:spin"];
    let spins =
        |line: &str| line.starts_with("kiln: processor 0: RIP 0x") && line.contains(" by_spin+0x");
    let (limit, outcome) = run_with(
        &["1s", "15s", "2m"],
        |limit| guest(&words, &["--timeout", limit]).cpus(2).run(),
        |outcome| outcome.stderr.lines().any(spins),
    );
    outcome.expect(124, &format!("kiln: the run timed out after {limit}"));
    let said = &outcome.stderr;
    assert!(said.lines().any(spins), "{outcome}");
    assert!(said.contains("\nkiln: processor 1: RIP 0x"), "{outcome}");
    assert!(said.contains("\nkiln:   RSI "), "{outcome}");
    assert!(said.contains("\nkiln:   exits in the last "), "{outcome}");
    assert!(said.contains("kiln: the last "), "{outcome}");
    assert!(said.contains("kiln:   | one\nkiln:   | two\n"), "{outcome}");
    // Nothing of that when it ends by itself.
    assert_eq!(run(&["say:one", "end:i8042"], &["--timeout", "1m"]).stderr.lines().count(), 1);
}

#[test]
fn a_processor_held_up_by_its_reader_is_told_as_such() {
    let (_reader, writer) = std::io::pipe().unwrap();
    let outcome = guest(&["flood:33554432", "end:spin"], &["--timeout", "1s"]).stdout(writer).run();
    assert_eq!(outcome.status, 124, "{outcome}");
    assert!(outcome.stderr.contains("kiln: processor 0"), "{outcome}");
}

#[test]
fn symbols_may_come_from_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("System.map");
    fs::write(&map, "0000000000100000 T everything\n").unwrap();
    let arguments = ["--timeout", "500ms", "--vmlinux", map.to_str().unwrap()];
    let outcome = run(&["end:spin"], &arguments);
    assert!(outcome.stderr.contains(" everything+0x"), "{outcome}");
    let outcome = run(&["end:spin"], &["--vmlinux", "/dev/null"]);
    assert_eq!(outcome.status, 125, "{outcome}");
    assert!(outcome.stderr.starts_with("kiln: --vmlinux: /dev/null has no symbols"), "{outcome}");
}

#[test]
fn a_silent_console_gives_one_note_and_the_run_goes_on() {
    fn notes(outcome: &Outcome) -> Vec<&str> {
        outcome.stderr.lines().filter(|line| line.contains("the console is silent")).collect()
    }
    let (_, outcome) = run_with(
        &[("300ms", "1s"), ("10s", "25s"), ("1m", "2m 30s")],
        |(quiet, whole)| {
            run(&["say:up", "end:spin"], &["--quiet-after", quiet, "--timeout", whole])
        },
        |outcome| {
            let notes = notes(outcome);
            !notes.is_empty() && notes.iter().all(|note| note.contains("by_spin"))
        },
    );
    assert_eq!(outcome.status, 124, "{outcome}");
    let [note] = notes(&outcome)[..] else { panic!("{outcome}") };
    assert!(note.starts_with("kiln: the console is silent: processor 0 at RIP 0x"), "{outcome}");
    assert!(note.contains("by_spin") && note.contains("; exits in the last "), "{outcome}");
    assert!(note.ends_with("no console= is given, so that a Linux kernel shows nothing"));
}

#[test]
fn a_report_has_the_end_of_the_run_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.json");
    let path = file.to_str().unwrap();
    for (words, arguments, verdict) in [
        (&["say:hi", "end:poweroff"][..], &[][..], "powered-off"),
        (&["say:hi", "exit:9"], &[], "debug-exit"),
        (&["say:hi", "end:triple"], &[], "died"),
        (&["say:hi", "end:spin"], &["--fail-on", "hi"], "failed-on"),
        (&["say:hi", "end:spin"], &["--timeout"], "timed-out"),
    ] {
        let reported = |limit: &str| {
            let guest = guest(words, arguments);
            let guest = if verdict == "timed-out" { guest.arg(limit) } else { guest };
            guest.arg("--report").arg(path).run()
        };
        let has_spoken = |outcome: &Outcome| outcome.text() == "hi\n";
        let (_, outcome) = run_with(&["1s", "15s", "2m"], reported, has_spoken);
        let json: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(json["verdict"], verdict, "{outcome}");
        assert_eq!(json["status"], outcome.status, "{outcome}");
        let last = outcome.stderr.lines().last().unwrap();
        assert_eq!(last, format!("kiln: {}", json["sentence"].as_str().unwrap()));
        assert_eq!(json["console_tail"], "hi\n");
        assert!(json["phases"]["setup"].is_number() && json["phases"]["init"].is_number());
        assert_eq!(json["whereabouts"].as_array().unwrap().is_empty(), verdict != "timed-out");
        assert_eq!(json["kernel"]["sha256"].as_str().unwrap().len(), 64);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_report_tells_why_nothing_ran() {
    let folder = tempfile::tempdir().unwrap();
    let (json, xml) = (folder.path().join("r.json"), folder.path().join("r.xml"));
    let outcome = Guest::with_kernel("/dev/null".as_ref())
        .arg("--report")
        .arg(&json)
        .arg("--junit")
        .arg(&xml)
        .run();
    assert_eq!(outcome.status, 125, "{outcome}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!((&report["verdict"], &report["status"]), (&"failed".into(), &125.into()));
    assert!(report["sentence"].as_str().unwrap().contains("/dev/null"), "{report}");
    let text = fs::read_to_string(&xml).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    assert!(document.descendants().any(|node| node.has_tag_name("error")), "{text}");
}

#[test]
fn junit_takes_any_bytes_of_a_console() {
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("r.xml");
    guest(&["flood:3000", "end:poweroff"], &["--junit", xml.to_str().unwrap()])
        .run()
        .expect(0, POWERED_OFF);
    let text = fs::read_to_string(&xml).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let out = document.descendants().find(|node| node.has_tag_name("system-out")).unwrap();
    assert!(out.text().unwrap().len() > 1000, "{text}");
}

#[test]
fn a_report_that_cannot_be_written_takes_a_success_away_and_nothing_else() {
    let outcome = run(&["end:poweroff"], &["--report", "/dev/full"]);
    let said = "kiln: the report /dev/full cannot be written: No space left on device";
    outcome.expect(125, said);
    assert!(outcome.stderr.starts_with(POWERED_OFF), "{outcome}");
    assert_eq!(run(&["exit:3"], &["--junit", "/dev/full"]).status, 3);
    // Known before anything runs.
    let outcome = run(&["say:hi", "end:poweroff"], &["--report", "/nowhere/r.json"]);
    assert_eq!((outcome.status, outcome.text().as_str()), (125, ""), "{outcome}");
    let said = "kiln: the report /nowhere/r.json cannot be written: No such file or directory\n";
    assert_eq!(outcome.stderr, said, "once");
}
