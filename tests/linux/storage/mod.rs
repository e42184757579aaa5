//! What disks promise, kept under Linux guests: in both formats, over both
//! transports, with each option.

mod data;
mod faults;
mod options;
mod resize;
mod space;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testing::{Guest, kernel};

use crate::MINIMAL;

/// Mounts the disk of programs, which has this for its id, at /tools.
const MOUNT_TOOLS: &str = "
    mkdir /tools
    for disk in /sys/block/vd*; do
        [ \"$(cat $disk/serial)\" = tools ] && mount -t ext4 -o ro /dev/${disk##*/} /tools
    done
    for folder in dev proc sys; do mount --bind /$folder /tools/$folder; done
    mount -t tmpfs tmpfs /tools/tmp
";

/// The minimal kernel with a script.
fn guest(script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), script).append("quiet")
}

/// Runs a program of the host; what it printed.
fn host(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} says {said}{error}");
    said
}

/// A raw image of `mib` MiB of nothing.
fn raw(folder: &TempDir, name: &str, mib: u64) -> PathBuf {
    let path = folder.path().join(name);
    File::create(&path).unwrap().set_len(mib << 20).unwrap();
    path
}

/// A qcow2 image of `mib` MiB of nothing.
fn qcow2(folder: &TempDir, name: &str, mib: u64) -> PathBuf {
    let path = folder.path().join(name);
    let path_text = path.to_str().unwrap();
    let size = format!("{mib}M");
    host("qemu-img", &["create", "-q", "-f", "qcow2", path_text], Path::new(&size));
    path
}

/// Checks a qcow2 image and gives its contents as a raw one.
fn to_raw(folder: &TempDir, image: &Path) -> PathBuf {
    host("qemu-img", &["check", "-q"], image);
    let copy = folder.path().join("copy.img");
    host("qemu-img", &["convert", "-O", "raw", image.to_str().unwrap()], &copy);
    copy
}
