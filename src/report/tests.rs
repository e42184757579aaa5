use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::config::{VerdictConfig, VmConfig};
use crate::exit::{ExitStatus, Verdict};
use crate::machine::{Milestone, Outcome, Phases};

fn case(name: &str, output: &str, fault: Option<Fault>) -> Case {
    let time = Duration::from_millis(1234);
    Case { name: name.into(), time, fault, output: output.into(), remarks: String::new() }
}

fn suite(cases: Vec<Case>) -> Suite {
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    Suite { name: "s".into(), began, time: Duration::from_secs(2), cases }
}

#[test]
fn junit_tells_failures_from_errors() {
    let fault = |is_error| Fault { is_error, kind: "k".into(), message: "a <\"b\"> & c".into() };
    let xml = suite(vec![
        case("one", "", None),
        case("two", "x", Some(fault(false))),
        case("three", "", Some(fault(true))),
    ])
    .to_xml();
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suite = document.descendants().find(|node| node.has_tag_name("testsuite")).unwrap();
    let of = |name| suite.attribute(name).unwrap();
    assert_eq!((of("tests"), of("failures"), of("errors")), ("3", "1", "1"));
    assert_eq!((of("time"), of("timestamp")), ("2.000", "1970-01-02T00:00:00Z"));
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("a <\"b\"> & c"));
    assert_eq!(failure.text(), Some("a <\"b\"> & c"));
}

proptest! {
    #[test]
    fn junit_is_well_formed_whatever_a_console_showed(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        text in any::<String>(),
    ) {
        let output = devices::backend::console::plain(&bytes);
        let fault = Fault { is_error: false, kind: text.clone(), message: text.clone() };
        let xml = suite(vec![case(&text, &output, Some(fault)), case(&text, &text, None)]).to_xml();
        let document = roxmltree::Document::parse(&xml).map_err(|e| e.to_string());
        prop_assert!(document.is_ok(), "{document:?}");
    }
}

#[test]
fn a_report_replaces_a_file_whole_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    for contents in ["one", "two"] {
        check(&path).unwrap();
        write(&path, contents.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), contents);
    }
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    write(&link, b"three").unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_report_that_cannot_be_written_says_why_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("absent/r.json");
    assert!(check(&nowhere).is_err());
    let error = write(&nowhere, b"x").unwrap_err();
    assert!(error.to_string().ends_with("absent/r.json cannot be written"), "{error}");
    assert!(check(folder.path()).is_err() && write(folder.path(), b"x").is_err());
    check("/dev/full".as_ref()).unwrap();
    let error = write("/dev/full".as_ref(), b"x").unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::StorageFull);
    write("/dev/null".as_ref(), b"x").unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn report(folder: &std::path::Path) -> (RunReport, std::path::PathBuf) {
    let path = folder.join("r.json");
    let report = RunReport::begin(&VerdictConfig {
        report: Some(path.clone()),
        junit: Some(folder.join("r.xml")),
        ..VerdictConfig::default()
    });
    (report, path)
}

fn read(path: &std::path::Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_run_is_told_with_its_phases_files_and_console() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinux");
    fs::write(&kernel, "abc").unwrap();
    let config = serde_json::json!({ "kernel": kernel, "cmdline": "quiet", "initrds": ["/gone"] });
    let config: VmConfig = serde_json::from_value(config).unwrap();
    let (mut report, path) = report(folder.path());
    let phases = Phases::begin();
    report.check().unwrap();
    report.describe(&config);
    phases.reach(Milestone::KernelStarted);
    phases.reach(Milestone::InitStarted);
    let outcome = Outcome {
        verdict: Verdict::Panicked { line: None },
        tail: b"\x1b[31mred\x1b[0m \xff\n".to_vec(),
        oopses: 1,
        warnings: 2,
        complaint: Some("Oops".into()),
        whereabouts: vec!["here".into()],
    };
    report.observe(&outcome, Some("a hint".into()));
    report.end(ExitStatus::Panicked, "it died", &phases).unwrap();
    let json = read(&path);
    assert_eq!(json["verdict"], "panicked");
    assert_eq!((&json["status"], &json["sentence"]), (&126.into(), &"it died".into()));
    assert_eq!(json["console_tail"], "red \u{fffd}\n");
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(json["kernel"]["sha256"], sha);
    assert_eq!(json["initrds"][0]["sha256"], serde_json::Value::Null);
    assert!(json["phases"]["setup"].is_number() && json["phases"]["init"].is_number());
    assert!(json["phases"]["command"].is_null());
    assert!(json["memory_peak"].as_u64().unwrap() > 1 << 20);
    let xml = fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(xml.contains("<testcase name=\"vmlinux\"") && xml.contains("type=\"panicked\""));
    assert!(xml.contains("<system-err>here\nhint: a hint</system-err>"), "{xml}");
}

#[test]
fn a_run_that_never_began_is_told_too() {
    let folder = tempfile::tempdir().unwrap();
    let (mut report, path) = report(folder.path());
    report.end(ExitStatus::Failed, "no kernel", &Phases::begin()).unwrap();
    let json = read(&path);
    assert_eq!((&json["verdict"], &json["status"]), (&"failed".into(), &125.into()));
    assert!(json["kernel"].is_null() && json["phases"]["kernel"].is_null());
    let xml = fs::read_to_string(folder.path().join("r.xml")).unwrap();
    assert!(xml.contains("errors=\"1\"") && xml.contains("<error type=\"failed\""), "{xml}");
}

#[test]
fn a_kernel_that_changed_during_the_run_has_no_hash() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("vmlinux");
    fs::write(&kernel, "abc").unwrap();
    let config = serde_json::json!({ "kernel": kernel, "cmdline": "" });
    let (mut report, path) = report(folder.path());
    report.describe(&serde_json::from_value(config).unwrap());
    fs::write(&kernel, "abcd").unwrap();
    report.end(ExitStatus::Success, "", &Phases::begin()).unwrap();
    assert!(read(&path)["kernel"]["sha256"].is_null());
}
