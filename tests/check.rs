//! `kiln check`, as people and programs see it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const KILN: &str = env!("CARGO_BIN_EXE_kiln");

fn output(command: &mut Command) -> Output {
    command.output().expect("the command starts")
}

fn json(output: &Output) -> Value {
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

fn state<'a>(report: &'a Value, id: &str) -> &'a str {
    let checks = report["checks"].as_array().expect("a list of checks");
    let item = checks.iter().find(|item| item["id"] == id);
    item.and_then(|item| item["state"].as_str()).unwrap_or("not looked at")
}

#[test]
fn json_and_lines_tell_the_same() {
    let report = output(Command::new(KILN).args(["check", "--json"]));
    let lines = output(Command::new(KILN).arg("check"));
    assert_eq!(report.status, lines.status);
    let text = String::from_utf8(lines.stdout).unwrap();
    for item in json(&report)["checks"].as_array().unwrap() {
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == item["id"].as_str());
        let line = line.unwrap_or_else(|| panic!("no line for {item}"));
        assert!(line.starts_with(item["state"].as_str().unwrap()), "{line} for {item}");
        assert!(line.ends_with(item["detail"].as_str().unwrap()), "{line} for {item}");
    }
}

#[test]
fn the_status_follows_from_the_report() {
    let output = output(Command::new(KILN).args(["check", "--json"]));
    let can_run = json(&output)["can_run"] == true;
    assert_eq!(output.status.code(), Some(if can_run { 0 } else { 125 }));
}

#[test]
fn the_kind_of_host_is_what_its_modules_say() {
    let report = json(&output(Command::new(KILN).args(["check", "--json"])));
    let loaded = |name: &str| fs::exists(format!("/sys/module/{name}")).unwrap();
    let kind = match () {
        () if !fs::exists("/dev/kvm").unwrap() => "none",
        () if loaded("kvm_intel") || loaded("kvm_amd") => "hardware",
        () => "software",
    };
    assert_eq!(report["host"], kind);
}

/// Whoever may not open /dev/kvm is told so, with what helps.
#[test]
fn a_user_without_rights_is_told_what_helps() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = place.path().join("kiln");
    // By another process: a descriptor of ours that another test's fork
    // inherits would make the file too busy to be run.
    assert!(output(Command::new("cp").arg(KILN).arg(&copy)).status.success());
    let mut command = Command::new(copy);
    command.args(["check", "--json"]).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = output(&mut command);
    let report = json(&output);
    let device = fs::metadata("/dev/kvm").ok();
    let for_everyone = device.is_some_and(|device| device.mode() & 0o006 == 0o006);
    let expected = if for_everyone { "ok" } else { "missing" };
    assert_eq!(state(&report, "kvm"), expected);
    if !for_everyone {
        assert_eq!(output.status.code(), Some(125));
        let remedy = report["checks"][0]["remedy"].as_str().unwrap();
        assert!(remedy.contains("usermod") || remedy.contains("kvm_intel"), "{remedy}");
    }
}

#[test]
fn closed_standard_streams_do_no_harm() {
    let run = |redirection: &str| {
        let line = format!("exec \"$0\" check {redirection}");
        output(Command::new("sh").args(["-c", &line, KILN]))
    };
    let open = run("");
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let output = run(closed);
        assert_eq!(output.status.code(), open.status.code(), "{closed}");
        assert!(output.stderr.is_empty(), "{closed}: {output:?}");
    }
}

#[test]
fn a_reader_that_leaves_does_no_harm() {
    let mut child = Command::new(KILN)
        .arg("check")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(matches!(child.wait().unwrap().code(), Some(0 | 125)));
    assert_eq!(said, "");
}
