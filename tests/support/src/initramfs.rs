use std::env;
use std::fs::{self, File};
use std::io::{BufWriter, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use cpio::NewcBuilder;
use cpio::newc::trailer;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// What an init script starts with. Something wakes every second, because in
/// the lab an idle guest can sleep through an interrupt: QEMU's emulated SVM
/// may deliver it between STI and HLT.
const PROLOGUE: &str = "#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while :; do sleep 1; done &
";

/// A kernel for tests, by its path below the folder that the runner names:
/// "minimal/vmlinux".
///
/// # Panics
/// If the runner has not named the folder.
pub fn kernel(path: &str) -> PathBuf {
    from_runner("KILN_KERNELS").join(path)
}

/// The static busybox that Linux guests are made of.
///
/// # Panics
/// If the runner has not named it.
pub fn busybox() -> PathBuf {
    from_runner("KILN_BUSYBOX")
}

fn from_runner(variable: &str) -> PathBuf {
    let value = env::var_os(variable);
    value.unwrap_or_else(|| panic!("{variable} is not set: run this by `cargo test`")).into()
}

/// Writes an initramfs with busybox, the modules and the script `init`.
pub(crate) fn write(path: &Path, modules: &[PathBuf], init: &str) {
    let file = File::create(path).expect("a temporary file can be made");
    let mut archive = Archive { out: BufWriter::new(file), inode: 1 };
    for folder in ["bin", "dev", "proc", "sys", "tmp", "mnt", "modules"] {
        archive.add(folder, DIRECTORY, &[]);
    }
    archive.add_device("dev/console", 5, 1);
    let busybox = fs::read(busybox()).expect("busybox can be read");
    archive.add("bin/busybox", PROGRAM, &busybox);
    archive.add("bin/sh", LINK, b"busybox");
    for module in modules {
        let name = module.file_stem().expect("a module has a name").to_string_lossy();
        archive.add(&format!("modules/{name}"), PROGRAM, &unpack(module));
    }
    archive.add("init", PROGRAM, format!("{PROLOGUE}{init}\n").as_bytes());
    trailer(archive.out).and_then(|mut out| out.flush()).expect("a temporary file can be written");
}

fn unpack(module: &Path) -> Vec<u8> {
    let output = Command::new("xz").arg("-dc").arg(module).output();
    let output = output.expect("the command `xz` (package xz-utils) can be run");
    assert!(output.status.success(), "cannot unpack {}", module.display());
    output.stdout
}

struct Archive {
    out: BufWriter<File>,
    inode: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, bytes: &[u8]) {
        let entry = NewcBuilder::new(name).mode(mode).ino(self.inode).nlink(1);
        self.finish(entry, bytes);
    }

    fn add_device(&mut self, name: &str, major: u32, minor: u32) {
        let entry = NewcBuilder::new(name).mode(CHARACTER_DEVICE).ino(self.inode).nlink(1);
        self.finish(entry.rdev_major(major).rdev_minor(minor), &[]);
    }

    fn finish(&mut self, entry: NewcBuilder, bytes: &[u8]) {
        self.inode += 1;
        let size = u32::try_from(bytes.len()).expect("files here are small");
        let mut writer = entry.write(&mut self.out, size);
        std::io::copy(&mut Cursor::new(bytes), &mut writer)
            .and_then(|_| writer.finish().map(|_| ()))
            .expect("a temporary file can be written");
    }
}
