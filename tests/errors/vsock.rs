//! Sockets for guests that cannot be had, or that others have left.

use std::os::unix::net::UnixStream;

use super::clash::{Running, brief, has_kvm};
use super::fixtures;

#[test]
fn a_socket_in_use_names_the_run_that_has_it() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    let options = ["--vsock", "cid=3,socket=vm.sock"];
    let first = Running::start(place.path(), &options);
    let second = brief(place.path(), &options);
    assert_eq!(
        String::from_utf8(second.stderr).unwrap(),
        format!("kiln: --vsock: the socket vm.sock is in use by process {}\n", first.id())
    );
    assert_eq!(second.status.code(), Some(125));
    assert!(UnixStream::connect(place.path().join("vm.sock")).is_ok(), "the first still has it");
}

#[test]
fn the_socket_of_a_killed_run_is_taken_over_and_that_of_an_ended_one_is_gone() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    let options = ["--vsock", "cid=3,socket=vm.sock"];
    let socket = place.path().join("vm.sock");
    drop(Running::start(place.path(), &options));
    assert!(socket.exists(), "a killed run cannot clean up");
    for _ in 0..2 {
        let output = brief(place.path(), &options);
        assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!socket.exists());
    }
}

#[test]
fn a_run_that_cannot_start_leaves_no_socket() {
    let place = fixtures::make();
    let options = ["--vsock", "cid=3,socket=vm.sock", "--console", "file=no/such/folder"];
    let output = brief(place.path(), &options);
    assert_eq!(output.status.code(), Some(125));
    assert!(!place.path().join("vm.sock").exists());
}
