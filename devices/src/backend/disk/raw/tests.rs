use PathBuf;
use std::fmt::Display;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vm_memory::VolatileSlice;

use super::*;
use crate::programs;

mod direct;
mod space;

struct Image {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn image(len: usize) -> Image {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    fs::write(&path, vec![0x11; len]).unwrap();
    Image { _dir: dir, path }
}

fn open(path: &Path, read_only: bool) -> Result<RawDisk, DiskError> {
    RawDisk::open(path, OpenOptions { read_only, ..OpenOptions::default() })
}

/// What `open` makes of a device that was just closed. Other tests start
/// processes, which have a copy of every open file, and so of its O_EXCL, until
/// they run their program.
fn once_closed<T, E: Display>(open: impl Fn() -> Result<T, E>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::yield_now();
    }
}

fn refusal(path: &Path, read_only: bool) -> String {
    open(path, read_only).unwrap_err().to_string()
}

#[test]
fn an_image_is_read_and_written() {
    let image = image(1024);
    let disk = open(&image.path, false).unwrap();
    assert_eq!((disk.geometry().size, disk.is_read_only()), (1024, false));
    let mut bytes = [7; 3];
    assert_eq!(disk.write_at(&[VolatileSlice::from(&mut bytes[..])], 512).unwrap(), 3);
    disk.flush().unwrap();
    let mut back = [0; 4];
    assert_eq!(disk.read_at(&[VolatileSlice::from(&mut back[..])], 512).unwrap(), 4);
    assert_eq!(back, [7, 7, 7, 0x11]);
    assert_eq!(fs::read(&image.path).unwrap()[512..516], back);
}

#[test]
fn what_is_no_disk_image_is_refused_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let shown = path.display();
    assert_eq!(
        refusal(path, false),
        format!("disk image {shown} is a directory; give a raw image file or a block device")
    );
    assert!(refusal("/dev/null".as_ref(), true).contains("is a character device"));
    let pipe = path.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refusal(&pipe, true).contains("is a pipe"));
    let missing = path.join("missing");
    assert_eq!(refusal(&missing, false), format!("disk image {shown}/missing does not exist"));
}

#[test]
fn odd_sizes_are_refused() {
    for len in [1, 511, 513] {
        let image = image(len);
        let path = image.path.display();
        assert_eq!(
            refusal(&image.path, true),
            format!(
                "disk image {path} is {len} bytes, not a multiple of 512; \
                 `truncate -s %512 {path}` rounds it up"
            )
        );
    }
    assert!(refusal(&image(0).path, false).ends_with("is empty"));
}

#[test]
fn one_writer_or_many_readers() {
    let image = image(512);
    let path = image.path.display();
    let twice = format!(
        "disk image {path} is in use by this same run, which names it twice; \
         share it only if all use `,readonly`"
    );
    let writer = open(&image.path, false).unwrap();
    assert_eq!(refusal(&image.path, false), twice);
    assert_eq!(refusal(&image.path, true), twice);
    drop(writer);
    let reader = open(&image.path, true).unwrap();
    let other = open(&image.path, true).unwrap();
    assert_eq!(refusal(&image.path, false), twice);
    drop((reader, other));
    open(&image.path, false).unwrap();
}

#[test]
fn a_lock_is_given_up_though_another_process_has_a_copy_of_the_file() {
    let image = image(512);
    let writable = || fs::OpenOptions::new().read(true).write(true).open(&image.path).unwrap();
    let (file, other) = (writable(), writable());
    let _copy = file.try_clone().unwrap();
    let locked = Locked::new(file, true).unwrap().unwrap();
    assert!(Locked::new(other.try_clone().unwrap(), true).unwrap().is_none());
    drop(locked);
    assert!(Locked::new(other, true).unwrap().is_some());
}

/// A child that holds the lock until it is killed: this same test program.
const HOLD: &str = "KILN_TEST_HOLD_DISK";

#[test]
fn hold_a_disk_for_another_test() {
    let Some(path) = std::env::var_os(HOLD) else { return };
    let _disk = open(path.as_ref(), false).unwrap();
    println!("held");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn a_clash_names_the_holder_and_a_killed_one_leaves_no_lock() {
    let image = image(512);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["hold_a_disk_for_another_test", "--nocapture"]).env(HOLD, &image.path);
    let mut child = programs::start(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let message = refusal(&image.path, false);
    assert!(message.contains(&format!("in use by process {};", child.id())), "{message}");
    child.kill().unwrap();
    child.wait().unwrap();
    open(&image.path, false).unwrap();
}

/// Files of sysfs that refuse even root: one is never written, one never read.
#[test]
fn permissions_are_named_with_their_remedy() {
    assert_eq!(
        refusal("/sys/kernel/uevent_seqnum".as_ref(), false),
        "disk image /sys/kernel/uevent_seqnum cannot be written; \
         make it writable or add `,readonly`"
    );
    assert_eq!(
        refusal("/sys/bus/platform/drivers_probe".as_ref(), true),
        "disk image /sys/bus/platform/drivers_probe cannot be read: permission denied; \
         check its owner and mode"
    );
}

/// A block device on an image, while it lives.
pub(in crate::backend::disk) struct LoopDevice(pub(in crate::backend::disk) PathBuf);

impl LoopDevice {
    /// `None`, having said why, where there is none to be had.
    pub(in crate::backend::disk) fn new(image: &Path, sector: u32) -> Option<Self> {
        let mut command = Command::new("losetup");
        command.args(["--find", "--show", "--sector-size", &sector.to_string()]).arg(image);
        match programs::output(&mut command) {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).unwrap().trim().into()))
            }
            Ok(output) => {
                eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: losetup does not run: {error}");
                None
            }
        }
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        programs::output(Command::new("losetup").arg("--detach").arg(&self.0)).unwrap();
    }
}

#[test]
fn a_block_device_is_a_disk_for_one_writer() {
    let image = image(4096);
    let Some(device) = LoopDevice::new(&image.path, 512) else { return };
    let disk = open(&device.0, false).unwrap();
    assert_eq!(disk.geometry().size, 4096);
    let mut bytes = [9; 512];
    disk.write_at(&[VolatileSlice::from(&mut bytes[..])], 512).unwrap();
    disk.flush().unwrap();
    assert_eq!(fs::read(&image.path).unwrap()[511..513], [0x11, 9]);
    assert!(refusal(&device.0, false).contains("in use by this same run"));
    assert!(refusal(&device.0, true).contains("in use by this same run"));
    drop(disk);
    // As a mount does.
    let mut mount = fs::OpenOptions::new();
    mount.read(true).custom_flags(nix::libc::O_EXCL);
    let claim = once_closed(|| mount.open(&device.0));
    assert!(refusal(&device.0, false).contains("another process, or mounted by the host"));
    drop(claim);
    once_closed(|| open(&device.0, false));
}
