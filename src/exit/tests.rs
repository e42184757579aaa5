use std::error::Error;
use std::io;

use super::*;

fn matched(fails: bool) -> Matched {
    Matched { fails, pattern: "a+".into(), line: "caat".into() }
}

#[test]
fn every_verdict_has_the_status_of_the_table() {
    let died = Verdict::Died { cause: "triple fault".into(), cpu: 0, rip: Some(0x10_0000) };
    let table = [
        (Verdict::PoweredOff, 0),
        (Verdict::Restarted, 0),
        (Verdict::Halted, 0),
        (Verdict::DebugExit(0), 0),
        (Verdict::DebugExit(255), 255),
        (Verdict::TimedOut(Duration::from_secs(30)), 124),
        (Verdict::BootTimedOut(Duration::from_secs(30)), 124),
        (Verdict::Matched(matched(true)), 123),
        (Verdict::Matched(matched(false)), 0),
        (Verdict::Unmatched(Verdict::PoweredOff.into()), 123),
        (Verdict::Warned { ending: Verdict::Restarted.into(), line: String::new() }, 123),
        (Verdict::Panicked { line: None }, 126),
        (died, 127),
        (Verdict::Quit, 130),
        (Verdict::Signal(15), 143),
    ];
    for (verdict, code) in table {
        assert_eq!(verdict.status().code(), code, "{verdict:?}");
    }
    assert_eq!((ExitStatus::Usage.code(), ExitStatus::Failed.code()), (2, 125));
}

#[test]
fn a_death_names_the_processor_and_its_instruction_pointer() {
    let died = |rip| Verdict::Died { cause: "a triple fault".into(), cpu: 3, rip }.to_string();
    assert_eq!(
        died(Some(0xfff0)),
        "the guest died without a word on processor 3, RIP 0xfff0: a triple fault"
    );
    assert!(died(None).contains("RIP unknown"));
}

#[test]
fn a_pattern_is_told_with_its_option_and_the_line() {
    let said = |fails| Verdict::Matched(matched(fails)).to_string();
    assert_eq!(said(true), "the run failed, as --fail-on a+ says: caat");
    assert_eq!(said(false), "the run succeeded, as --succeed-on a+ says: caat");
    assert_eq!(
        Verdict::Unmatched(Verdict::PoweredOff.into()).to_string(),
        "the guest powered off, but the console never showed what --succeed-on waits for"
    );
}

#[test]
fn times_and_signals_are_said_as_people_write_them() {
    assert_eq!(
        Verdict::TimedOut(Duration::from_secs(90)).to_string(),
        "the run timed out after 1m 30s"
    );
    assert_eq!(Verdict::Signal(15).to_string(), "the run was ended by SIGTERM");
    assert_eq!(Verdict::Signal(35).to_string(), "the run was ended by signal 35");
}

#[derive(Debug, thiserror::Error)]
#[error("cannot open {0}")]
struct Outer(&'static str, #[source] Box<dyn Error>);

#[test]
fn a_chain_is_one_line_without_error_numbers() {
    let cause = io::Error::from_raw_os_error(2);
    let error = Outer("disk.img", cause.into());
    assert_eq!(Chain(&error).to_string(), "cannot open disk.img: No such file or directory");

    let lines = Outer("a  b", "two\n  lines".into());
    assert_eq!(Chain(&lines).to_string(), "cannot open a  b: two lines");
}

#[test]
fn a_cause_that_was_said_already_is_not_repeated() {
    let error = Outer("a: no such file", "no such file".into());
    assert_eq!(Chain(&error).to_string(), "cannot open a: no such file");
}

#[test]
fn parentheses_of_the_message_itself_stay() {
    let error = Outer("it", "gone (os error of some kind)".into());
    assert_eq!(Chain(&error).to_string(), "cannot open it: gone (os error of some kind)");
}
