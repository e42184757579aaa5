//! Taps that cannot be had. Whether the host lets this user make taps decides
//! which of these can be tried.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::clash::{Running, brief, has_kvm};
use super::fixtures;

/// A name for a tap that nothing else on this host has.
fn unused_name(what: &str) -> String {
    format!("kt{what}{}", std::process::id())
}

/// Whether this process may make interfaces; says so if not.
fn may_make_taps() -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_kiln")).args(["check", "--json"]).output();
    let report = output.expect("the binary runs").stdout;
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let tun = report["checks"].as_array().into_iter().flatten().find(|item| item["id"] == "tun");
    let may = tun.is_some_and(|item| item["state"] == "ok");
    if !may {
        eprintln!("skipped: this user may not make taps on this host");
    }
    may
}

#[test]
fn a_tap_in_use_is_refused_and_goes_with_the_run_that_made_it() {
    if !has_kvm() || !may_make_taps() {
        return;
    }
    let place = fixtures::make();
    let tap = unused_name("a");
    let option = format!("tap={tap}");
    let interface = format!("/sys/class/net/{tap}");
    let first = Running::start(place.path(), &["--net", &option]);
    assert!(fs::exists(&interface).unwrap());

    let second = brief(place.path(), &["--net", &option]);
    assert_eq!(
        String::from_utf8(second.stderr).unwrap(),
        format!("kiln: --net: tap {tap} is in use by another process\n")
    );
    assert_eq!(second.status.code(), Some(125));

    drop(first);
    assert!(!fs::exists(&interface).unwrap());
    let third = brief(place.path(), &["--net", &option]);
    assert_eq!(third.status.code(), Some(7), "{}", String::from_utf8_lossy(&third.stderr));
}

#[test]
fn an_interface_that_is_no_tap_is_refused() {
    if !may_make_taps() {
        return;
    }
    let place = fixtures::make();
    let output = brief(place.path(), &["--net", "tap=lo"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "kiln: --net: interface lo is no tap\n");
    assert_eq!(output.status.code(), Some(125));
}

#[test]
fn a_descriptor_that_is_no_tap_is_refused() {
    let place = fixtures::make();
    let output = brief(place.path(), &["--net", "fd=999"]);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "kiln: --net: descriptor 999 is not open, or no tap's\n"
    );
    assert_eq!(output.status.code(), Some(125));
}

#[test]
fn a_user_who_may_not_make_a_tap_is_told_how_to_get_one() {
    let place = fixtures::make();
    let tap = unused_name("b");
    let mut command = fixtures::kiln(place.path());
    command.args(["run", "--kernel", "vmlinux", "--net", &format!("tap={tap}")]);
    fixtures::as_nobody(&mut command);
    let output = command.output().unwrap();
    let device = fs::metadata("/dev/net/tun").ok();
    let expected = match device.map(|device| device.mode() & 0o006 == 0o006) {
        None => "/dev/net/tun does not exist; `modprobe tun` may bring it".to_owned(),
        Some(false) => "/dev/net/tun cannot be opened: permission denied; check its mode".into(),
        Some(true) => format!(
            "tap {tap} does not exist, and making one takes CAP_NET_ADMIN; as root: `ip tuntap \
             add {tap} mode tap user USER` and `ip link set {tap} up`"
        ),
    };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("kiln: --net: {expected}\n"));
    assert_eq!(output.status.code(), Some(125));
}
