//! Networks of the user that cannot be had. The programs called passt here are
//! scripts that fail in the ways that passt does.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use super::fixtures;

/// Runs with `--net user` and a passt that is this script of bash.
fn with_passt(place: &Path, script: Option<&str>) -> Output {
    let programs = place.join("programs");
    fs::create_dir(&programs).unwrap();
    if let Some(script) = script {
        // Written by another process, for the reason that `make` has.
        let passt = programs.join("passt");
        let lines = format!("#!/bin/bash\n{script}\n");
        fs::write(place.join("script"), lines).unwrap();
        let from = place.join("script");
        assert!(std::process::Command::new("cp").args([&from, &passt]).status().unwrap().success());
        fs::set_permissions(&passt, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = fixtures::kiln(place);
    command.args(["run", "--kernel", "vmlinux", "--console", "file=console", "--net", "user"]);
    command.env("PATH", &programs).output().unwrap()
}

fn refused(script: Option<&str>) -> String {
    let place = fixtures::make();
    let output = with_passt(place.path(), script);
    assert_eq!(output.status.code(), Some(125));
    assert!(!place.path().join("console").exists(), "the console's file was made all the same");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_host_without_passt_is_told_the_package() {
    assert_eq!(
        refused(None),
        "kiln: --net: user needs the program passt, which is not installed: its package is called \
         `passt`\n"
    );
}

#[test]
fn a_passt_that_ends_at_once_is_quoted() {
    let script = "echo 'Failed to send 9 bytes to syslog' >&2
        echo \"Failed to bind any port for '-t 80:80', exiting\" >&2
        exit 1";
    assert_eq!(
        refused(Some(script)),
        "kiln: --net: passt ended at once: Failed to bind any port for '-t 80:80', exiting\n"
    );
    assert_eq!(refused(Some("exit 0")), "kiln: --net: passt ended at once\n");
}

#[test]
fn a_host_without_a_way_out_is_told_so() {
    let script = "echo 'No external routable interface for IPv4' >&2
        echo 'External interface not usable' >&2
        exit 1";
    assert_eq!(
        refused(Some(script)),
        "kiln: --net: user needs a host interface with an address and a default route, and there \
         is none: No external routable interface for IPv4; External interface not usable\n"
    );
}

#[test]
fn a_passt_that_cannot_be_executed_is_told_with_the_reason() {
    let place = fixtures::make();
    fs::create_dir_all(place.path().join("programs/passt")).unwrap();
    let mut command = fixtures::kiln(place.path());
    command.args(["run", "--kernel", "vmlinux", "--net", "user"]);
    let output = command.env("PATH", place.path().join("programs")).output().unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "kiln: --net: passt cannot be started: Permission denied\n"
    );
    assert_eq!(output.status.code(), Some(125));
}

#[test]
fn a_passt_that_speaks_another_language_is_refused_and_ended() {
    // Its own process id, and then more than it can say before it is killed.
    let script = "echo $$ >pid; fd=$4; while echo xxxxxxxxxxxxxxxx; do :; done >&$fd";
    let place = fixtures::make();
    let output = with_passt(place.path(), Some(script));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "kiln: --net: the connection with passt fails: passt sends a frame of 2021161080 bytes, \
         which none can have\n"
    );
    let pid = fs::read_to_string(place.path().join("pid")).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "passt was left behind");
}
