use std::io::Write;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};
use vm_memory::VolatileSlice;

use super::Qcow2Disk;
use crate::backend::disk::{Access, CacheMode, DiskImage, OpenOptions};

/// Where a disk is tried.
const PLACES: u64 = 48;

/// Opens `image`, which may be anything, and reads and changes it all over if
/// it can be opened: a request fails or ends, and nothing else happens.
///
/// # Panics
/// If the host has no memory for a file.
pub fn play_qcow2(image: &[u8]) {
    let file = memfd_create(c"image", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
    let mut file = std::fs::File::from(file);
    file.write_all(image).expect("room for an image");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    for read_only in [true, false] {
        let options = OpenOptions { read_only, cache: CacheMode::Unsafe, sparse: true };
        if let Ok(disk) = Qcow2Disk::open(Path::new(&path), options) {
            use_disk(&disk);
        }
    }
}

fn use_disk(disk: &dyn DiskImage) {
    let size = disk.geometry().size;
    let mut bytes = vec![0x5a; 3 * 512];
    for i in 0..PLACES {
        // Near the start, where the tables of small images are, and all over.
        let at = if i % 2 == 0 { i * 512 } else { size / PLACES * i };
        let at = (at - at % 512).min(size - 512);
        let len = (size - at).min(3 * 512);
        let here = usize::try_from(len).expect("three sectors");
        let pieces = [VolatileSlice::from(&mut bytes[..here])];
        // What comes of it is the image's business.
        let _ = disk.place(at, len, Access::Read);
        let _ = disk.read_at(&pieces, at);
        if disk.is_read_only() {
            continue;
        }
        let _ = match i % 6 {
            0 => disk.discard(at, len),
            1 => disk.write_zeroes(at, len, true),
            2 => disk.flush(),
            _ => disk.write_at(&pieces, at).map(|_| ()),
        };
    }
    let _ = disk.flush();
}
