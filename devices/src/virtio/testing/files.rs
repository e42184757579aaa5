//! A fuzzer's bytes as what a driver does to a share.

use std::env;
use std::fs;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::script::{MEMORY, Script, play};
use super::{Guest, read_only, write_only};
use crate::backend::fs::{Limits, Share, ShareOptions};
use crate::virtio::fs::{Fs, FsOptions, Tag};

/// A directory for one run, gone afterwards.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("kiln-play-{}-{count}", process::id()));
        fs::create_dir_all(path.join("share/dir")).expect("a temporary folder");
        fs::write(path.join("share/file"), "contents").expect("a temporary file");
        fs::write(path.join("outside"), "kept").expect("a temporary file");
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A guest can make what its owner cannot remove; it is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Plays `data` to a file system device: first, if it says so, as any bytes in
/// its queues, else as messages of FUSE, with names and inodes that are often
/// right. Each is answered, and nothing beside the directory changes.
pub fn play_files(data: &[u8]) {
    let place = Place::new();
    let mut script = Script(data);
    let how = script.byte();
    let limits = Limits { inodes: 20, descriptors: 12, handles: 5 };
    let options = ShareOptions { read_only: how & 1 != 0, limits };
    let share = Share::open(&place.0.join("share"), options).expect("the folder was just made");
    let options = FsOptions { tag: Tag::new("t").expect("a tag"), queues: NonZeroU16::MIN };
    let mut guest = Guest::mmio(Fs::on_loop(share, &options).expect("the host has descriptors"));
    guest.start(u64::MAX);
    if how & 2 == 0 {
        play(&mut guest, script.0, |_| ());
    } else {
        let mut known = vec![1, 0];
        exchange(&mut guest, 26, 0, &[7_u32, 41, 0, u32::MAX].map(u32::to_le_bytes).concat());
        while !script.0.is_empty() {
            let opcode = u32::from(script.byte()) % 52;
            let node = known[usize::from(script.byte()) % known.len()];
            let mut body = script.bytes();
            if script.byte() & 1 != 0 {
                body.extend(name(script.byte()));
            }
            let answer = exchange(&mut guest, opcode, node, &body);
            // Whatever begins as an entry does names an inode.
            if let Some(Ok(inode)) = answer.get(..8).map(<[u8; 8]>::try_from) {
                known.push(u64::from_le_bytes(inode));
            }
        }
    }
    assert!(how & 2 == 0 || !guest.is_reset_needed());
    let outside = fs::read(place.0.join("outside")).expect("a guest cannot reach it");
    assert_eq!(outside, b"kept");
}

/// A name, of those that there are and those that there must not be.
fn name(which: u8) -> Vec<u8> {
    let names =
        ["file", "dir", "new", "..", ".", "", "/", "../outside", "dir/../..", "link", "user.x"];
    [names[usize::from(which) % names.len()].as_bytes(), b"\0"].concat()
}

/// Sends a message and returns what is behind the answer's header.
fn exchange<R: super::Registers>(
    guest: &mut Guest<R>,
    opcode: u32,
    node: u64,
    body: &[u8],
) -> Vec<u8> {
    const ANSWER: u64 = MEMORY + 0x1_0000;
    let len = u32::try_from(40 + body.len()).expect("a short message");
    let mut message = [len.to_le_bytes(), opcode.to_le_bytes()].concat();
    message.extend(7_u64.to_le_bytes());
    message.extend(node.to_le_bytes());
    message.extend([0; 16]);
    message.extend(body);
    guest.write(MEMORY, &message);
    let head =
        guest.queues[1].add(&guest.mem, &[read_only(MEMORY, len), write_only(ANSWER, 0x1000)]);
    guest.kick(1);
    let (id, len) = guest.used(1).expect("every request is used");
    assert_eq!(id, u32::from(head));
    assert!(len == 0 || (16..=0x1000).contains(&len));
    guest.read(ANSWER, usize::try_from(len).expect("a page")).split_off(usize::from(len > 0) * 16)
}
