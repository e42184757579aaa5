use std::collections::HashSet;
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

/// A disk of programs that are too large for an initramfs: fio and mke2fs,
/// with their libraries, on ext4.
///
/// # Panics
/// If the runner has not named it.
pub fn tools() -> PathBuf {
    from_runner("KILN_TOOLS")
}

/// The folder of a crate whose tests are built, and say where they run.
///
/// # Panics
/// If the runner has not named it.
pub fn test_crate() -> PathBuf {
    from_runner("KILN_CRATE")
}

fn from_runner(variable: &str) -> PathBuf {
    let value = env::var_os(variable);
    value.unwrap_or_else(|| panic!("{variable} is not set: run this by `cargo test`")).into()
}

/// What an initramfs has besides busybox.
#[derive(Default)]
pub(crate) struct Contents<'a> {
    /// Kernel modules, `.ko.xz` files, unpacked to /modules.
    pub modules: &'a [PathBuf],
    /// Programs of the host or of our own, by name, with the libraries they need.
    pub programs: &'a [&'a str],
}

/// Writes an initramfs with busybox, `contents` and the script `init`.
pub(crate) fn write(path: &Path, contents: &Contents, init: &str) {
    let file = File::create(path).expect("a temporary file can be made");
    let mut archive = Archive { out: BufWriter::new(file), inode: 1, added: HashSet::new() };
    for folder in ["bin", "dev", "proc", "sys", "tmp", "mnt", "modules"] {
        archive.add(folder, DIRECTORY, &[]);
    }
    archive.add_device("dev/console", 5, 1);
    let busybox = fs::read(busybox()).expect("busybox can be read");
    archive.add("bin/busybox", PROGRAM, &busybox);
    archive.add("bin/sh", LINK, b"busybox");
    for program in contents.programs {
        archive.add_program(program);
    }
    for module in contents.modules {
        let name = module.file_stem().expect("a module has a name").to_string_lossy();
        archive.add(&format!("modules/{name}"), PROGRAM, &unpack(module));
    }
    archive.add("init", PROGRAM, format!("{PROLOGUE}{init}\n").as_bytes());
    trailer(archive.out).and_then(|mut out| out.flush()).expect("a temporary file can be written");
}

/// Where the host has a program, or the runner one of our own.
fn find(program: &str) -> PathBuf {
    let own = from_runner("KILN_PROGRAMS");
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(Path::new);
    let mut folders = std::iter::once(&*own).chain(folders);
    let found = folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.exists()));
    found.unwrap_or_else(|| panic!("the host has no program {program}"))
}

/// The libraries that a program is linked with, the loader among them.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd can be run");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = lines.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).collect()
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
    /// Folders and libraries that are there.
    added: HashSet<PathBuf>,
}

impl Archive {
    /// A program of the host at `/bin`, its libraries where it looks for them.
    fn add_program(&mut self, name: &str) {
        let path = find(name);
        for library in libraries(&path) {
            if self.added.insert(library.clone()) {
                self.add_parents(&library);
                let bytes = fs::read(&library).expect("a library can be read");
                let place = library.to_string_lossy();
                self.add(place.trim_start_matches('/'), PROGRAM, &bytes);
            }
        }
        let bytes = fs::read(&path).expect("a program can be read");
        self.add(&format!("bin/{name}"), PROGRAM, &bytes);
    }

    fn add_parents(&mut self, path: &Path) {
        let mut parents: Vec<_> = path.ancestors().skip(1).collect();
        parents.pop();
        for folder in parents.into_iter().rev() {
            if self.added.insert(folder.to_owned()) {
                let place = folder.to_string_lossy();
                self.add(place.trim_start_matches('/'), DIRECTORY, &[]);
            }
        }
    }

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
