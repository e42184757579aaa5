use std::fs::File;
use std::io::Write;

use cpio::NewcBuilder;
use cpio::newc::{ModeFileType, trailer};

use crate::linux::{Initrd, Piece};

/// Everything in a newc archive starts at a multiple of this
/// (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
const ALIGNMENT: usize = 4;
/// Why writing to memory does not fail.
const ALL_TAKEN: &str = "memory takes all bytes";

/// An initial RAM file system under construction: a newc archive, of which
/// files of the host are not read before they go to guest memory.
///
/// Names are relative to its root; a folder comes before what is in it.
#[derive(Debug, Default)]
pub struct Initramfs {
    pieces: Vec<Piece>,
    /// What follows the last piece.
    bytes: Vec<u8>,
    inode: u32,
}

impl Initramfs {
    /// Adds a folder.
    pub fn folder(&mut self, name: &str) {
        self.entry(name, 0o755, ModeFileType::Directory, (0, 0), 0);
    }

    /// Adds a character device with these numbers, for root alone.
    pub fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, 0o600, ModeFileType::Char, (major, minor), 0);
    }

    /// Adds a file that holds `contents`, of less than 4 GiB.
    pub fn file(&mut self, name: &str, contents: &[u8]) {
        let size = u32::try_from(contents.len()).expect("a file in an initramfs is small");
        self.entry(name, 0o644, ModeFileType::Regular, (0, 0), size);
        self.bytes.extend_from_slice(contents);
        self.pad(contents.len());
    }

    /// Adds a program: the first `size` bytes of a file of the host, which has
    /// that many.
    pub fn program(&mut self, name: &str, file: File, size: u32) {
        self.entry(name, 0o755, ModeFileType::Regular, (0, 0), size);
        self.pieces.push(Piece::Bytes(std::mem::take(&mut self.bytes)));
        self.pieces.push(Piece::File { file, size: size.into() });
        self.pad(usize::try_from(size).expect("sizes have 64 bits here"));
    }

    /// The whole of it, as a kernel takes it.
    pub fn finish(mut self) -> Initrd {
        trailer(&mut self.bytes).expect(ALL_TAKEN);
        self.pieces.push(Piece::Bytes(self.bytes));
        Initrd::of("initramfs", self.pieces)
    }

    fn entry(
        &mut self,
        name: &str,
        mode: u32,
        kind: ModeFileType,
        (major, minor): (u32, u32),
        size: u32,
    ) {
        self.inode += 1;
        let mut header = NewcBuilder::new(name)
            .ino(self.inode)
            .nlink(1)
            .mode(mode)
            .set_mode_file_type(kind)
            .rdev_major(major)
            .rdev_minor(minor)
            .write(&mut self.bytes, size);
        // It comes with the first write, be it of nothing.
        header.write(&[]).map(drop).expect(ALL_TAKEN);
    }

    /// Fills up after a file of `size` bytes.
    fn pad(&mut self, size: usize) {
        let padding = size.next_multiple_of(ALIGNMENT) - size;
        self.bytes.extend_from_slice(&[0; ALIGNMENT][..padding]);
    }
}
