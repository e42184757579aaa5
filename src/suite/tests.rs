use std::path::Path;
use std::time::{Duration, SystemTime};

use super::child::Attempt;
use super::matrix::Planned;
use super::pool::RunResult;
use super::progress::Progress;
use super::summary::Summary;
use super::*;

fn toml(text: &str) -> Result<Matrix, String> {
    Matrix::parse(text, false, Path::new("/m"))
}

fn options(run: &Planned) -> String {
    let words: Vec<_> = run.options.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[test]
fn every_combination_of_the_axes_is_a_run() {
    let text = r#"
        kernel = ["a/bzImage", "b/bzImage", "/vmlinux"]
        cpus = [1, 4]
        memory = "1G"
        append = ["", "nokaslr"]
        initrd = "i"
        timeout = "2m"
        options = ["--fail-on-warning"]
        command = ["make check", ["ls", "-l"]]
    "#;
    let plan = toml(text).unwrap().plan();
    assert_eq!(plan.len(), 3 * 2 * 2 * 2);
    assert_eq!(plan[0].name, "a/bzImage cpus=1: make check");
    assert_eq!(
        options(&plan[0]),
        "--kernel /m/a/bzImage --initrd /m/i --cpus 1 --memory 1G --timeout 2m --fail-on-warning"
    );
    assert_eq!(plan[0].command, ["sh", "-c", "make check"]);
    let last = plan.last().unwrap();
    assert_eq!(last.name, "vmlinux cpus=4 append=nokaslr: ls -l");
    assert!(options(last).starts_with("--kernel /vmlinux "));
    assert_eq!(last.command, ["ls", "-l"]);
    let mut names: Vec<_> = plan.iter().map(|run| &run.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), plan.len(), "each has a name of its own");
}

#[test]
fn a_kernel_is_enough_and_json_is_as_good() {
    let plan = toml("kernel = 'k'").unwrap().plan();
    let [run] = &plan[..] else { panic!("{plan:?}") };
    assert_eq!((run.name.as_str(), options(run)), ("k", "--kernel /m/k".to_owned()));
    assert!(run.command.is_empty());
    let json = Matrix::parse(r#"{"kernel": ["k"]}"#, true, Path::new("/m")).unwrap();
    assert_eq!(json.plan(), plan);
}

#[test]
fn a_wrong_matrix_says_where() {
    assert_eq!(toml("kernel = []").unwrap_err(), "no kernel is given");
    for (text, words) in [
        ("cpus = 1", "missing field `kernel`"),
        ("kernel = 'k'\nkernels = 'k'", "line 2: unknown field `kernels`"),
        ("kernel = 'k'\n\ncpus = [1, 0]", "line 3: "),
        ("kernel = [", "line 1: "),
        ("kernel = 'k'\ncpus = 0", "line 2: a guest has 1 to 254 processors"),
        ("kernel = 'k'\nmemory = '1Q'", "line 2: a size is"),
        ("kernel = 'k'\ncpus = true", "line 2: invalid type: boolean `true`, expected a value or"),
        ("kernel = 'k'\ncommand = 1", "line 2: a command is a text, or one of a list of"),
    ] {
        let error = toml(text).unwrap_err();
        assert!(error.contains(words) && !error.contains('\n'), "{text}: {error}");
    }
    let many = format!("kernel = 'k'\nappend = [{}]", "'a',".repeat(100_001));
    assert_eq!(toml(&many).unwrap_err(), "100001 runs are more than 100000");
    let absent = Matrix::read(Path::new("/nowhere/m.toml")).unwrap_err();
    assert!(absent.to_string().contains("/nowhere/m.toml cannot be read"), "{absent}");
}

fn result(status: i32, attempts: u32) -> RunResult {
    let report = serde_json::json!({ "verdict": "panicked", "sentence": "it\u{7} died" });
    let output = (0..30).map(|line| format!("\x1b[1mline {line}\r\n")).collect::<String>();
    let time = Duration::from_millis(1500);
    RunResult {
        attempts,
        last: Attempt { status, time, output: output.into(), report: Some(report) },
    }
}

fn summarised<T>(results: &[Option<RunResult>], look: impl Fn(&Summary<'_>) -> T) -> T {
    let names: Vec<_> = (0..results.len()).map(|run| format!("run{run}")).collect();
    let (began, time) = (SystemTime::UNIX_EPOCH, Duration::from_secs(2));
    look(&Summary { names: &names, results, began, time })
}

#[test]
fn failures_are_shown_with_the_end_of_their_output() {
    let results = [Some(result(0, 1)), Some(result(126, 3)), Some(result(0, 2)), None];
    let text = summarised(&results, |summary| summary.text());
    assert!(text.contains("--- run1: it died\n    line 10\n"), "{text}");
    assert!(text.contains("    line 29\n") && !text.contains("line 9\n"), "{text}");
    let last = "4 runs in 2.0s: 2 ok, 1 failed, 1 ok only when tried again, 1 not made\n";
    assert!(text.ends_with(last), "{text}");
    let one = summarised(&results[..1], |summary| summary.text());
    assert_eq!(one, "\n1 run in 2.0s: 1 ok\n");
}

#[test]
fn a_suite_is_told_to_programs() {
    let results = [Some(result(0, 1)), Some(result(126, 2)), Some(result(125, 1)), None];
    let json = summarised(&results, |summary| summary.to_json());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["planned"], &json["failed"]), (&4.into(), &2.into()));
    assert_eq!(json["runs"][1]["report"]["verdict"], "panicked");
    assert_eq!(json["runs"][1]["attempts"], 2);
    let xml = summarised(&results, |summary| summary.to_junit().to_xml());
    assert!(xml.contains(r#"tests="3" failures="1" errors="1""#), "{xml}");
}

#[test]
fn a_file_gets_a_line_for_each_run_and_a_terminal_lives() {
    let names = ["one".to_owned(), "two".to_owned()];
    let mut plain = Progress::new(&names, false);
    assert_eq!(plain.started(0) + &plain.tick(), "");
    assert_eq!(plain.ended(0, &result(0, 1)), "ok        1.5s  one\n");
    assert_eq!(plain.ended(1, &result(126, 1)), "FAIL      1.5s  two: it died\n");
    assert_eq!(plain.finish(), "");

    let mut live = Progress::new(&names, true);
    assert!(live.started(0).ends_with("s  one\n0 of 2 done\n"));
    let text = live.ended(0, &result(0, 2));
    assert_eq!(text, "\x1b[2A\x1b[Jflaky     1.5s  one\n1 of 2 done\n");
    assert_eq!(live.finish(), "\x1b[1A\x1b[J");
}
