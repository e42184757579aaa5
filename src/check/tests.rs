use std::fs;
use std::io;
use std::path::Path;

use vmm_core::kvm::HostKind;

use super::host::{VHOST_NET, hugepages, io_uring, tun, userfaultfd, vhost};
use super::*;

fn failed(errno: i32) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(errno))
}

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

fn report(can_run: bool) -> Report {
    let checks = vec![
        Item::ok("kvm", "fine"),
        Item::missing("vhost-net", "/dev/vhost-net does not exist", "load it"),
    ];
    Report { can_run, host: HostKind::Hardware, checks }
}

#[test]
fn a_line_has_state_name_and_detail_and_a_remedy_below() {
    assert_eq!(
        report(true).to_string(),
        "ok       kvm        fine\n\
         missing  vhost-net  /dev/vhost-net does not exist\n\
         \u{20}                   -> load it\n\
         Guests can run on this host.\n"
    );
}

#[test]
fn json_has_stable_keys() {
    assert_eq!(
        report(false).to_json(),
        r#"{"can_run":false,"host":"hardware","checks":[{"id":"kvm","state":"ok","detail":"fine"},{"id":"vhost-net","state":"missing","detail":"/dev/vhost-net does not exist","remedy":"load it"}]}"#
    );
}

#[test]
fn the_status_says_whether_a_guest_can_run() {
    assert_eq!(report(true).status().code(), 0);
    assert_eq!(report(false).status().code(), 125);
}

#[test]
fn whatever_is_not_ok_has_a_remedy() {
    for item in [
        tun(&Ok(()), false),
        tun(&failed(ENOENT), false),
        tun(&failed(EACCES), true),
        vhost(&VHOST_NET, &failed(ENOENT)),
        vhost(&VHOST_NET, &failed(EACCES)),
        hugepages(Path::new("/nowhere")),
        io_uring(&failed(EPERM)),
        io_uring(&failed(ENOSYS)),
        userfaultfd(&failed(EPERM), &failed(EACCES)),
        userfaultfd(&failed(ENOSYS), &failed(ENOENT)),
    ] {
        assert_ne!(item.state, State::Ok, "{item:?}");
        assert!(item.remedy.is_some(), "{item:?}");
        assert!(!item.detail.contains("os error"), "{item:?}");
    }
}

#[test]
fn either_way_to_a_userfaultfd_will_do() {
    assert_eq!(userfaultfd(&failed(EPERM), &Ok(())).state, State::Ok);
    assert_eq!(userfaultfd(&Ok(()), &failed(ENOENT)).state, State::Ok);
}

#[test]
fn reserved_huge_pages_are_added_up() {
    let mm = tempfile::tempdir().unwrap();
    let write = |path: &str, text| {
        let path = mm.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("transparent_hugepage/enabled", "always [madvise] never\n");
    write("hugepages/hugepages-2048kB/free_hugepages", "3\n");
    write("hugepages/hugepages-1048576kB/free_hugepages", "1\n");
    let item = hugepages(mm.path());
    assert_eq!(item, Item::ok("hugepages", "transparent: madvise; 1030M reserved and free"));
}

#[test]
fn this_host_is_described_whole() {
    let report = Report::of_this_host();
    let ids: Vec<_> = report.checks.iter().map(|item| item.id).collect();
    for id in ["kvm", "memory", "kernel", "tun", "vhost-net", "hugepages", "io_uring"] {
        assert_eq!(ids.iter().filter(|found| **found == id).count(), 1, "{id} in {ids:?}");
    }
}
