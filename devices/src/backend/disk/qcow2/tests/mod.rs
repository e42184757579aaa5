mod crash;
mod damage;
mod header;
mod host;
mod model;
mod queues;
mod refusal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vm_memory::VolatileSlice;

use crate::backend::disk::{DiskImage, OpenOptions, Qcow2Disk};
use crate::programs;

/// What qemu-img printed and how it ended.
fn qemu_img_output(args: &[&str], dir: &Path) -> Output {
    let output = programs::output(Command::new("qemu-img").args(args).current_dir(dir));
    output.unwrap_or_else(|error| panic!("qemu-img of package qemu-utils does not run: {error}"))
}

/// Runs qemu-img in `dir`; it must succeed.
fn qemu_img(args: &[&str], dir: &Path) -> String {
    let output = qemu_img_output(args, dir);
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "qemu-img {}: {text}", args.join(" "));
    text
}

/// A directory with images in it.
struct Images {
    dir: tempfile::TempDir,
}

impl Images {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn qemu_img(&self, args: &str) -> String {
        qemu_img(&args.split(' ').collect::<Vec<_>>(), self.dir.path())
    }

    fn open(&self, name: &str) -> Qcow2Disk {
        Qcow2Disk::open(&self.path(name), OpenOptions::default()).unwrap()
    }

    fn refusal(&self, name: &str, options: OpenOptions) -> String {
        let Err(error) = Qcow2Disk::open(&self.path(name), options) else {
            panic!("{name} was opened");
        };
        let shown = std::error::Error::source(&error).map(|source| format!(": {source}"));
        let message = format!("{error}{}", shown.unwrap_or_default());
        message.replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// A raw file of these contents.
    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.path(name), contents).unwrap();
    }
}

/// Reads all of `to`, in pieces as uneven as may be.
fn read(disk: &dyn DiskImage, to: &mut [u8], offset: usize) {
    each(to, offset, |pieces, offset| disk.read_at(pieces, offset).unwrap());
}

fn write(disk: &dyn DiskImage, from: &[u8], offset: usize) {
    each(&mut from.to_vec(), offset, |pieces, offset| disk.write_at(pieces, offset).unwrap());
}

fn each(bytes: &mut [u8], offset: usize, step: impl Fn(&[VolatileSlice<'_>], u64) -> usize) {
    let mut done = 0;
    while done < bytes.len() {
        let middle = (bytes.len() - done) / 3;
        let (a, b) = bytes[done..].split_at_mut(middle);
        let pieces = [VolatileSlice::from(a), VolatileSlice::from(b)];
        let moved = step(&pieces, u64::try_from(offset + done).unwrap());
        assert_ne!(moved, 0);
        done += moved;
    }
}
