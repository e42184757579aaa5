//! Two runs that want the same thing.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::fixtures;

/// A run whose guest is up and stays so. Killed when dropped.
pub(super) struct Running(Child);

impl Running {
    /// Starts a run and waits for its guest's first byte.
    pub(super) fn start(place: &Path, options: &[&str]) -> Self {
        let mut child = kiln(place, "stays.elf", options)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let mut byte = [0];
        let stdout = child.stdout.as_mut().expect("stdout is a pipe");
        stdout.read_exact(&mut byte).expect("the guest says that it is up");
        Self(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().expect("the run is still there");
        self.0.wait().expect("a killed child ends");
    }
}

fn kiln(place: &Path, kernel: &str, options: &[&str]) -> Command {
    let mut command = fixtures::kiln(place);
    command.args(["run", "--kernel", kernel]).args(options);
    command
}

/// Runs the guest that ends at once with status 7.
pub(super) fn brief(place: &Path, options: &[&str]) -> Output {
    kiln(place, "vmlinux", options).output().expect("the binary runs")
}

/// Whether guests can run here; says so if not.
pub(super) fn has_kvm() -> bool {
    let open = File::options().read(true).write(true).open("/dev/kvm");
    if let Err(error) = &open {
        eprintln!("skipped: /dev/kvm cannot be opened here: {error}");
    }
    open.is_ok()
}

#[test]
fn a_disk_in_use_names_the_run_that_has_it() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    let first = Running::start(place.path(), &["--disk", "disk.img"]);
    for options in [["--disk", "disk.img"], ["--disk", "disk.img,readonly"]] {
        let second = brief(place.path(), &options);
        let said = String::from_utf8(second.stderr).unwrap();
        assert_eq!(second.status.code(), Some(125), "{said}");
        let expected = format!(
            "kiln: --disk: disk image disk.img is in use by process {}; share it only if all use \
             `,readonly`\n",
            first.id()
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn a_qcow2_disk_and_its_backing_file_are_locked_too() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-b", "disk.img", "-F", "raw", "top.qcow2"]);
    let status = create.current_dir(place.path()).status();
    assert!(status.expect("qemu-img can be run (package qemu-utils)").success());
    let first = Running::start(place.path(), &["--disk", "top.qcow2"]);
    for disk in ["top.qcow2", "top.qcow2,readonly", "disk.img"] {
        let second = brief(place.path(), &["--disk", disk]);
        let said = String::from_utf8(second.stderr).unwrap();
        assert_eq!(second.status.code(), Some(125), "{disk}: {said}");
        assert!(said.contains(&format!("is in use by process {}", first.id())), "{said}");
    }
    // What is only read may be read by others.
    let second = brief(place.path(), &["--disk", "disk.img,readonly"]);
    assert_eq!(second.status.code(), Some(7), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn a_killed_run_leaves_no_lock() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    drop(Running::start(place.path(), &["--disk", "disk.img"]));
    let second = brief(place.path(), &["--disk", "disk.img"]);
    assert_eq!(second.status.code(), Some(7), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn a_disk_that_all_only_read_is_shared() {
    if !has_kvm() {
        return;
    }
    let place = fixtures::make();
    let _first = Running::start(place.path(), &["--disk", "disk.img,readonly"]);
    let second = brief(place.path(), &["--disk", "disk.img,readonly"]);
    assert_eq!(second.status.code(), Some(7), "{}", String::from_utf8_lossy(&second.stderr));
}
