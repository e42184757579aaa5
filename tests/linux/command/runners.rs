//! docs/ci.md, "As the runner of tests": what Cargo and Go are told makes their
//! tests run in guests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use testing::{kernel, kiln, patiently, test_crate};

use crate::MINIMAL;

const PAGE: &str = include_str!("../../../docs/ci.md");

/// The block of the page that begins with "```START", for the kernel of these
/// tests; a guest that hangs in the lab does not take ten minutes.
fn block(start: &str) -> String {
    let start = format!("```{start}");
    let lines = PAGE.lines().skip_while(|line| *line != start).skip(1);
    let block: String =
        lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
    assert!(block.contains("/boot/bzImage"), "docs/ci.md: {start}: {block}");
    block.replace("10m", "2m").replace("/boot/bzImage", kernel(MINIMAL).to_str().unwrap())
}

/// The `kiln` that was just built comes first.
fn path() -> String {
    let own = kiln().parent().unwrap().to_owned();
    format!("{}:{}", own.display(), std::env::var("PATH").unwrap())
}

/// Runs the crate's tests as the page has it.
fn cargo_test(variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("config.toml");
    fs::write(&settings, block("toml .cargo/config.toml")).unwrap();
    let mut cargo = Command::new(std::env::var("CARGO").unwrap());
    cargo.arg("--config").arg(&settings).args(["test", "--offline", "--lib", "--", "--nocapture"]);
    cargo.current_dir(test_crate()).env_remove("CARGO_TARGET_DIR").env("PATH", path());
    cargo.envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}\n{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[test]
fn cargo_runs_the_tests_of_a_crate_in_guests() {
    patiently(|| {
        let output = cargo_test(&[]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("test result: ok. 2 passed"), "{said}");
        let release = boot::Kernel::open(kernel(MINIMAL)).unwrap().release().unwrap().unwrap();
        assert!(said.contains(&format!("release={release}\n")), "{said}");
        assert!(said.contains(&format!("folder={}\n", test_crate().display())), "{said}");
        assert!(said.contains("manifest=8\n") && said.contains("version=1.2.3\n"), "{said}");
    });
}

#[test]
fn a_test_that_fails_in_a_guest_fails_for_cargo() {
    patiently(|| {
        let output = cargo_test(&[("TRAVELLER_FAILS", "1")]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(101), "{said}");
        assert!(said.contains("told to fail") && said.contains("1 passed; 1 failed"), "{said}");
    });
}

/// The words of Go's `-exec`. It splits them at spaces, and adds the binary,
/// which lies in a folder of its own for the time, and its arguments (`go help
/// test`).
fn go_exec() -> Vec<String> {
    let line = block("sh go");
    let quoted = line.split('\'').nth(1).unwrap();
    quoted.split_whitespace().map(str::to_owned).collect()
}

/// Go is too large to be installed for this, so what it does is done here, with
/// a program in place of the test binary.
fn go_test(package: &Path, script: &str) -> Output {
    let build = tempfile::tempdir().unwrap();
    let binary: PathBuf = build.path().join("package.test");
    fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&binary, all).unwrap();
    let words = go_exec();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(&binary);
    command.args(["-test.paniconexit0", "-test.timeout=10m0s"]);
    command.current_dir(package).env("PATH", path()).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn go_runs_its_tests_in_guests() {
    patiently(|| {
        let package = tempfile::tempdir().unwrap();
        fs::create_dir(package.path().join("testdata")).unwrap();
        fs::write(package.path().join("testdata/input"), "data\n").unwrap();
        let output = go_test(package.path(), "cat testdata/input; echo \"$@\"; uname -r");
        let release = boot::Kernel::open(kernel(MINIMAL)).unwrap().release().unwrap().unwrap();
        let expected = format!("data\n-test.paniconexit0 -test.timeout=10m0s\n{release}\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", said(&output));
        assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
        let output = go_test(package.path(), "echo FAIL; exit 1");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &b"FAIL\n"[..]));
    });
}
