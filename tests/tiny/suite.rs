//! `kiln test`: many runs, and what is told of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testing::{Form, PATIENCE, tiny};

/// A matrix of runs of the tiny guest, one for each of `endings`.
fn matrix(endings: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("matrix.toml");
    let kernel = tiny(Form::Pvh);
    let text = format!(
        "kernel = {kernel:?}\nappend = {endings:?}\noptions = ['--cmdline', 'say:hello']\n"
    );
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn command(matrix: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(testing::kiln());
    command.arg("test").arg(matrix).args(arguments).stdin(Stdio::null());
    command
}

fn run(matrix: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(matrix, arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stderr), "", "{}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8_lossy(&stdout).into_owned())
}

#[test]
fn a_suite_whose_runs_are_successes_is_one() {
    let (_folder, matrix) = matrix(&["end:poweroff", "end:i8042", "exit:0"]);
    let (status, said) = run(&matrix, &["--jobs", "2"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("\nok ").count() + usize::from(said.starts_with("ok ")), 3, "{said}");
    assert!(said.contains(" append=exit:0\n") && said.contains("3 runs in "), "{said}");
    assert!(said.ends_with(": 3 ok\n"), "{said}");
}

#[test]
fn a_failure_is_told_with_its_output_and_reports() {
    let (folder, matrix) = matrix(&["end:poweroff", "exit:3", "end:triple"]);
    let (json, xml) = (folder.path().join("r.json"), folder.path().join("r.xml"));
    let reports = ["--report", json.to_str().unwrap(), "--junit", xml.to_str().unwrap()];
    let (status, said) = run(&matrix, &reports);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("append=exit:3: the guest ended with status 3\n"), "{said}");
    assert!(said.contains("\n    hello\n"), "{said}");
    assert!(said.ends_with(": 1 ok, 2 failed\n"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    let runs = json["runs"].as_array().unwrap();
    let verdicts: Vec<_> = runs.iter().map(|run| run["report"]["verdict"].clone()).collect();
    assert_eq!(verdicts, ["powered-off", "debug-exit", "died"]);
    let text = fs::read_to_string(&xml).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let failures = document.descendants().filter(|node| node.has_tag_name("failure"));
    assert_eq!(failures.count(), 2, "{text}");
}

#[test]
fn a_failure_is_tried_again_as_often_as_wanted() {
    let (folder, matrix) = matrix(&["exit:3"]);
    let json = folder.path().join("r.json");
    let (status, said) = run(&matrix, &["--retry", "2", "--report", json.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(json["runs"][0]["attempts"], 3, "{json}");
}

#[test]
fn a_run_that_succeeds_the_second_time_is_a_success() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // The first attempt finds no kernel behind this link.
    std::os::unix::fs::symlink(at("later"), at("kernel")).unwrap();
    let (matrix, marks, image) = (at("matrix.toml"), at("log"), tiny(Form::Pvh));
    let text = "kernel = 'kernel'\noptions = ['--cmdline', 'end:poweroff', '--log-file', LOG]\n";
    fs::write(&matrix, text.replace("LOG", &format!("{marks:?}"))).unwrap();
    let child = command(&matrix, &["--retry", "100000"]).stdout(Stdio::piped()).spawn().unwrap();
    // The log is opened by an attempt that then misses its kernel.
    let deadline = Instant::now() + PATIENCE;
    while !marks.exists() {
        assert!(Instant::now() < deadline, "no attempt was made");
        std::thread::yield_now();
    }
    std::os::unix::fs::symlink(&image, folder.path().join("later")).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("flaky") || said.starts_with("ok"), "{said}");
}

#[test]
fn a_signal_ends_all_runs_and_leaves_nothing() {
    let (folder, matrix) = matrix(&["end:spin", "end:stihlt", "end:spin", "end:spin"]);
    let mut command = command(&matrix, &["--jobs", "2"]);
    let logs = folder.path().join("temporary");
    fs::create_dir(&logs).unwrap();
    let child = command.env("TMPDIR", &logs).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    // Its folder is there once it is in charge of signals.
    while fs::read_dir(&logs).unwrap().next().is_none() {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 0, "its folder is gone");
}

/// The processes that a thread of process `pid` has started.
fn children(pid: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    // A thread may have ended in between.
    let lists: String = lists.map(Result::unwrap_or_default).collect();
    lists.split_whitespace().map(|pid| Path::new("/proc").join(pid)).collect()
}

/// Whether a process is there, and more than a name that nobody has asked for.
fn lives(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The state follows the program's name, which is in brackets.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_suite_that_is_killed_takes_its_runs_with_it() {
    let (folder, matrix) = matrix(&["end:spin", "end:stihlt"]);
    let mut suite = command(&matrix, &["--jobs", "2"]);
    let mut suite = suite.env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let runs = loop {
        let runs = children(suite.id());
        // Each has its console's reader, so that it is well under way.
        let is_run =
            |run: &PathBuf| fs::read_dir(run.join("task")).is_ok_and(|threads| threads.count() > 1);
        if runs.len() == 2 && runs.iter().all(is_run) {
            break runs;
        }
        assert!(Instant::now() < deadline, "the runs do not begin: {runs:?}");
        std::thread::yield_now();
    };
    suite.kill().unwrap();
    suite.wait().unwrap();
    while runs.iter().any(|run| lives(run)) {
        assert!(Instant::now() < deadline, "of {runs:?} one is left");
        std::thread::yield_now();
    }
}

#[test]
fn a_matrix_that_is_wrong_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    for (text, words) in [("kernel = 'k'\nfoo = 1\n", "line 2: unknown field"), ("", "kernel")] {
        fs::write(&path, text).unwrap();
        let output = command(&path, &[]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    }
    let output = command(Path::new("/nowhere.toml"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
}
