//! `kiln test` with commands for Linux guests.

use std::fs;
use std::process::{Command, Stdio};

use testing::{kernel, kiln, patiently};

use crate::MINIMAL;

#[test]
fn a_suite_runs_each_command_under_each_kernel() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = format!(
            "kernel = [{:?}, {:?}]
            command = ['test -d /proc/self && echo up && exit 0', ['false'], 'kill -9 $$']
            timeout = '2m'
            ",
            kernel(MINIMAL),
            kernel("minimal/bzImage.gzip"),
        );
        fs::write(at("matrix.toml"), text).unwrap();
        let mut suite = Command::new(kiln());
        suite.arg("test").arg(at("matrix.toml")).args(["--jobs", "1", "--report"]);
        let output = suite.arg(at("report.json")).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("s  vmlinux: test -d /proc/self && echo up && exit 0\n"), "{said}");
        assert!(said.contains("s  vmlinux: false: the command ended with status 1\n"), "{said}");
        assert!(said.contains("s  bzImage.gzip: kill -9 $$: the command was killed by"), "{said}");
        assert!(said.ends_with(": 2 ok, 4 failed\n"), "{said}");
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(at("report.json")).unwrap()).unwrap();
        let runs = report["runs"].as_array().unwrap();
        let statuses: Vec<_> = runs.iter().map(|run| run["status"].as_i64().unwrap()).collect();
        assert_eq!(statuses, [0, 1, 137, 0, 1, 137], "{report}");
        assert_eq!(runs[3]["output_tail"], "up\n", "{report}");
        assert_eq!(runs[3]["report"]["verdict"], "command-exited", "{report}");
        assert!(runs[3]["report"]["phases"]["command"].is_number(), "{report}");
    });
}
